# `make` shows what there is. Everything that is downloaded goes to .cache.

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/masixun71/cupid/ipc.Build=$(VERSION)
CACHE := $(CURDIR)/.cache
GOLANGCI := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)
# The race detector needs a C compiler; without one the tests run without it.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
# Modules beside the main one, with heavier dependencies.
MODULES := scripts/schema
FUZZTIME ?= 10s
# Of make chaos; a seed of 0 is a random one.
SEED ?= 0
MINUTES ?= 3
CHAOS := $(CACHE)/chaos

.DEFAULT_GOAL := help
.PHONY: help build demo test race power fuzz bench bench-sweep chaos chaos-build chaos-control check-the-checks e2e lint vuln fmt schema check clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/cupid-master and bin/cupid-worker
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

demo: build ## show the main job on a private MariaDB in under a minute (KEEP=1 leaves it running)
	@go build -o $(CACHE)/demo ./scripts/demo && $(CACHE)/demo $(if $(KEEP),-keep)

test: ## run all tests against a private MariaDB, race detector on
	@# The longest first: chaos mostly waits.
	go test $(RACE) -parallel 3 -timeout 15m ./scripts/chaos ./cmd/... ./...
	@set -e; for m in $(MODULES); do echo "cd $$m && go test ./..."; (cd $$m && go test ./...); done
	@$(MAKE) --no-print-directory power

power: ## cut the power at every point of a recorded run of the queue and the cache file
	go test -run PowerLoss ./pkg/queue ./pkg/cache

race: ## run the tests again, each ten times, to find what happens seldom
	go test -race -count=10 -short -timeout 60m ./ipc/... ./pkg/...

e2e: ## run the tests of the real binaries only
	go test $(RACE) -parallel 3 -timeout 15m ./cmd/...

check-the-checks: ## break each promise on purpose and see its test fail (ONLY=G3 for some; all take half an hour)
	go run ./scripts/breaks -only '$(ONLY)'

fuzz: ## run every fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh $(FUZZTIME)

bench: build ## measure, each against a limit in the same run
	scripts/bench.sh

bench-sweep: build ## measure whole sweeps of a million rows, against the bare queries in the same run
	scripts/bench-sweep.sh

# With the points at which a test may have a process die; released binaries have none (pkg/failpoint).
chaos-build:
	@mkdir -p $(CHAOS)
	@CGO_ENABLED=0 go build -tags failpoint -ldflags '$(LDFLAGS)' -o $(CHAOS)/ ./cmd/...
	@go build -o $(CHAOS)/chaos ./scripts/chaos

chaos: chaos-build ## kill and spoil everything for MINUTES (3) and hold cupid to its promises; SEED does the same things again
	@$(CHAOS)/chaos -bin $(CHAOS) -seed $(SEED) -minutes $(MINUTES)

chaos-control: chaos-build ## the same with the algorithm of the PHP original, which has to break the promises
	@$(CHAOS)/chaos -original -seed $(SEED) -minutes $(MINUTES); test $$? -eq 1

lint: $(GOLANGCI) ## run the linters
	$(GOLANGCI) run ./...
	@$(MAKE) --no-print-directory vuln

vuln: ## look for known vulnerabilities, where their data can be reached
	@scripts/vuln.sh $(GOVULNCHECK_VERSION)

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

schema: ## generate examples/cupid.schema.json from the structs
	cd scripts/schema && go run .

check: test lint ## what CI runs

clean: ## remove what was built; .cache stays
	rm -rf bin

$(GOLANGCI):
	GOBIN=$(CACHE)/bin/tmp go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(CACHE)/bin/tmp/golangci-lint $@
