# Everything a developer types. Needs GNU make and Python 3.11 or newer, nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Images of Python set it, and each of the many processes of a run would compile our modules again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PAPERBOY := $(BIN)/paperboy
# What running needs, and all that developing needs on top, in one environment.
RUN_STAMP := $(VENV)/.installed-run
STAMP := $(VENV)/.installed
# An installation that was cut off leaves packages that look whole and are not: the next one begins with nothing.
HALF := $(VENV)/.installing
# Test processes; more than cores only makes them wait for each other.
JOBS ?= 2
# Neighbours stay in one process, which makes a module's browser or wheel once; the idle take from the busy.
SHARED_OUT = -n $(JOBS) --dist worksteal
# Passed on to pytest by `make test`, to a bench by `make bench`: `make test ARGS="-k unsubscribe"`.
ARGS ?=
# `ONCE=1 make demo` prints the accounting and ends.
ONCE ?=
# `DAYS=10 make demo` lets ten days of invented papers pass.
DAYS ?=
PURE_TESTS := $(wildcard tests/*/domain) $(addprefix tests/,presentation messages/mime bounces/inbound \
  platform/settings platform/signing deploy/test_docs.py support/test_documents.py support/test_words.py)
# The rooms' tests, which need servers: those that .ci/run and the matrix run on other versions, too.
SERVICE_TESTS := $(addprefix tests/,platform papers similarity topics deliveries subscribers editions \
  presentation messages sending bounces operations web workers)
CHROMIUM := chromium chromium-browser google-chrome

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# -- environment ---------------------------------------------------------------------------------

.PHONY: setup
setup: $(STAMP) ## make .venv with every pinned dependency (at once when it is there already)

# The pins are complete, so pip need not look for dependencies (--no-deps); where it did, an older pip
# took the newest coverage for `coverage[toml]` and then found no hash for it.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Paperboy needs Python 3.11 or newer, and $(PYTHON) is not: try \`make setup PYTHON=python3.12\`" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments: try \`apt-get install python3-venv\`" >&2; exit 1; }
	@echo "Installing $(2) into $(VENV), once (about a minute) …" >&2
	@$(PYTHON) -m venv $$(test ! -e $(HALF) || echo --clear) $(VENV)
	@touch $(HALF)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/$(1).txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm $(HALF)
endef

$(RUN_STAMP): requirements/embedded.txt pyproject.toml
	$(call install,embedded,what Paperboy needs to run)
	@touch $@

$(STAMP): requirements/dev.txt pyproject.toml
	$(call install,dev,the pinned dependencies)
	@touch $(RUN_STAMP) $@

# -- running -------------------------------------------------------------------------------------

.PHONY: demo
demo: $(RUN_STAMP) ## everything on this machine with a sample reader; DAYS=10 lets ten days pass
	@exec $(PAPERBOY) demo $(if $(filter-out 0,$(ONCE)),--once) $(if $(DAYS),--days $(DAYS))

.PHONY: init
init: $(RUN_STAMP) ## write your settings, .env, from six answers
	@exec $(PAPERBOY) init $(ARGS)

.PHONY: run
run: $(RUN_STAMP) ## everything on this machine with your settings; ARGS="--host 0.0.0.0 --port 80"
	@exec $(PAPERBOY) up $(ARGS)

# -- checks --------------------------------------------------------------------------------------

.PHONY: test
test: $(STAMP) chromium ## the whole suite; ARGS="-k word" for a part of it
	@$(BIN)/python -m pytest $(SHARED_OUT) $(ARGS)

.PHONY: collect
collect: $(STAMP) ## name every test and run none, which finds what cannot be imported, and compiles it
	@$(BIN)/python -m pytest -q --collect-only $(ARGS) | grep -v '^tests/.*::'

.PHONY: test-fast
test-fast: $(STAMP) ## the tests of pure code, which need no server: under a minute
	@$(BIN)/python -m pytest -q $(SHARED_OUT) -m "not slow and not real" $(PURE_TESTS) $(ARGS)

.PHONY: test-service
test-service: $(STAMP) ## the rooms' tests, on the servers of PAPERBOY_TEST_DATABASE_URL and _REDIS_URL
	@$(BIN)/python -m pytest -q $(SHARED_OUT) --ignore-glob="*/domain/*" $(SERVICE_TESTS) $(ARGS)

.PHONY: test-matrix
test-matrix: $(STAMP) ## the same on Python 3.11 to 3.13, PostgreSQL 16 and 18, Redis, Valkey, RabbitMQ; ARGS=--quick
	@$(BIN)/python .ci/matrix.py --jobs $(JOBS) $(ARGS)

.PHONY: cover
cover: $(STAMP) chromium ## the whole suite under coverage, with its thresholds
	@rm -f .coverage .coverage.*
	@mkdir -p build
	@$(BIN)/python -m pytest $(SHARED_OUT) --cov --cov-report=json:build/coverage.json $(ARGS)
	@$(BIN)/python .ci/coverage_check.py build/coverage.json

# The browser's tests are part of the suite, so a missing browser is an error and never a skip.
.PHONY: chromium
chromium:
	@for name in $(CHROMIUM); do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests …" >&2; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else \
	  echo "The browser tests need Chromium: type \`sudo apt-get install chromium\`" >&2; exit 1; \
	fi

.PHONY: lint
lint: $(STAMP) ## ruff (rules, format), deptry (dependencies), refused words
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/deptry .
	@$(BIN)/python .ci/words_check.py
	@$(BIN)/python .ci/regex_check.py

.PHONY: types
types: $(STAMP) ## mypy, strict, over all Python there is
	@$(BIN)/mypy

.PHONY: imports
imports: $(STAMP) ## import-linter: one direction, a pure domain
	@$(BIN)/lint-imports

.PHONY: checks
checks: $(VENV)/checks/.installed ## what others read: Dockerfile, compose file, workflows; secrets, vulnerabilities
	@$(CHECKS)/bin/hadolint Dockerfile
	@$(SCHEMA) vendor.compose-spec docker-compose.yml
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) vendor.dependabot .github/dependabot.yml
	@$(PYTHON) .ci/secrets_check.py $(CHECKS)/bin/detect-secrets
	@$(MAKE) audit

# ARGS=--must-answer makes it an error that the service does not answer.
.PHONY: audit
audit: $(VENV)/checks/.installed ## known vulnerabilities of what is pinned, where pip-audit's service answers
	@$(PYTHON) .ci/audit_check.py $(CHECKS)/bin/pip-audit $(ARGS) requirements/dev.txt requirements/docs.txt

# mkdocs has an environment of its own, so that neither running nor testing needs it.
DOCS := $(VENV)/docs
$(DOCS)/.installed: requirements/docs.txt
	@$(PYTHON) -m venv --clear $(DOCS)
	@$(DOCS)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# So have the tools that look at the project from outside.
CHECKS := $(VENV)/checks
SCHEMA := $(CHECKS)/bin/check-jsonschema --quiet --no-cache --builtin-schema
$(CHECKS)/.installed: requirements/checks.txt
	@$(PYTHON) -m venv --clear $(CHECKS)
	@$(CHECKS)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

.PHONY: docs
docs: $(DOCS)/.installed ## build the documents as a site in build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict

# -- measuring -----------------------------------------------------------------------------------

.PHONY: bench
bench: $(STAMP) ## all benches; the last line is one JSON object (ARGS=--quick: under a minute each)
	@$(BIN)/python bench/run_all.py $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## kill and cut what can be killed and cut, then count what was lost or doubled
	@test -f bench/chaos.py || { echo "bench/chaos.py: not there yet" >&2; exit 1; }
	@$(BIN)/python bench/chaos.py $(ARGS)

# `SIEGE_SECONDS=60 make siege` is the short form.
.PHONY: siege
siege: $(STAMP) ## attack an installation from all sides for ten minutes, while it works
	@PYTHONPATH=tests $(BIN)/python -m siege

.PHONY: gallery
gallery: $(STAMP) chromium ## take the pictures in docs/gallery/ again
	@test -f bench/gallery.py || { echo "bench/gallery.py: not there yet" >&2; exit 1; }
	@$(BIN)/python bench/gallery.py $(ARGS)

.PHONY: gallery-pages
gallery-pages: $(STAMP) chromium ## take the pictures of pages in docs/gallery/ again, from a demo of ten days
	@$(BIN)/python bench/gallery_pages.py $(ARGS)

# -- containers ----------------------------------------------------------------------------------

.PHONY: image
image: ## build the image and run it, without Docker or a registry (as root, some minutes)
	@.ci/image.sh

.PHONY: release
release: $(STAMP) ## build and check wheel, source distribution and image into dist/ (IMAGE=no: without the image)
	@.ci/release.sh

.PHONY: pin-images
pin-images: ## add to every image its digest, where its registry answers
	@.ci/pin_images.sh docker-compose.yml Dockerfile

# -- housekeeping --------------------------------------------------------------------------------

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header

# uv is needed here alone, so it lives in an environment that is thrown away. dev.txt has everything;
# the other files are parts of it, with the same versions.
.PHONY: lock
lock: ## pin requirements/*.in again (ARGS=--upgrade: to the newest)
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && \
	$(PYTHON) -m venv "$$tool" && "$$tool/bin/python" -m pip install --quiet --disable-pip-version-check uv && \
	compile="$$tool/bin/$(UV_COMPILE)" && part="$$compile -c requirements/dev.txt requirements/build.in requirements/run.in" && \
	$$compile $(ARGS) --override requirements/overrides.in requirements/dev.in -o requirements/dev.txt && \
	$$part -o requirements/run.txt && \
	$$part requirements/embedded.in -o requirements/embedded.txt && \
	$$part requirements/similarity.in -o requirements/similarity.txt && \
	$$part requirements/mcp.in -o requirements/mcp.txt && \
	$$compile $(ARGS) requirements/bench.in -o requirements/bench.txt && \
	$$compile $(ARGS) requirements/docs.in -o requirements/docs.txt && \
	$$compile $(ARGS) requirements/checks.in -o requirements/checks.txt

.PHONY: clean
clean: ## remove what the tools made; .venv and .paperboy (your data) stay
	@rm -rf build dist htmlcov .coverage .coverage.* *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find service workers tests bench migrations -name __pycache__ -type d -prune -exec rm -rf {} +
