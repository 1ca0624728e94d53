# Everything a person or a machine does with this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo build test unit embedding lab lint test-asan bench bench-micro thresholds clean \
    build-needs test-needs bench-needs
# The steps of `make test` share .build and the machine's cores: one after the other.
.NOTPARALLEL:

# Absolute, because the lab starts it from other network namespaces.
SONDE := $(CURDIR)/.build/release/sonde

# One file without shared libraries: it starts in a scratch image, and what the demo and the lab
# run is what ships. lld, because gold prints a page of warnings about static glibc.
RELEASE := -c release --product sonde
ifeq ($(shell uname -s),Linux)
RELEASE += --static-swift-stdlib -Xswiftc -static-executable -Xswiftc -use-ld=lld -Xlinker -s
endif

# Tests that bind ports, set resource limits or read their own memory must not meet each other.
TESTS := --disable-xctest --no-parallel

# program=Debian package, pkg-config:module=package or file:path=package
BUILD_NEEDS := pkg-config=pkg-config pkg-config:libuv-static=libuv1-dev
TEST_NEEDS := curl=curl python3=python3 node=nodejs wrk=wrk nginx=nginx-light haproxy=haproxy \
    nft=nftables ip=iproute2 promtool=prometheus chromium=chromium \
    file:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core

BENCH_NEEDS := valgrind=valgrind cc=gcc hey=hey h2load=nghttp2-client

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: build ## Measure a made-up cluster on this machine (ARGS="…" goes to sonde netpol demo)
	@$(SONDE) netpol demo $(ARGS)

build: build-needs ## Build the release binary .build/release/sonde, static and stripped
	@echo "== build (release)"
	@swift build $(RELEASE)

test: test-needs unit embedding build lab ## Run every test: unit, interop, embedding, lab

# Optimized, because the simulations run at full size only there; the sanitized run is a debug build.
unit: build-needs ## Run the unit and interop tests, optimized
	@echo "== unit and interop tests"
	@swift test $(TESTS) -c release -Xswiftc -enable-testing --scratch-path .build-optimized $(ARGS)

# The way another package uses ours; its own scratch path keeps the two builds apart. A cached plan
# would not notice that files of a dependency by path, ours, have come or gone.
embedding: build-needs
	@if [ -d Tests/EmbeddingPackage ]; then \
	    echo "== embedding package"; \
	    if [ -d Tests/EmbeddingPackage/Tests ]; then what=test; else what=run; fi; \
	    swift $$what --disable-build-manifest-caching --package-path Tests/EmbeddingPackage \
	        --scratch-path .build-embedding; \
	fi

# Exit code 77 means "not permitted here"; the lab has printed the reason.
lab: build ## Measure in network namespaces (root; LAB="--scenario all" for the long set)
	@echo "== lab"
	@if ! command -v python3 >/dev/null; then echo "lab skipped: python3 is missing"; exit 0; fi; \
	rc=0; python3 Tests/Lab/lab.py --sonde $(SONDE) $(LAB) || rc=$$?; \
	if [ $$rc -ne 77 ]; then exit $$rc; fi

lint: build-needs ## Check format, imports, lengths and comments
	@echo "== lint"
	@swift format lint --strict -r Sources Tests Package.swift
	@swift test $(TESTS) --filter TidyTests

# Leaks count too. Where ptrace is forbidden: ASAN_OPTIONS=detect_leaks=0 make test-asan
test-asan: build-needs ## Run the unit tests under the address sanitizer
	@echo "== unit tests under the address sanitizer"
	@LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Support/leaks.txt \
	    swift test $(TESTS) --sanitize=address --scratch-path .build-asan $(ARGS)

# Figures for this machine; nothing else should run meanwhile.
bench: build bench-needs ## Measure every claim beside its peer; writes results and README (15 min)
	@python3 Benchmarks/bench/bench.py

bench-micro: build-needs
	@swift package --package-path Benchmarks benchmark --target Micro $(ARGS)

# bench-http, bench-codec, bench-memory, bench-netpol, bench-proxy, bench-egw, bench-reload,
# bench-longlived: one group each, which is only printed.
bench-%: build bench-needs
	@python3 Benchmarks/bench/bench.py $*

# Counted, not timed, so that it holds on a busy machine.
thresholds: build-needs bench-needs ## Fail when codec or pacing take a quarter more instructions
	@echo "== thresholds"
	@python3 Benchmarks/bench/thresholds.py $(ARGS)

clean: ## Remove everything that was built
	@rm -rf .build .build-asan .build-embedding .build-optimized Benchmarks/.build

build-needs:
	@Tests/Support/install.sh $(BUILD_NEEDS)

test-needs: build-needs
	@Tests/Support/install.sh --optional $(TEST_NEEDS)
	@Tests/Support/proxies.sh

bench-needs: test-needs
	@Tests/Support/install.sh --optional $(BENCH_NEEDS)
