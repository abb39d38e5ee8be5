# Firebreak. `make help` lists what there is; nothing but Go, make and git has to be installed.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
GO            ?= go

# One set of flags for everything that compiles: ocb builds with -trimpath and without cgo, and a build
# with other flags shares nothing with it in the cache. Only -race needs cgo.
export GOWORK      := off
export GOFLAGS     := -trimpath -buildvcs=false
export CGO_ENABLED := 0

# Each folder with a go.mod is a module of its own; "." is what users import. Only pins, no code: internal/tools.
MODULES   := $(shell find . -name go.mod -not -path './.*/*' -not -path './out/*' -exec dirname {} \; | sort)
WITH_CODE := $(filter-out ./internal/tools,$(MODULES))
# What ocb generates has no tests: to compile it is the work of "build".
TESTED    := $(filter-out ./cmd/otelcol-custom,$(WITH_CODE))
TOOLS     := $(CURDIR)/.tools
TOOL_MODS := internal/tools/go.mod internal/tools/go.sum
GOFMT      = "$$($(GO) env GOROOT)/bin/gofmt"
GO_FILES   = find . -name '*.go' -not -path './.*/*' -not -path './out/*'

# What the generators write, and nothing else may differ after them.
GENERATED := ':(glob)processor/**/generated_*.go' ':(glob)processor/*/documentation.md' \
             ':(glob)processor/*/README.md' cmd/otelcol-custom docs/attributes.md docs/incident-report.md

INCIDENT ?= postgres-lock
ENDPOINT ?= 127.0.0.1:4317
OUT      ?=
DATASET  ?=
ARGS     ?=
FAULT    ?=
BROKER   ?=
FILES    ?= testdata/scenarios/[0-9]*.yaml
SEEDS    ?= 1

# $(call each,MODULES,COMMAND) runs a command in every one of the modules.
each = for m in $(1); do echo "== $$m: $(strip $(2))"; (cd $$m && $(2)); done

##@ Try it

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z][a-z0-9-]*:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: otelcol ## Replay a recorded incident through the collector and read the verdict (INCIDENT=postgres-lock)
	@$(GO) build -o bin/demo ./cmd/demo
	@bin/demo -incident '$(INCIDENT)'

.PHONY: demo-live
demo-live: ## Replay it in real time to a collector that runs already (INCIDENT=, ENDPOINT=127.0.0.1:4317)
	@$(GO) build -o bin/demo ./cmd/demo
	@bin/demo -live -incident '$(INCIDENT)' -endpoint '$(ENDPOINT)'

.PHONY: otelcol
otelcol: ## Build bin/otelcol-custom, the collector with both processors
	@echo "Building bin/otelcol-custom; the first time takes some minutes ..."
	@cd cmd/otelcol-custom && { $(GO) list -deps . | sed 's/^/dep /' \
		&& $(GO) build -v -ldflags='-s -w' -o ../../bin/otelcol-custom .; } 2>&1 | ../../internal/tools/progress.sh

##@ Change it

.PHONY: build
build: tools ## Compile every module
	@$(call each,$(WITH_CODE),$(GO) build -o /dev/null ./...)

.PHONY: test
test: ## Test every module, ours with the race detector where there is a C compiler
	@if echo '#include <stdlib.h>' | $$($(GO) env CC) -x c -c -o /dev/null - 2>/dev/null; then \
		CGO_ENABLED=1 $(GO) test -race ./...; \
	else \
		echo "make test: no C compiler here, so the tests run WITHOUT the race detector"; \
		$(GO) test ./...; \
	fi
	@$(call each,$(filter-out .,$(TESTED)),$(GO) test ./...)

.PHONY: test-short
test-short: ## Test our packages quickly: short, without the race detector
	@$(GO) test -short ./...

.PHONY: lint
lint: $(TOOLS)/staticcheck ## gofmt, go vet and staticcheck in every module
	@unformatted=$$($(GO_FILES) -exec $(GOFMT) -s -l {} +); \
		if [ -n "$$unformatted" ]; then printf 'not formatted (gofmt -s -w mends it):\n%s\n' "$$unformatted"; exit 1; fi
	@$(call each,$(WITH_CODE),$(GO) vet ./...)
	@$(call each,$(WITH_CODE),$(TOOLS)/staticcheck ./...)

.PHONY: generate
generate: $(TOOLS)/mdatagen $(TOOLS)/builder ## Write what is generated anew: mdatagen, the collector by ocb, two pages of docs
	@PATH="$(TOOLS):$$PATH" $(GO) generate ./...
	@$(TOOLS)/builder --config builder-config.yaml --skip-compilation --skip-strict-versioning=false
	@$(GOFMT) -s -w cmd/otelcol-custom
	@$(GO) run ./cmd/docs

.PHONY: bench
bench: ## Cost per span, ours and our peers', and of a breaker's record path (OUT=file.json also writes the rows)
	@cd bench && $(GO) run . $(if $(OUT),-out '$(abspath $(OUT))')

.PHONY: scenarios
scenarios: ## Simulate failures and judge the verdicts (FILES='glob', SEEDS=1, OUT=file.json, ARGS='-rate 20 -v')
	@$(GO) build -o bin/scenarios ./cmd/scenarios
	@bin/scenarios -files '$(FILES)' -seeds '$(SEEDS)' $(if $(OUT),-out '$(OUT)') $(ARGS)

