# The two commands to know: `make demo` and `make test`. Both install the Debian packages they need, and say so.
SHELL := /bin/bash
PREFIX ?= /usr/local
# The flag that Package.swift may not give to what authors depend on.
RELEASE := swift build -c release --static-swift-stdlib -Xswiftc -cross-module-optimization

.PHONY: help conformance-server demo test test-kafka bench fuzz install release clean packages reference soak
help:
	@echo "make demo             build, start a server, run examples/semantic-search, end (KEEP=1: keep serving)"
	@echo "make test             the whole test suite (SUITES='units sandbox' for some of it)"
	@echo "make test-kafka       the tests on a real Kafka: KAFKA_BOOTSTRAP=host:port, or ../shared/kafka"
	@echo "make bench            all benchmarks, each beside its floor"
	@echo "make soak             simulator, kill tests, random frames and system calls with many more seeds, the HTTP interface too"
	@echo "make fuzz             the fuzz targets, 60 s each (SECONDS_EACH=…)"
	@echo "make reference        docs/reference, made again from the code"
	@echo "make conformance-server  what the public MCP conformance suite is run against, at PORT=$${PORT:-8787}"
	@echo "make install          bin, libexec, a systemd unit and completions below PREFIX=$(PREFIX) (and DESTDIR)"

packages:
	@scripts/packages build
	@scripts/toolchain

release: packages
	$(RELEASE)

demo: release
	@scripts/demo

test: packages
	@scripts/packages test || echo "apus: some peers of tests cannot be installed; these tests say so and skip"
	@scripts/test $(SUITES)

test-kafka: packages
	@scripts/packages test || echo "apus: some peers of tests cannot be installed; these tests say so and skip"
	@scripts/test build kafka

bench: release
	@scripts/bench

fuzz: packages
	@scripts/fuzz $(TARGETS)

# What the public conformance suite of the Model Context Protocol is run against, until interrupted.
conformance-server: release
	@scripts/conformance-server

soak: packages
	@APUS_SOAK=1 APUS_SEEDS=20000 scripts/test build simulation fuzzers integration

# The pages that are made from the code.
reference: packages
	@swift build --product apus
	@for page in http manifest commands; do .build/debug/apus schema $$page --reference > docs/reference/$$page.md; done

install: release
	@DESTDIR='$(DESTDIR)' scripts/install '$(PREFIX)'
	@[ -n '$(DESTDIR)' ] || echo "Next: systemd-sysusers && systemd-tmpfiles --create apus.conf && systemctl daemon-reload && systemctl enable --now apus"

clean:
	rm -rf .build .build-fuzz
