#!/usr/bin/env bash
# Build what a release consists of, from the commit that is checked out, and check each part: source distribution,
# wheel (in an empty environment, by a demo) and image. `make release` calls this; the results are in dist/.
#
# IMAGE=no leaves the image out, which needs root.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf 'release: %s\n' "$*"; }
refuse() { printf 'release: %s\n' "$*" >&2; exit 2; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
grep -q "^## $version\b" CHANGELOG.md || refuse "CHANGELOG.md has no section $version: write it first"
grep -q "image: paperboy:$version$" docker-compose.yml || refuse "docker-compose.yml names another image than paperboy:$version"
[ -z "$(git status --porcelain)" ] || refuse "the checkout has changes that are not committed: commit them first"

python=$PWD/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
git archive HEAD | tar -x -C "$work/tree"
# The same commit gives the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

(cd "$work/tree" && "$python" -c "from setuptools.build_meta import build_sdist; build_sdist('$work/dist')" >"$work/log" 2>&1) \
  || { tail -n 20 "$work/log" >&2; exit 1; }
# From the source distribution, so that it is known to be complete.
"$python" -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation -w "$work/dist" "$work"/dist/*.tar.gz
wheel=$(echo "$work"/dist/*.whl)

"$python" - "$wheel" "$version" <<'PYTHON'
import subprocess, sys, zipfile

wheel, version = sys.argv[1:]
held = set(zipfile.ZipFile(wheel).namelist())
packages = ["service", "workers", "migrations", "email_templates"]
tracked = subprocess.run(["git", "ls-files", *packages], capture_output=True, text=True, check=True)
missing = sorted(set(tracked.stdout.split()) - held)
if missing or f"-{version}-" not in wheel:
    sys.exit(f"release: the wheel lacks {missing[:3] or version}")
PYTHON
say "sdist and wheel of $version hold every file"

"$python" -m venv "$work/empty"
pip=("$work/empty/bin/python" -m pip --disable-pip-version-check install --quiet)
"${pip[@]}" --no-deps --require-hashes -r requirements/embedded.txt
"${pip[@]}" --no-deps "$wheel"
cd "$work"
"$work/empty/bin/paperboy" --version | grep -qF "$version" || { "$work/empty/bin/paperboy" --version >&2; exit 1; }
env -u PAPERBOY_DATABASE_URL -u PAPERBOY_REDIS_URL PAPERBOY_ENV_FILE=/dev/null PAPERBOY_DATA_DIR="$work/data" \
  "$work/empty/bin/paperboy" demo --once >"$work/demo" 2>&1 || { tail -n 20 "$work/demo" >&2; exit 1; }
grep -q 'The balance closes' "$work/demo" || { cat "$work/demo" >&2; exit 1; }
say "the wheel runs a demo in an empty environment"
cd - >/dev/null

if [ "${IMAGE:-}" = no ]; then say "NOT DONE: the image (IMAGE=no)"; else .ci/image.sh; fi

mkdir -p dist
cp "$work"/dist/* dist/
(cd dist && sha256sum "$(basename "$wheel")" paperboy_digest-"$version".tar.gz | tee SHA256SUMS)
say "$version is ready in dist/: tag it v$version"
