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
demo: build ## Show a real cluster come up: two microVMs of this machine become nodes (10 minutes; the first time 25)
	@$(CAPSTEAD) demo
	@echo; echo 'For the commands above: export PATH="$(abspath $(dir $(CAPSTEAD))):$$PATH"'

.PHONY: demo-simulated
demo-simulated: build ## The same on simulated hosts: no container runs, and it takes a minute
	@$(CAPSTEAD) demo --simulated
	@echo; echo 'For the commands above: export PATH="$(abspath $(dir $(CAPSTEAD))):$$PATH"'

.PHONY: fetch
fetch: build # Fetch or build etcd, Kubernetes, Cluster API and a node image once
	@echo "fetching the control plane's binaries and a node image (the first time they are built: some twenty minutes)"
	@$(CAPSTEAD) fetch --nodes

.PHONY: test
test: build ## Run every check and test
	@echo "fetching the control plane's binaries and a node image, beside the checks (the first time they are built: some twenty minutes); target/fetch.log has more"
	@$(CAPSTEAD) fetch --nodes >target/fetch.log 2>&1 & fetching=$$!; trap "kill $$fetching 2>/dev/null || true" EXIT; \
	  $(MAKE) --no-print-directory lint generated; \
	  cargo test --locked --workspace --no-run --quiet; \
	  wait $$fetching || { cat target/fetch.log; exit 1; }
	@CAPSTEAD_TEST_CLUSTERCTL="$$($(CAPSTEAD) fetch clusterctl --output json | sed -n 's/.*"path": "\(.*\)".*/\1/p')" \
	  tools/count.sh cargo test --locked --workspace --no-fail-fast

.PHONY: soak
soak: fetch ## Kill a plane's processes and the provider at random, leave fleets alone: nothing may be lost, made twice or written (75 minutes)
	@tools/count.sh tests/soak/run.sh

.PHONY: node-image
node-image: setup ## Build real node images and kernels twice, which must be the same (three quarters of an hour)
	@tools/count.sh cargo test --locked --workspace --test debian --test node_image -- --ignored --test-threads 1 --nocapture

.PHONY: capi-1-13
capi-1-13: build ## Try the older Cluster API (built the first time): what it promises, clusters' lives, clusterctl
	@$(CAPSTEAD) fetch --capi-version 1.13
	@CAPSTEAD_TEST_CAPI_VERSION=1.13 CAPSTEAD_TEST_CLUSTERCTL="$$($(CAPSTEAD) fetch clusterctl --capi-version 1.13 --output json | sed -n 's/.*"path": "\(.*\)".*/\1/p')" \
		tools/count.sh cargo test --locked --workspace --no-fail-fast --test cluster_api --test workload --test clusterctl

.PHONY: e2e-host
e2e-host: build $(TOOLS)/ansible/bin/ansible-lint ## Make whole machines, emulated, into microVM hosts by ssh and by Ansible, break them, and take it back (over an hour)
	@CAPSTEAD_TEST_ANSIBLE=$(abspath $(TOOLS))/ansible/bin cargo test --locked --workspace --features capstead/nightly --test e2e_host -- --nocapture --test-threads=1

# Upstream's names and variables. E2E_FLINTLOCK_HOSTS, E2E_CAPMVM_VIP and E2E_FLINTLOCK_HOST reach the suite by the environment, too.
TEST_ARTEFACTS ?= $(HOME)/flintlock/_artefacts
E2E_ARGS ?=
E2E_HOSTS = $(E2E_FLINTLOCK_HOSTS)$(findstring e2e.flintlock-hosts,$(E2E_ARGS))$(findstring own-hosts,$(E2E_ARGS))
# Without addresses of hosts it starts two of its own.
E2E_GIVEN = $(if $(E2E_HOSTS),,--own-hosts 2 --isolated) $(if $(E2E_FLINTLOCK_HOSTS),-e2e.flintlock-hosts $(E2E_FLINTLOCK_HOSTS)) $(if $(E2E_CAPMVM_VIP),-e2e.capmvm.vip-address=$(E2E_CAPMVM_VIP))
E2E = $(CAPSTEAD) e2e -e2e.artefact-dir $(TEST_ARTEFACTS) $(if $(E2E_CONFIG),-e2e.config=$(E2E_CONFIG))

