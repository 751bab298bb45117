# What people and CI run. Everything works on a Debian-like AMD64 machine that has Rust and apt.

FORGE := node ../node_modules/@foundry-rs/forge/bin.mjs
# The runner that names each test and its time, where it is installed.
TEST := $(if $(shell cargo nextest --version 2>/dev/null),nextest run,test)
IGNORED := $(if $(shell cargo nextest --version 2>/dev/null),--run-ignored only --no-capture,-- --ignored --test-threads=1 --nocapture)

.PHONY: help
help:
	@echo "make demo     a whole network on this machine: 4 operators, 24 workflows, 10 slots"
	@echo "make test     everything that CI checks"
	@echo "make e2e      only the end-to-end tests, in a debug build"
	@echo "make bench    what is fast and what it is compared with, into target/bench.json"
	@echo "make fuzz     every decoder and parser against hostile bytes, for a bounded time"
	@echo "make deb      Debian packages of both binaries, in target/debian"
	@echo "make packages-test   installs, upgrades and purges these packages in a clean Debian root (as root)"
	@echo "make audit    licences, sources and known advisories of other people's crates, by deny.toml"
	@echo "make fmt      format the Rust code"

.PHONY: demo
demo: setup
	cargo build --release --workspace --bin ditto-operator --bin ditto-aggregator --bin ditto-devnet
	target/release/ditto-devnet --operators 4 --workflows 24 --slots 10 --slot-seconds 2

.PHONY: test
test: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/abi.sh --check
	cd contracts && $(FORGE) test
	cargo $(TEST) --workspace
	$(MAKE) --no-print-directory e2e
	systemd/check.sh
	scripts/docs.py

# One after the other: each is a whole network, and their slots are short.
.PHONY: e2e
e2e: setup
	cargo build --workspace --bins
	scripts/metrics.sh --check
	scripts/monitoring.sh cargo $(TEST) -p ditto-devnet --test end_to_end --test registration --test workflow $(IGNORED)

.PHONY: bench
bench: setup
	scripts/bench.sh

.PHONY: fuzz
fuzz: setup
	scripts/fuzz.sh

.PHONY: deb
deb: setup
	scripts/deb.sh

# Not part of `make test`: it needs packages (release builds, which alone take longer than all of the test), root, and a Debian
# mirror for the first time. It is for before a release, and takes a minute then.
.PHONY: packages-test
packages-test:
	packaging/test.sh

# Not part of `make test` either: cargo-deny takes minutes to build, and what it finds changes without a change here.
.PHONY: audit
audit:
	scripts/audit.sh

.PHONY: fmt
fmt:
	cargo fmt --all

.PHONY: setup
setup:
	@scripts/setup.sh
