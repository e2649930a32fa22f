# AgentTrail. "make help" lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
TOOL    := $(GO) tool -modfile=internal/tools/go.mod
BIN     := bin/agenttrail
DATA    ?= .data
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Where Debian's package zookeeper puts the server.
ZOOKEEPER := /usr/share/java/zookeeper.jar

# The linter remembers places by path: results of another checkout of this module, from a cache they share, would be
# reported under that one's paths, and exclusions by path would miss them.
export GOLANGCI_LINT_CACHE ?= $(CURDIR)/.cache/golangci-lint

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: engines ## Set up everything and run a simulated agent marketplace until Ctrl-C
	@$(BIN) up --demo --data $(DATA) $(ARGS)

.PHONY: up
up: engines ## Run everything on this machine until Ctrl-C, without the demo's traffic
	@$(BIN) up --data $(DATA) $(ARGS)

# Tests that print figures run by themselves, and of their output what they say, and failures, is shown. What is not
# named here comes with all the others, in the last line.
SAYS  := sed -E '/^ *(=== |--- (PASS|SKIP))|^(PASS$$|ok )/d; s/^ +[a-z_]+\.go:[0-9]+: /  /'
TELLS  = sed -nE 's/^ +$(1):[0-9]+: /  /p; /^ *--- FAIL|^FAIL|^panic|^ok |Error( Trace)?:/p'
TOLD  := TestEmitterSummary|TestOneUserOfManyWorkers|TestSeededRun|TestOperations|TestRulesWithPromtool|TestRunOverhead|TestMiddlewareOverhead|TestMarketplace

.PHONY: test
test: engines ## Set up everything and run every test
	@echo "what the mapping makes of each emitter's recordings:"
	@$(GO) test ./exporter/mapping -run '^TestEmitterSummary$$' -count 1 -v | $(SAYS)
	@echo "what 64 workers do with the credits of one user:"
	@$(GO) test ./ledger/pgstore -run '^TestOneUserOfManyWorkers$$' -count 1 -v | $(call TELLS,hot_test.go)
	@echo "what the reconciliation finds among 10,000 executions of which 3.5 % do not agree:"
	@$(GO) test ./ledger/reconcile -run '^TestSeededRun$$' -count 1 -v | $(call TELLS,seeded_test.go)
	@echo "what becomes of every order of Stripe's events, and of a crash at each point between Stripe and the ledger:"
	@$(GO) test -timeout 60m ./ledger/stripepay -v | $(SAYS) | sed -E '/crash +[0-9]+,/d'
	@echo "what the SDK adds to a program, to a run and to a request:"
	@$(GO) test ./sdk -run '^(TestImports|TestRunOverhead|TestMiddlewareOverhead)$$' -count 1 -v | $(call TELLS,[a-z]+_test.go)
	@echo "what becomes of a marketplace of paid agents, and of one whose workers are killed:"
	@$(GO) test -timeout 60m ./cmd/agenttrail -run '^TestMarketplace$$' -count 1 -v | $(call TELLS,marketplace_test.go)
	@echo "what the queries of the dashboards take on the demo's data, and what a real Prometheus finds:"
	@$(GO) test -timeout 60m ./cmd/agenttrail ./dashboards -run '^(TestOperations|TestRulesWithPromtool)$$' -count 1 -v | $(SAYS)
	@echo "whether the chart, the compose file and the units are what Kubernetes, compose and systemd take:"
	cd deploy/check && $(GO) test -timeout 60m ./...
	$(GO) test -timeout 60m -skip '^($(TOLD))$$' $$($(GO) list ./... | grep -v '/ledger/stripepay$$')

.PHONY: test-image
test-image: build ## Run the steps of the Dockerfile as plain commands and look at what would be the image (compiles everything anew once)
	cd deploy/check && $(GO) test -timeout 60m -tags image -run '^TestImageSteps$$' -count 1 -v .

.PHONY: test-cluster
test-cluster: engines ## Make the tables of a cluster beside a real ZooKeeper (as root on Debian it installs that)
	@if [ ! -e $(ZOOKEEPER) ] || ! command -v java >/dev/null; then \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
			echo "this test needs Debian's ZooKeeper: on Debian, run \"apt-get install zookeeper\" as root" >&2; exit 1; \
		fi; \
		for try in 1 2 3 4 5 6; do apt-get update -qq && break; sleep 10; done; \
		DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 \
			install -y -qq --no-install-recommends zookeeper >/dev/null; \
	fi
	$(GO) test -timeout 60m -tags zookeeper ./schema -run '^TestClusterBesideZooKeeper$$' -count 1 -v

.PHONY: bench
bench: engines ## Compare with contrib's ClickHouse exporter on this machine; ARGS="-rounds 5 -spans 200000"
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	(cd bench && $(GO) run ./ingest -write "$$out" -spans 20000); \
	$(GO) test ./exporter/delivery -run '^$$' -bench '^BenchmarkStages$$' -requests "$$out" -benchtime 20x -count 5 | tr '\t' '\n' | sed -E '/^(goos|goarch|pkg|cpu|PASS|ok)/d'
	@cd bench && $(GO) run ./ingest -agenttrail ../$(BIN) $(ARGS)

