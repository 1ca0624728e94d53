#!/bin/bash
# Compares `sonde reload bench`, which records every request, with wrk, which records none: same
# nginx, same 64 connections, in turns (A B A B …), medians. Also the share of the rows' file.
# Usage: reload-wrk.sh [ROUNDS] [SECONDS]     needs nginx, wrk, python3 and a built sonde
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin

for tool in nginx wrk python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 69; }
done
rounds=${1:-5}
seconds=${2:-4}
sonde=${SONDE:-$PWD/.build/release/sonde}
[ -x "$sonde" ] || { echo "$sonde is missing: make build" >&2; exit 69; }

scratch=$(mktemp -d)
chmod 755 "$scratch"
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])'; }
a=$(free_port) b=$(free_port) front=$(free_port)
for pair in "a $a" "b $b"; do
    # shellcheck disable=SC2086
    "$sonde" reload backend $pair --listen-address 127.0.0.1 >/dev/null 2>&1 &
    pids+=($!)
done
cat >"$scratch/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $scratch/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $scratch/body;
    proxy_temp_path $scratch/proxy;
    fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi;
    scgi_temp_path $scratch/scgi;
    keepalive_requests 100000000;
    upstream site {
        server 127.0.0.1:$a;
        server 127.0.0.1:$b;
        keepalive 64;
        keepalive_requests 100000000;
    }
    server {
        listen 127.0.0.1:$front;
        location / {
            proxy_pass http://site;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
CONF
nginx -e stderr -c "$scratch/nginx.conf" -p "$scratch" &
pids+=($!)
url=http://127.0.0.1:$front/
for _ in $(seq 100); do
    python3 -c "import urllib.request; urllib.request.urlopen('$url')" 2>/dev/null && break
    sleep 0.1
done

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
bench() {
    "$sonde" reload bench "$url" --clients 64 --duration "${seconds}s" --quiet --csv "$1" \
        --json "$scratch/summary.json" >/dev/null
    python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
assert r["failure"] == 0
print(round(r["requestspersecond"]), round(r["processorms"] * 1000 / r["requests"], 2))' \
        "$scratch/summary.json"
}

echo "load before: $(cut -d' ' -f1-3 /proc/loadavg)"
: >"$scratch/wrk" && : >"$scratch/rows" && : >"$scratch/null" && : >"$scratch/ratios"
for _ in $(seq "$rounds"); do
    peer=$(wrk -t1 -c64 -d"${seconds}s" "$url" | awk '/Requests\/sec/ {print $2}')
    echo "$peer" >>"$scratch/wrk"
    bench "$scratch/data.csv" >"$scratch/ours"
    rows=$(($(wc -l <"$scratch/data.csv") - 1))
    requests=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["requests"])' "$scratch/summary.json")
    [ "$rows" -eq "$requests" ] || { echo "$rows rows, $requests requests" >&2; exit 1; }
    read -r ours cost <"$scratch/ours"
    echo "$cost" >>"$scratch/rows"
    bench /dev/null | cut -d' ' -f2 >>"$scratch/null"
    python3 -c "print(round($ours / $peer, 3))" >>"$scratch/ratios"
    echo "wrk $peer/s, sonde $ours/s, $rows rows"
done
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
echo "requests a second, sonde / wrk: median $(median <"$scratch/ratios")" \
    "(lowest $(sort -n "$scratch/ratios" | head -n 1))"
echo "processor time a request: $(median <"$scratch/rows") µs with a file of rows," \
    "$(median <"$scratch/null") µs with /dev/null in its place"
