# Every target works without a terminal. PYTHON=/path/to/python3 chooses the interpreter of .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
BIN := .venv/bin
RUNTIME := .venv/.runtime
TESTS := .venv/.tests
PACKAGES := bifrost_core bifrost_assets execution_daemon streamlit_app bifrost_cli

# Hundreds of processes are started: none is to compile what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(RUNTIME) ## Install, start PostgreSQL, and run the main job on real data: history, then ten sessions traded
	@$(BIN)/bifrost demo

.PHONY: up
up: $(RUNTIME) ## Run every part, supervised, until Ctrl-C
	@$(BIN)/bifrost up

.PHONY: test
test: ## Lint, types, import rules, tests
	@$(MAKE) --no-print-directory --jobs 2 $(TESTS) chromium
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: lint
lint: $(TESTS) ## Lint, types and import rules alone
	@$(MAKE) --no-print-directory --jobs 2 style types

.PHONY: chromium
chromium:
	@tools/chromium.sh

.PHONY: style
style: $(TESTS)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/sqlfluff lint --processes 2 dbt_project/models dbt_project/tests bifrost_core/warehouse/migrations/sql

.PHONY: types
types: $(TESTS)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(RUNTIME) ## Measure speed and memory against peers and limits: benchmarks/results/latest.json
	@$(BIN)/python -m benchmarks

.PHONY: chaos
chaos: $(TESTS) ## Break everything on purpose, for hours: simulation, real processes, planted bugs; benchmarks/results/chaos.json
	@$(BIN)/python -m benchmarks.chaos

.PHONY: lock
lock: ## Resolve pyproject.toml into requirements.lock and requirements-test.lock
	@tools/lock.sh

.PHONY: clean
clean: ## Remove .venv and caches; the warehouse under ~/.bifrost stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dbt_project/target dbt_project/logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock pyproject.toml
	@tools/venv.sh requirements.lock $@

$(TESTS): requirements-test.lock pyproject.toml
	@tools/venv.sh requirements-test.lock $@
	@touch $(RUNTIME)
