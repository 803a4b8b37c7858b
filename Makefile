# The project's commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

export KEYS ?= 100000
export VALUE_BYTES ?= 1024
export KEEP ?= 1
SEEDS ?= 1000
FROM ?= 1
HISTORY ?=
CHANGE ?=
ROUNDS ?= 5
SEED ?=
SECONDS ?= 20
WIDE ?=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: ## install what is missing on this machine (Debian packages), quickly when all is there
	@scripts/setup

.PHONY: cluster-setup
cluster-setup: setup
	@if [ "$$(scripts/cluster which)" = embedded ]; then scripts/setup --embedded; fi

.PHONY: build
build: setup ## every binary, optimised enough for tests and the demo
	cargo build --locked --workspace --all-targets

.PHONY: images
images: build cluster-setup ## container images without docker, into target/images
	scripts/images

.PHONY: demo
demo: images ## a Kubernetes, the store on it, 3 -> 5 -> 3 under load, and a verdict (KEYS=, VALUE_BYTES=, KEEP=0)
	target/debug/demo

.PHONY: demo-down
demo-down: ## take the demo's Kubernetes down
	scripts/cluster down

.PHONY: test
test: lint unit planted licences harness-test e2e ## everything that must pass: format, lints, unit, property, real processes, real Kubernetes

.PHONY: lint
lint: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cd tests/kubernetes && test -z "$$(gofmt -l .)"

.PHONY: unit
unit: build ## unit and property tests, and the local cluster of real processes
	cargo test --locked --workspace

.PHONY: soak
soak: build ## more seeds of the simulation (SEEDS=, FROM=; CHANGE=1: members come and go; HISTORY=1 prints what happened)
	target/debug/soak --seeds $(SEEDS) --from $(FROM) $(if $(CHANGE),--change) $(if $(HISTORY),--history)

.PHONY: nemesis
nemesis: build ## real processes under kill -9, cuts, full and stalled disks, judged (ROUNDS=, SEED=, SECONDS= of faults a round)
	target/debug/nemesis --rounds $(ROUNDS) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: planted
planted: setup ## faults planted in the node, one after another: the simulation has to find each
	cargo run --locked -q -p dynamo-simulation --features planted --bin planted

.PHONY: model
model: setup ## every order of events of a change of layout, within bounds; and what each rule of it is for (WIDE=1 for more)
	cargo run --locked -q -p dynamo-model --bin model -- $(if $(WIDE),--wide)

.PHONY: movement
movement: setup ## what 15,000 changes of size move over the least possible, beside other ways to place keys
	cargo build --locked -q -p dynamo-movement --bins
	mkdir -p target/movement
	target/debug/movement-plans | target/debug/movement-bound --plot target/movement/movement.svg | tee target/movement/movement.md

.PHONY: bench-merkle
bench-merkle: setup ## one difference among a million keys: what finding it costs; fails beyond 8 KiB
	cargo run --locked --release -q -p dynamo-node --example merkle_difference

.PHONY: bench-rebalance
bench-rebalance: setup ## what 3 -> 4 -> 3 costs with a million keys, into target/bench/rebalance.json (KEYS=, RATE=)
	cargo build --locked --release -p dynamo-node -p dynamo-rebalance
	KEYS=$(if $(filter file,$(origin KEYS)),1000000,$(KEYS)) target/release/bench-rebalance

.PHONY: licences
licences: setup
	scripts/licences

.PHONY: e2e
e2e: images ## the end-to-end scenarios on a real Kubernetes
	target/debug/e2e

.PHONY: harness-test
harness-test: cluster-setup ## the Kubernetes harness's own tests
	cd tests/kubernetes && CGO_ENABLED=0 go test ./internal/...

.PHONY: crds
crds: ## write crds/ and the chart's CRD template anew from the types
	cargo run --locked -q -p dynamo-operator --bin crdgen -- --write
