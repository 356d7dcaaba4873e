# Every target first installs its missing prerequisites. If none are missing, this takes seconds.

.DEFAULT_GOAL := help
.PHONY: help setup run build lab dist dashboard serve test test-native test-node test-browser test-process sim scale chaos verify abuse partition fuzz fuzz-live tour frames bench bench-peers bench-table lint check fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything needed to build, run and test
	@scripts/setup all

run: ## start eight nodes and the dashboard; Ctrl-C stops them, data/ is kept
	@exec scripts/run --data data $(ARGS)

build: ## build target/release/cubecast; it contains the dashboard if `make dashboard` has built it
	@scripts/setup native
	cargo build --release -p cubecast-node --bin cubecast

dist: ## build both binaries as releases are built, optimised across all crates: target/dist/
	@scripts/setup native
	cargo build --profile dist -p cubecast-node --bin cubecast
	cargo build --profile dist -p cubecast-lab --bin cubecast-lab

lab: ## build the laboratory, the tests and measurements below: target/release/cubecast-lab
	@scripts/setup native
	cargo build --release -p cubecast-lab --bin cubecast-lab

dashboard: ## build the dashboard for the browser: dist/
	@scripts/setup native wasm
	scripts/dashboard

serve: ## serve the dashboard on port 8080 and rebuild it at every change, for work on it
	@scripts/setup native wasm runner trunk
	scripts/wasm trunk serve $(ARGS)

test: ## run all tests: natively, in Node.js, in Chromium and on real processes
	@scripts/setup native wasm browser
	@scripts/test native node browser process

test-native: ## run the native tests of core, node and web's pure parts
	@scripts/setup native
	@scripts/test native

test-node: ## run simulated clusters as WebAssembly in Node.js
	@scripts/setup all
	@scripts/test node

test-browser: ## run simulated clusters and web's tests as WebAssembly in headless Chromium
	@scripts/setup all
	@scripts/test browser

test-process: ## run the tests on real processes, with a real browser
	@scripts/setup all
	@scripts/test process

sim: lab ## inject all faults into simulated clusters for ten minutes and check every promise
	target/release/cubecast-lab sim $(if $(findstring --seed,$(ARGS)),,--minutes $(or $(MINUTES),10)) $(ARGS)

scale: lab ## measure hops, frames and times of 16 to 1,024 simulated nodes; writes docs/scale.svg
	target/release/cubecast-lab scale --graph docs/scale.svg $(ARGS)

chaos: build lab ## inject faults into real processes for ten minutes and check their promises to clients
	target/release/cubecast-lab chaos --minutes $(or $(MINUTES),10) $(ARGS)

verify: lab ## check the guarantees on the running cluster of `make run`; makes nodes fail for moments
	target/release/cubecast-lab verify $(ARGS)

abuse: dist ## run each attack on one node of eight for a minute; prints its memory and others' latency
	@CUBECAST_BIN=$(CURDIR)/target/dist/cubecast cargo test --workspace --exclude cubecast-peers --no-default-features --test abuse -- --ignored --nocapture every_attack_for_a_minute

partition: build lab ## partition real nodes with network namespaces; needs root, skipped without
	@scripts/partition $(ARGS)

fuzz: ## fuzz every decoder for a minute each; ARGS=600 for ten minutes each
	@scripts/setup native
	@scripts/fuzz $(ARGS)

fuzz-live: dist ## send mutated HTTP, requests, frames and handshakes to one node of eight for ten minutes
	@CUBECAST_BIN=$(CURDIR)/target/dist/cubecast cargo test --workspace --exclude cubecast-peers --no-default-features --test abuse -- --ignored --nocapture mutated_input_for_ten_minutes

tour: ## take the README's pictures of the dashboard from real runs: docs/dashboard.png, docs/tour.png
	@scripts/setup all
	@scripts/tour

frames: dist ## measure the live page under load for five minutes: frames/s, events/s, memory
	@scripts/setup all
	@scripts/frames $(ARGS)

bench: dist ## measure APIs, publishes, reads, fan-out, 2 to 16 nodes, slow links, failures: target/bench.html
	target/dist/cubecast-lab bench --page target/bench.html --save target/bench.json $(ARGS)

bench-peers: ## compare with JetStream, Redis Streams, RabbitMQ, Mosquitto and the source system, installing them
	@scripts/setup native peers
	@scripts/peers $(ARGS)

bench-table: ## print targets and results of the last bench and bench-peers, as in docs/PERFORMANCE.md
	@scripts/peers --table target/bench-peers.json target/bench.json

lint: ## check formatting, import cycles and lints, natively and for wasm32, and the dependencies
	@scripts/setup native wasm deny
	@scripts/lint

check: lint test-native ## run before each commit: make lint and the native tests

fmt: ## format the code
	cargo fmt --all

clean: ## remove build output; data/ is kept
	rm -rf target target-wasm dist