.PHONY: e2e
e2e: build ## Run the acceptance suite: E2E_ARGS="-e2e.flintlock-hosts HOST:PORT,…" or "-e2e.use-flintlock-mock"
	@$(E2E) $(E2E_ARGS)

.PHONY: e2e-v1beta2
e2e-v1beta2: e2e # The plane's Cluster API has this contract

.PHONY: e2e-with-flintlock
e2e-with-flintlock: e2e-check-real build ## The same on real hosts: E2E_FLINTLOCK_HOSTS=HOST:PORT,… E2E_CAPMVM_VIP=IP; without, on two of this machine (20 minutes)
	@$(E2E) $(E2E_GIVEN) $(E2E_ARGS)

.PHONY: e2e-with-flintlock-retain-artifacts
e2e-with-flintlock-retain-artifacts: e2e-check-real build ## The same, and leave clusters and plane up
	@$(E2E) $(E2E_GIVEN) -e2e.skip-cleanup $(E2E_ARGS)

.PHONY: e2e-with-flintlock-mock
e2e-with-flintlock-mock: build ## The same on simulated hosts (two minutes)
	@$(E2E) -e2e.use-flintlock-mock $(E2E_ARGS)

.PHONY: e2e-with-flintlock-mock-retain-artifacts
e2e-with-flintlock-mock-retain-artifacts: build # The same, and leave clusters and plane up
	@$(E2E) -e2e.use-flintlock-mock -e2e.skip-cleanup $(E2E_ARGS)

.PHONY: e2e-upgrade
e2e-upgrade: build ## Upgrade a cluster of real nodes by a minor version, and kill a worker's microVM (20 minutes; the first time another node is built)
	@$(CAPSTEAD) e2e -e2e.artefact-dir $(TEST_ARTEFACTS) --own-hosts 1 --isolated -e2e.config tests/e2e/upgrade.yaml $(E2E_ARGS)

.PHONY: e2e-faults
e2e-faults: build ## Put ten faults into clusters of real nodes; each must be told by a condition or by `capstead debug` (an hour)
	@$(CAPSTEAD) fetch --nodes
	@tools/count.sh cargo test --locked --workspace --features capstead/nightly --test e2e_faults -- --nocapture

.PHONY: e2e-check-real
e2e-check-real:
	$(if $(findstring e2e.use-flintlock-mock,$(E2E_ARGS)),$(error $(MAKECMDGOALS) is for real hosts: take -e2e.use-flintlock-mock out of E2E_ARGS, or run make e2e-with-flintlock-mock))

# Names that upstream has and that make no sense here.
.PHONY: e2e-v1beta1 docker-build-e2e docker-build compile-e2e check-e2e-prereqs
e2e-v1beta1:
	@echo "The plane's Cluster API has the contract v1beta2; v1beta1 went with Cluster API 1.10. Run: make e2e" >&2; exit 1

docker-build-e2e docker-build:
	@echo "There is no image to build: the provider is part of capstead, which make e2e builds. Run: make e2e" >&2; exit 1

compile-e2e check-e2e-prereqs:
	@echo "The suite needs neither kustomize nor kind nor Docker, and is part of capstead. Run: make e2e" >&2; exit 1

.PHONY: fuzz
fuzz: setup $(TOOLS)/bin/cargo-fuzz ## Fuzz the parsers of outside text: SECONDS_EACH=60, TARGETS=all of them
	@tools/fuzz.sh $(abspath $(TOOLS))/bin/cargo-fuzz "$${SECONDS_EACH:-60}" $(TARGETS)

.PHONY: bench
bench: fetch ## Time `capstead up`, beside it any PEER='command' that starts the same parts, and what 1,000 machines, 200 clusters, a microVM host and two real nodes cost
	@PEER="$${PEER:-}" cargo bench --locked --profile dev --workspace --bench up
	@cargo build --locked --workspace --release --bin capstead
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench machines
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench clusters
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench host
	@CAPSTEAD="$${CAPSTEAD:-$$PWD/target/release/capstead}" cargo bench --locked --profile dev --workspace --bench nodes

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

.PHONY: release
release: setup ## Make a release of the provider for clusterctl, and its image, in target/release-files: VERSION=v0.11.0
	@cargo xtask release --version $(or $(VERSION),$(error say which: make release VERSION=v0.11.0))

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
