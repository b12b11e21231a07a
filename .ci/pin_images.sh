#!/usr/bin/env bash
# Add to each image of these files the digest that its registry has for the tag; `make pin-images` calls this.
# `image: redis:8.2.3` becomes `image: redis:8.2.3@sha256:…`; a digest that is there is looked up again.
# SKOPEO_OPTIONS are options of `skopeo inspect`.

set -euo pipefail

command -v skopeo >/dev/null || { echo "pin-images: try \`sudo apt-get install skopeo\`" >&2; exit 1; }

missing=()
# Our own image is built, not pulled, and ${BASE} is named where it is set.
for image in $(sed -nE 's/^ +image: ([^ @]+).*/\1/p; s/^ARG BASE=([^ @]+).*/\1/p' "$@" | grep -v '^paperboy:' | sort -u); do
  # shellcheck disable=SC2086
  if digest=$(timeout 60 skopeo inspect --no-tags --format '{{.Digest}}' ${SKOPEO_OPTIONS:-} "docker://$image" 2>/dev/null); then
    sed -i -E "s,^( +image: |ARG BASE=)$image(@sha256:[0-9a-f]+)?$,\1$image@$digest," "$@"
    echo "$image@$digest"
  else
    missing+=("$image")
  fi
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "pin-images: no registry answers for ${missing[*]}: left as they are" >&2
  exit 1
fi
