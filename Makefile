# The two commands to know: `make demo` and `make test`. Both install the Debian packages they need, and say so.
SHELL := /bin/bash
PREFIX ?= /usr/local
# The flag that Package.swift may not give to what authors depend on.
RELEASE := swift build -c release --static-swift-stdlib -Xswiftc -cross-module-optimization

.PHONY: help demo test bench fuzz install release clean packages soak
help:
	@echo "make demo             build, start a server, run examples/semantic-search, end (KEEP=1: keep serving)"
	@echo "make test             the whole test suite (SUITES='units sandbox' for some of it)"
	@echo "make bench            all benchmarks, each beside its floor"
	@echo "make soak             simulator and kill tests with many more seeds"
	@echo "make fuzz             the fuzz targets, 60 s each (SECONDS_EACH=…)"
	@echo "make install          bin/apus and libexec/apus below PREFIX=$(PREFIX)"

packages:
	@scripts/packages build
	@scripts/toolchain

release: packages
	$(RELEASE)

demo: release
	@scripts/demo

test: packages
	@scripts/test $(SUITES)

bench: release
	@scripts/bench

fuzz: packages
	@scripts/fuzz $(TARGETS)

soak: packages
	@APUS_SOAK=1 APUS_SEEDS=20000 scripts/test build simulation integration

install: release
	@scripts/install $(PREFIX)

clean:
	rm -rf .build .build-fuzz
