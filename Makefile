# An index of the usual commands. Each is one line that also works without make.

MODULES := $(shell find . -name go.mod -not -path './go.mod' -exec dirname {} \; | sort)
LINT    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SECRETS := github.com/zricethezav/gitleaks/v8@v8.30.1

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: quickstart
quickstart: ## watch a go-openai client live through key rotations
	go run ./examples/quickstart

.PHONY: test
test: ## the test command
	go test ./...

.PHONY: race
race: ## the tests, shuffled, under the race detector
	go test -race -shuffle=on ./...

.PHONY: cover
cover: ## coverage of the core
	go test -cover ./keyprovider ./rotation ./transport

.PHONY: nested
nested: ## vet and test the nested modules: real servers, both clients, reflective dumpers
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && go vet ./... && go test ./...); done

.PHONY: integration
integration: ## the real servers alone
	@set -e; for m in $(filter ./internal/integration%,$(MODULES)); do echo "== $$m"; (cd $$m && go test -count=1 -v ./...); done

.PHONY: bench
bench: ## benchmarks beside the peers
	cd internal/bench && go test -run '^$$' -bench . -cpu 1,2 -count 6 ./...

.PHONY: fuzz
fuzz: ## every fuzz target for half a minute
	@set -e; for d in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$d/*_test.go | cut -c6-); do \
			echo "== $$d $$f"; (cd $$d && go test -run '^$$' -fuzz "^$$f\$$" -fuzztime 30s .); done; done

.PHONY: lint
lint: ## gofmt, vet and golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run $(LINT) run

.PHONY: secrets
secrets: ## search the tree for secrets
	go run $(SECRETS) dir --no-banner --redact .

.PHONY: ci
ci: ## what CI runs
	bash .ci/run
