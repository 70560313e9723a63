# The front door. `make help` lists what there is; each target does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CAPSTEAD := target/debug/capstead
TOOLS := target/tools
# Tools are pinned: what CI runs today it runs tomorrow.
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
MDBOOK := 0.5.4
ANSIBLE_CORE := 2.19.14
ANSIBLE_LINT := 26.10.1
# A tool runs for seconds, so its build is not optimised.
QUICK_TOOL := CARGO_TARGET_DIR=$(abspath target/tools-build) CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9_-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: # Check what is needed, install what can be
	@tools/setup.sh

.PHONY: build
build: setup ## Build the capstead command
	@cargo build --locked --package capstead
	@echo "built $(CAPSTEAD)"

.PHONY: demo
demo: build ## Show a cluster come up on simulated hosts
	@$(CAPSTEAD) demo --simulated
	@echo; echo 'For the commands above: export PATH="$(abspath $(dir $(CAPSTEAD))):$$PATH"'

.PHONY: fetch
fetch: build # Fetch or build etcd, Kubernetes and Cluster API once
	@echo "fetching the control plane's binaries (the first time they are built: some minutes)"
	@$(CAPSTEAD) fetch

.PHONY: test
test: setup lint fetch generated ## Run every check and test
	@CAPSTEAD_TEST_CLUSTERCTL="$$($(CAPSTEAD) fetch clusterctl --output json | sed -n 's/.*"path": "\(.*\)".*/\1/p')" \
	  tools/count.sh cargo test --locked --workspace --no-fail-fast

.PHONY: soak
soak: fetch ## Kill a plane's processes and the provider at random, leave fleets alone: nothing may be lost, made twice or written (75 minutes)
	@tools/count.sh tests/soak/run.sh

.PHONY: capi-1-13
capi-1-13: build ## Try the older Cluster API (built the first time)
	@$(CAPSTEAD) fetch --capi-version 1.13
	@cargo test --locked --package capstead --features nightly --test capi_1_13 -- --nocapture

.PHONY: e2e-host
e2e-host: build ## Make a whole machine, emulated, into a microVM host by ssh, break it, and take it back (half an hour)
	@cargo test --locked --workspace --features capstead/nightly --test e2e_host -- --nocapture

.PHONY: fuzz
fuzz: setup $(TOOLS)/bin/cargo-fuzz ## Fuzz the parsers of outside text: SECONDS_EACH=60, TARGETS=all of them
	@tools/fuzz.sh $(abspath $(TOOLS))/bin/cargo-fuzz "$${SECONDS_EACH:-60}" $(TARGETS)

.PHONY: bench
bench: fetch ## Time `capstead up`, beside it any PEER='command' that starts the same parts, and what 1,000 machines, 200 clusters and a microVM host cost
	@PEER="$${PEER:-}" cargo bench --locked --profile dev --workspace --bench up
	@cargo build --locked --workspace --release --bin capstead
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench machines
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench clusters
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench host

.PHONY: lint
lint: setup $(TOOLS)/bin/cargo-deny ## Format, clippy, rustdoc, layers, licences and sources
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- --deny warnings
	@RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --quiet
	@cargo xtask layers
	@$(TOOLS)/bin/cargo-deny --log-level error --locked check bans licenses sources

.PHONY: alone
alone: setup ## Build every crate alone, as its dependents would (some minutes: each has features of its own)
	@for crate in crates/*/; do echo "cargo check in $$crate"; (cd "$$crate" && cargo check --locked --quiet); done

.PHONY: ansible
ansible: build $(TOOLS)/ansible/bin/ansible-lint ## Lint the Ansible role, and run its playbook on a machine in namespaces
	@tests/ansible/run.sh $(abspath $(TOOLS))/ansible/bin $(abspath $(CAPSTEAD))

.PHONY: advisories
advisories: setup $(TOOLS)/bin/cargo-deny ## Check dependencies against the advisory database (needs the network)
	@$(TOOLS)/bin/cargo-deny check advisories

.PHONY: generate
generate: setup ## Make the generated files
	@cargo xtask generate

.PHONY: generated
generated: setup # Fail if a generated file is not what would be made
	@cargo xtask generate --check

.PHONY: docs
docs: setup $(TOOLS)/bin/mdbook ## Build the book into target/book
	@$(TOOLS)/bin/mdbook build docs --dest-dir $(abspath target/book)

.PHONY: clean
clean: ## Remove what was built here; planes and their binaries stay (capstead down --purge, ~/.cache/capstead)
	@cargo clean

$(TOOLS)/bin/cargo-deny:
	@echo "building cargo-deny $(CARGO_DENY) (once, some minutes)"
	@$(QUICK_TOOL) cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY)

$(TOOLS)/bin/cargo-fuzz:
	@$(QUICK_TOOL) cargo install --quiet --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ)

$(TOOLS)/bin/mdbook:
	@$(QUICK_TOOL) cargo install --quiet --locked --root $(TOOLS) mdbook@$(MDBOOK)

$(TOOLS)/ansible/bin/ansible-lint:
	@python3 -m venv $(TOOLS)/ansible
	@$(TOOLS)/ansible/bin/pip install --quiet ansible-core==$(ANSIBLE_CORE) ansible-lint==$(ANSIBLE_LINT)
