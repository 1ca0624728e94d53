#!/bin/bash
# Prints how many user-space instructions the hello server spends on one request: the difference of
# two runs under callgrind, so that starting and ending do not count.
# Usage: hello-instructions.sh [CONNECTIONS]     needs valgrind and python3
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in valgrind python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 69; }
done
connections=${1:-64}
few=2000
many=12000

swift build -c release --product hello-sonde --static-swift-stdlib >&2
server=$(swift build -c release --show-bin-path)/hello-sonde
scratch=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Leaves the count in the variable `result`: in a subshell an error would not end the script.
instructions() {
    rm -f "$scratch/address"
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out.$1" \
        "$server" 127.0.0.1:0 "$1" >"$scratch/address" 2>"$scratch/log" &
    pid=$!
    for _ in $(seq 200); do
        if [ -s "$scratch/address" ]; then break; fi
        sleep 0.1
    done
    python3 scripts/load.py "$(head -n 1 "$scratch/address")" "$1" "$connections" >/dev/null
    wait "$pid"
    pid=
    result=$(sed -n 's/^summary: //p' "$scratch/out.$1")
}

instructions $few
a=$result
instructions $many
b=$result
if [ -n "${KEEP:-}" ]; then cp "$scratch/out.$many" "$KEEP"; fi
echo "$(((b - a) / (many - few))) instructions a request ($connections connections)"