.PHONY: bench-schema
bench-schema: engines ## Ask questions of large tables, beside contrib's (ten minutes, 11 GB in TMPDIR); ARGS="-spans 14500000 -days 5"
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cd bench; \
	TMPDIR=$$dir $(GO) run ./ingest -agenttrail ../$(BIN) -rounds 1 -spans 100000 -only direct,contrib -keep; \
	$(GO) run ./schema -agenttrail ../$(BIN) -data "$$(echo "$$dir"/agenttrail-bench-*/clickhouse)" -spans 14500000 $(ARGS) agenttrail=../schema/clickhouse contrib=contrib_0

.PHONY: bench-delivery
bench-delivery: engines ## Measure how fast requests are acknowledged, and what an outage of ClickHouse and too much load do (about 15 minutes)
	$(GO) test ./cmd/agenttrail -run '^$$' -bench '^BenchmarkAcknowledgement$$' -benchtime 1x -timeout 10m -load-rate 1000 -load-for 60s -load-warm-up 10s
	$(GO) test ./cmd/agenttrail -run '^$$' -bench '^BenchmarkOutage$$' -benchtime 1x -timeout 40m -outage 5m -rate 5000
	$(GO) test ./cmd/agenttrail -run '^$$' -bench '^BenchmarkOverload$$' -benchtime 1x -timeout 40m -overload 5m -order 1h

FOR ?= 10m

.PHONY: soak
soak: engines ## Do everything to the ledger at once and in any order for FOR=10m; SEED=17 does the same again
	$(GO) test ./ledger/pgstore -run '^(TestModel|TestStorm)$$' -count 1 -v -timeout 0 -ledger-for $(FOR) -ledger-seed $(or $(SEED),0)

.PHONY: soak-user
soak-user: FOR = 30s
soak-user: engines ## Let 64 workers spend the credits of one user for FOR=30s, and print how long that takes them
	$(GO) test ./ledger/pgstore -run '^TestOneUserOfManyWorkers$$' -count 1 -v -timeout 0 -ledger-hot-for $(FOR)

.PHONY: bench-reconcile
bench-reconcile: engines ## Compare the charges and the telemetry of a million executions, and measure time and memory; N=10000000
	$(GO) test ./ledger/reconcile -run '^$$' -bench '^BenchmarkReconcile$$' -benchtime 1x -timeout 60m -recon-bench-executions $(or $(N),1000000)

.PHONY: marketplace
marketplace: FOR = 60s
marketplace: KILLS = 20
marketplace: engines ## Let examples/marketplace run for FOR=60s, again while KILLS=20 workers are killed, and compare all that knows of its runs
	$(GO) test ./cmd/agenttrail -run '^TestMarketplace$$' -count 1 -v -parallel 1 -timeout 60m -marketplace-for $(FOR) -marketplace-kills $(KILLS)

SEEDS ?= 200

.PHONY: faults
faults: engines ## Break the collector and ClickHouse in SEEDS=200 rounds and count the rows; SEED=17 plays one again
	$(GO) test ./cmd/agenttrail -run '^TestFaults$$' -count 1 -v -timeout 120m -fault-time 0 -fault-kinds '$(KINDS)' $(if $(SEED),-fault-seed $(SEED) -fault-rounds 1,-fault-rounds $(SEEDS))

KILLS ?= 50

.PHONY: ledger-kills
ledger-kills: engines ## Kill the ledger under load KILLS=50 times and check the books after each start
	$(GO) test ./cmd/agenttrail -run '^TestLedgerKilledUnderLoad$$' -count 1 -v -timeout 60m -ledger-kills $(KILLS)

REQUESTS ?= 200000

.PHONY: ledger-fuzz
ledger-fuzz: engines ## Send REQUESTS=200000 requests made of the ledger's description at random; SEED=17 plays one again
	$(GO) test ./ledger/httpapi -run '^TestFuzzDescription$$' -count 1 -v -timeout 60m -api-fuzz-requests $(REQUESTS) -api-fuzz-seed $(or $(SEED),0)

.PHONY: bench-ledger
bench-ledger: build ## Compare the ledger over HTTP with pgbench's TPC-B on the same Postgres; ARGS="-rounds 5 -for 15s"
	@cd bench && $(GO) run ./ledger -agenttrail ../$(BIN) $(ARGS)

.PHONY: emitters
emitters: ## Run the real emitters again, or EMITTERS="ai7 http", and compare with their recordings (needs node and npm)
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	OUT=$$out examples/emitters/record.sh $(EMITTERS); \
	$(GO) run ./examples/emitters/compare exporter/mapping/testdata/recorded "$$out"

.PHONY: emitters-record
emitters-record: ## Record the real emitters anew, all or EMITTERS="ai7 http" (needs node and npm)
	@examples/emitters/record.sh $(EMITTERS)

.PHONY: lint
lint: ## Check style and known mistakes
	$(TOOL) golangci-lint run ./...

.PHONY: format
format: ## Format the code
	$(TOOL) golangci-lint fmt ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the network)
	$(TOOL) govulncheck ./...

.PHONY: generate
generate: ## Write generated files anew
	$(GO) generate ./...

.PHONY: build
build: ## Build the binary
	@echo "building $(BIN); the first time takes a few minutes"
	@$(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/agenttrail

.PHONY: engines
engines: build ## Fetch the embedded ClickHouse and Postgres once, into a cache of this user
	@$(BIN) engines

.PHONY: clean
clean: ## Remove what was built, the linter's cache and the demo's data
	rm -rf bin .cache $(DATA)
