#!/usr/bin/env bash
# Build the image and run it, without a registry and without a daemon: debootstrap makes the base, buildah
# builds (in a chroot), podman runs (runc). Needs root; `make image` calls this.
#
# EXTRAS: as in the Dockerfile. BASE: an image to build on, instead of one of this machine's own Debian.
# ENGINE_DIR: where images and containers are kept; by default they are removed at the end.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
for tool in debootstrap buildah podman runc; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ "${#missing[@]}" -gt 0 ] || [ "$(id -u)" != 0 ]; then
  echo "image: this needs root and ${missing[*]:-nothing else}: try \`sudo apt-get install debootstrap buildah podman runc\`" >&2
  exit 1
fi

name=paperboy-built-here
work=$(mktemp -d)
engine=${ENGINE_DIR:-$work/engine}
store=(--root "$engine/images" --runroot "$engine/run" --storage-driver vfs)
# Its log complains that there is no systemd to time health checks; errors are printed all the same.
podman() { command podman "${store[@]}" --runtime runc --cgroup-manager cgroupfs --log-level fatal "$@"; }
clean_up() {
  podman rm --force --ignore --volumes "$name" >/dev/null
  rm -rf "$work"
}
trap clean_up EXIT
say() { printf 'image: %s\n' "$*"; }

# The release and the mirror are those of this machine's apt, so no address stands here.
make_base() {
  local release mirror
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" 'Component: main' | sort -u | head -n 1)
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$release" "$work/base" "$mirror" >"$work/debootstrap" || { tail -n 20 "$work/debootstrap" >&2; return 1; }
  rm -rf "$work"/base/var/cache/apt "$work"/base/var/lib/apt/lists
  ln -s python3 "$work/base/usr/bin/python"
  tar -C "$work/base" -c . | podman import --quiet - paperboy-base >/dev/null
  rm -rf "$work/base"
}

# pip uses what it uses outside, during the build only: its settings in one file, and the files they name.
pip_volumes() {
  local settings path
  settings=$(python3 -m pip config list)
  # The environment comes first and wins.
  { echo '[global]'; sed -nE "s/^[^.]+\.\.?([a-z-]+)='(.*)'$/\1 = \2/p" <<<"$settings" | awk '!seen[$1]++'; } >"$work/pip.conf"
  echo "--volume=$work/pip.conf:/etc/pip.conf:ro"
  for path in $(grep -oE "(file://)?/[^' ]+" <<<"$settings" | sed 's,^file://,,; s,/simple$,,' | sort -u); do
    if [ -e "$path" ]; then echo "--volume=$path:$path:ro"; fi
  done
}

base=${BASE:-localhost/paperboy-base}
if [ -z "${BASE:-}" ] && ! podman image exists "$base"; then
  make_base
  say "base: $(($(podman image inspect --format '{{.Size}}' "$base") / 1000000)) MB in $SECONDS s"
fi

SECONDS=0
mapfile -t volumes < <(pip_volumes)
buildah "${store[@]}" bud --quiet --isolation chroot --format docker "${volumes[@]}" \
  --build-arg "BASE=$base" --build-arg "EXTRAS=${EXTRAS-embedded}" --tag "$name" . >"$work/build" 2>&1 \
  || { tail -n 30 "$work/build" >&2; exit 1; }
say "built in $SECONDS s: $(($(podman image inspect --format '{{.Size}}' "$name") / 1000000)) MB with its base"

# As compose runs it: another user than root, a read-only root, no capability, limits; and no network.
# Limits below root's own, since a machine may not let them be raised.
confined=(--network none --read-only --tmpfs /tmp --volume /var/lib/paperboy --cap-drop all --security-opt no-new-privileges
  --memory 1280m --pids-limit 256 --ulimit nofile=4096:4096 --ulimit nproc=2048:2048 --health-interval disable)

SECONDS=0
podman run --rm "${confined[@]}" "$name" demo --once >"$work/demo"
grep -q 'The balance closes' "$work/demo" || { cat "$work/demo" >&2; exit 1; }
say "demo --once in it in $SECONDS s"

podman run --detach --name "$name" "${confined[@]}" "$name" up >/dev/null
if podman healthcheck run "$name" >/dev/null; then echo "image: healthy before it listens" >&2; exit 1; fi
SECONDS=0
until podman healthcheck run "$name" >/dev/null; do
  if [ "$SECONDS" -gt 300 ]; then podman logs "$name" >&2; exit 1; fi
  sleep 1
done
say "the web site in it is healthy after $SECONDS s"
podman stop --time 60 "$name" >/dev/null
status=$(podman inspect --format '{{.State.ExitCode}}' "$name")
if [ "$status" != 0 ]; then podman logs "$name" >&2; echo "image: it stopped with status $status" >&2; exit 1; fi
say "not run: Docker itself, docker-compose.yml, and the images of other projects"
