#!/usr/bin/env bash
# Makes a small Debian image with Python, from Debian packages alone: no image registry is asked.
#
#   docker/base-from-debootstrap.sh [IMAGE]        IMAGE defaults to pawl-base:bookworm
#
# Does nothing if the image exists. Two callers at once are fine: the second waits and finds it made.
# Inside, `python3` and `python` are Debian's Python 3.11; there is no pip. DEBIAN_MIRROR=URL picks a mirror.
set -euo pipefail

image=${1:-pawl-base:bookworm}

exists() { docker image inspect "$image" >/dev/null 2>&1; }

if exists; then
    echo "$image is there"
    exit 0
fi
if ! docker info >/dev/null 2>&1; then
    echo "No Docker Engine answers. Start one (as root: dockerd), or point DOCKER_HOST at one." >&2
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    echo "debootstrap is missing. On Debian: apt-get install debootstrap" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "debootstrap needs root. Run this once with sudo; afterwards the image is there for every user." >&2
    exit 1
fi

exec 9>"${TMPDIR:-/tmp}/pawl-base-image.lock"
flock 9
if exists; then
    echo "$image is there"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
echo "Making $image with debootstrap: about 60 MB of Debian packages, a minute or two"
if ! debootstrap --variant=minbase --include=python3 bookworm "$work/tree" \
    ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    echo "debootstrap failed; its last lines are above." >&2
    exit 1
fi
ln -s python3 "$work/tree/usr/bin/python"
rm -rf "$work"/tree/var/cache/apt/* "$work"/tree/var/lib/apt/lists/* \
    "$work"/tree/usr/share/{doc,man,locale}/*
# Nothing of this machine belongs in an image: debootstrap copies these two in.
rm -f "$work/tree/etc/resolv.conf" "$work/tree/etc/hostname"
tar --one-file-system --exclude=./dev -C "$work/tree" -c . |
    docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' --change 'CMD ["python3"]' - "$image" >/dev/null
echo "Made $image"
