# Every target sets up what it needs first; once all is there that takes seconds.

.DEFAULT_GOAL := help
.PHONY: help setup run build dashboard test test-native test-node test-browser test-process sim scale chaos abuse partition fuzz fuzz-live tour frames bench bench-peers bench-table lint check fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install all that building, running and testing need
	@scripts/setup all

run: build dashboard ## start eight nodes and the dashboard; Ctrl-C ends all, the data stays in data/
	@exec target/release/cubecast up --web dist --data data $(ARGS)

build: ## compile the cubecast binary: target/release/cubecast
	@scripts/setup native
	cargo build --release -p cubecast-node --bin cubecast

dashboard: ## compile the dashboard for the browser: dist/
	@scripts/setup native wasm trunk
	scripts/dashboard

test: ## run all tests: natively, in Node.js, in Chromium and on real processes
	@scripts/setup all
	@scripts/test native node browser process

test-native: ## run the tests of core, node and web's pure parts natively
	@scripts/setup native
	@scripts/test native

test-node: ## run core's tests as WebAssembly in Node.js
	@scripts/setup all
	@scripts/test node

test-browser: ## run core's and web's tests as WebAssembly in headless Chromium
	@scripts/setup all
	@scripts/test browser

test-process: ## run the tests on real processes, with a real browser before them
	@scripts/setup all
	@scripts/test process

sim: build ## break simulated clusters for ten minutes in every way there is, and check every promise
	target/release/cubecast sim --minutes $(or $(MINUTES),10) $(ARGS)

scale: build ## measure how hops, frames and times grow from 16 to 1,024 simulated nodes, and draw docs/scale.svg
	target/release/cubecast scale --graph docs/scale.svg $(ARGS)

chaos: build ## break real processes for ten minutes while clients use them, and check what they promised
	target/release/cubecast chaos --minutes $(or $(MINUTES),10) $(ARGS)

abuse: build ## attack one node of eight as a stranger, in every way for a minute: its memory, and what others notice
	@CUBECAST_BIN=$(CURDIR)/target/release/cubecast cargo test --workspace --exclude cubecast-peers --test abuse -- --ignored --nocapture every_attack_for_a_minute

partition: build ## cut the network between real nodes from outside, where this machine allows it
	@CUBECAST_BIN=target/release/cubecast scripts/partition $(ARGS)

fuzz: ## feed random bytes to every decoder, a minute each: make fuzz ARGS=600 for longer
	@scripts/setup native
	@scripts/fuzz $(ARGS)

fuzz-live: build ## send mutated HTTP, requests, frames and handshakes to one node of eight for ten minutes
	@CUBECAST_BIN=$(CURDIR)/target/release/cubecast cargo test --workspace --exclude cubecast-peers --test abuse -- --ignored --nocapture mutated_input_for_ten_minutes

tour: ## take the README's pictures of the dashboard anew, from a real run: docs/tour.png
	@scripts/setup all
	@scripts/tour

frames: build ## measure the live page for five minutes under load: frames a second, events a second, memory
	@scripts/setup all
	@scripts/frames $(ARGS)

bench: build ## measure every API, publishes, reads, fan-out, 2 to 16 nodes, slow links and failures: target/bench.html
	target/release/cubecast bench --page target/bench.html --save target/bench.json $(ARGS)

bench-peers: ## measure beside NATS JetStream, Redis Streams, RabbitMQ, Mosquitto and the source system; installs what is missing
	@scripts/setup native peers
	@scripts/peers $(ARGS)

bench-table: ## print what the last bench and bench-peers aimed at, and what came of it, as docs/PERFORMANCE.md has it
	@scripts/peers --table target/bench-peers.json target/bench.json

lint: ## check format and lints, natively and for wasm32
	@scripts/setup native wasm
	@scripts/lint

check: lint test-native ## what to run before a commit: format, lints and the native tests

fmt: ## format the code
	cargo fmt --all

clean: ## remove what was built; data/ stays
	rm -rf target target-wasm dist
