#!/usr/bin/env bash
# Installs the Debian packages of whatever is missing, and says nothing when nothing is.
#
#   install.sh [--optional] WHAT=PACKAGE...
#
# WHAT is a program, pkg-config:MODULE for a library, py:MODULE for one of Python's, or file:PATH.
# With --optional a package that cannot be installed is named and passed over (its tests are
# skipped); without, that is exit code 69.
set -euo pipefail

# Debian keeps nft, ip and nginx where only root's PATH looks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
optional=false
if [ "${1-}" = --optional ]; then
    optional=true
    shift
fi

if ! command -v swift >/dev/null; then
    echo "missing: swift; install a Swift 6.2 or later toolchain (https://swift.org/install)" >&2
    exit 69
fi

present() {
    case $1 in
    file:*) [ -e "${1#file:}" ] ;;
    py:*) python3 -c "import ${1#py:}" 2>/dev/null ;;
    pkg-config:*) pkg-config --exists "${1#pkg-config:}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

packages=()
for need in "$@"; do
    present "${need%%=*}" || packages+=("${need#*=}")
done
[ ${#packages[@]} -gt 0 ] || exit 0

give_up() {
    if $optional; then
        echo "not installed: ${packages[*]} ($1); the tests that need them are skipped"
        exit 0
    fi
    echo "missing: ${packages[*]} ($1)" >&2
    exit 69
}

command -v apt-get >/dev/null || give_up "no apt-get here: install them by hand"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "run as root: apt-get install ${packages[*]}"
    # A password may be asked for only where somebody sits, and only for what must be there.
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif ! $optional && [ -t 0 ]; then
        as_root=(sudo)
    else
        give_up "sudo wants a password: sudo apt-get install ${packages[*]}"
    fi
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=false
clean_up() {
    rm -f "$log"
    if $made_policy; then "${as_root[@]}" rm -f "$policy"; fi
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# The tests start their own nginx and haproxy: the packages' services must not take port 80.
if [ ! -e "$policy" ]; then
    made_policy=true
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1
}

failed=()
updated=false
for package in "${packages[@]}"; do
    echo "installing $package"
    apt install --no-install-recommends "$package" && continue
    # A fresh image has no package lists yet.
    if ! $updated; then
        updated=true
        apt update && apt install --no-install-recommends "$package" && continue
    fi
    failed+=("$package")
done

# Nor may they start with the next boot, when it was this script that brought them.
for service in nginx haproxy; do
    case " ${packages[*]} " in
    *" $service"*) "${as_root[@]}" systemctl disable "$service" >/dev/null 2>&1 || true ;;
    esac
done

if [ ${#failed[@]} -gt 0 ]; then
    packages=("${failed[@]}")
    give_up "apt-get: $(grep -E '^(E|W):' "$log" | tail -n 1 | cut -c1-200)"
fi
