#!/usr/bin/env bash
# Makes certificates for the tests of TLS in a folder: an authority, what it issued, and strangers.
#
#   pki.sh FOLDER
set -euo pipefail
cd "$1"

# issue NAME SUBJECT ALTERNATIVE-NAMES DAYS AUTHORITY
issue() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    { [ -z "$3" ] || echo "subjectAltName=$3"; } >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$5.pem" -CAkey "$5.key" -days "$4" -extfile "$1.ext" \
        -out "$1.pem"
}

authority() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 30 -out "$1.pem"
}

{
    authority ca 'Sonde test authority'
    authority stranger 'Somebody else'
    issue server localhost 'DNS:localhost,DNS:*.test.example,IP:127.0.0.1,IP:::1' 30 ca
    issue other example.org 'DNS:example.org,DNS:www.example.org,IP:192.0.2.7' 30 ca
    issue nameless plain.example '' 30 ca
    issue expired localhost 'DNS:localhost' -1 ca
    issue unknown localhost 'DNS:localhost' 30 stranger
    issue client 'probe 7' 'DNS:probe-7' 30 ca
    mkdir -p folder
    cp ca.pem folder
    openssl rehash folder
} 2>log || {
    cat log >&2
    exit 1
}