.PHONY: scenarios-full
scenarios-full: ## The same at all axes: traffic, sampling, skew, loss, disorder, logs, severity (SEEDS=1; takes long)
	@$(GO) build -o bin/scenarios ./cmd/scenarios
	@bin/scenarios -full -files '$(FILES)' -seeds '$(SEEDS)' $(if $(OUT),-out '$(OUT)') $(ARGS)

.PHONY: accuracy
accuracy: ## How often Explain names the guilty one of labelled incidents (DATASET=dir, OUT=file.json, ARGS='-logs=false -kinds=false -explain')
	@[ -n '$(DATASET)' ] || { echo "say which: make accuracy DATASET=dir (a folder with labels.json)"; exit 2; }
	@$(GO) run ./cmd/accuracy -dataset '$(DATASET)' $(if $(OUT),-out '$(OUT)') $(ARGS)

.PHONY: ablation
ablation: ## The same without each kind of evidence, and with each alone (DATASET=dir)
	@[ -n '$(DATASET)' ] || { echo "say which: make ablation DATASET=dir (a folder with labels.json)"; exit 2; }
	@$(GO) run ./cmd/accuracy -ablation -dataset '$(DATASET)' $(if $(OUT),-out '$(OUT)') $(ARGS)

.PHONY: tools
tools: $(TOOLS)/builder $(TOOLS)/mdatagen $(TOOLS)/staticcheck ## Build the pinned tools into .tools

$(TOOLS)/builder: $(TOOL_MODS)
	@cd internal/tools && $(GO) build -o $@ go.opentelemetry.io/collector/cmd/builder
$(TOOLS)/mdatagen: $(TOOL_MODS)
	@cd internal/tools && $(GO) build -o $@ go.opentelemetry.io/collector/cmd/mdatagen
$(TOOLS)/staticcheck: $(TOOL_MODS)
	@cd internal/tools && $(GO) build -o $@ honnef.co/go/tools/cmd/staticcheck

.PHONY: clean
clean: ## Remove what was built and written: bin, out, .tools
	@rm -rf bin out .tools

##@ Check it

.PHONY: check-generate
check-generate: generate ## Generated code is what the generators write
	@git diff --exit-code -- $(GENERATED) || { echo "the generated code above differs: commit what 'make generate' writes"; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
		if [ -n "$$new" ]; then printf 'generated but not committed:\n%s\n' "$$new"; exit 1; fi

# The newer ones do not build together; `go mod tidy` lifts to them whenever an import has no pin.
.PHONY: check-pins
check-pins: ## Every Collector module is of the release we pin: 1.64 / 0.158
	@off=$$(grep -oE '(go\.opentelemetry\.io/collector|github\.com/open-telemetry/opentelemetry-collector-contrib)[^ ]* v[^ ]+' \
			/dev/null builder-config.yaml $(addsuffix /go.mod,$(MODULES)) \
		| grep -vE 'go\.opentelemetry\.io/collector[^ ]* v(1\.64|0\.158)\.[0-9]+$$' \
		| grep -vE 'opentelemetry-collector-contrib[^ ]* v0\.158\.[0-9]+$$' || true); \
		if [ -n "$$off" ]; then printf 'off the pins (go get module@version sets them):\n%s\n' "$$off"; exit 1; fi

.PHONY: check-tidy
check-tidy: ## Every go.mod and go.sum is tidy
	@$(call each,$(MODULES),$(GO) mod tidy -diff)

.PHONY: check-configs
check-configs: otelcol ## Every configuration that ships starts, two tiers agree, the dashboard reads what there is
	@FIREBREAK_COLLECTOR='$(CURDIR)/bin/otelcol-custom' $(GO) test -count=1 ./e2e

.PHONY: e2e-deps
e2e-deps: ## Build Jaeger, and fetch Prometheus and Alertmanager, into a cache outside the repository
	@$(GO) run ./e2e -deps

.PHONY: e2e
e2e: otelcol $(TOOLS)/builder ## Replay an incident live into Jaeger, Prometheus, Alertmanager (SOURCE=lab: a real fault instead; E2E_REQUIRE=all: none may be absent)
	@$(GO) build -o bin/demo ./cmd/demo
	@$(if $(filter lab,$(SOURCE)),cd lab && $(GO) build -o ../bin/lab ./cmd/lab)
	@$(GO) build -o bin/e2e ./e2e
	@bin/e2e -source $(or $(SOURCE),recording)

.PHONY: ci
ci: ## All that CI runs
	@.ci/run

##@ Record incidents

.PHONY: lab-deps
lab-deps: ## Install what the lab runs on: PostgreSQL and Redis
	@cd lab && $(GO) run ./cmd/lab deps

.PHONY: lab-kafka
lab-kafka: ## Fetch Apache Kafka into a cache outside the repository and start it on loopback
	@cd lab && $(GO) run ./cmd/lab kafka start

.PHONY: lab-record
lab-record: ## Record one incident into testdata/incidents (FAULT=postgres-lock, BROKER=127.0.0.1:9092 for a Kafka that runs)
	@[ -n '$(FAULT)' ] || { echo "say which: make lab-record FAULT=postgres-lock"; cd lab && $(GO) run ./cmd/lab faults; exit 2; }
	@cd lab && $(GO) run ./cmd/lab record --fault '$(FAULT)' $(if $(BROKER),--broker '$(BROKER)')
