# Needs make and any Python from 3.11 to 3.13; everything else is installed into .venv from the hash-pinned uv.lock.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Arguments for `gscene demo`, `gscene up` and pytest, as in: make demo DEMO="--residents 2000"
DEMO ?=
UP ?=
TESTS ?=
# Optional dependencies to install, as in: make install EXTRAS="--extra spark"
EXTRAS ?=

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never

# 3.11 first: the lock is tried out most on it. A Python without venv and ensurepip can't make an environment.
define FIND_PYTHON
for python in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
    >/dev/null 2>&1; then echo "$$python"; exit 0; fi; \
done; \
echo "No Python from 3.11 to 3.13 with venv found. Install one (Debian: python3-venv) or say: make PYTHON=/path/to/python3" >&2; \
exit 1
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): uv.lock pyproject.toml
	@test -x $(BIN)/python || { python=$$($(FIND_PYTHON)) && echo "creating $(VENV) with $$python" && "$$python" -m venv $(VENV); }
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'
	@# --inexact keeps uv itself, which isn't in the lock.
	$(BIN)/python -m uv sync --frozen --inexact --compile-bytecode $(EXTRAS) --python $(BIN)/python
	@touch $@

.PHONY: install
install: $(INSTALLED) ## Create .venv and install the locked dependencies

.PHONY: demo
demo: $(INSTALLED) ## Simulate a small province and run one as-of month end to end
	$(BIN)/gscene demo $(DEMO)

.PHONY: up
up: $(INSTALLED) ## Show Dagster and MLflow for the demo in the browser, on this machine only
	$(BIN)/gscene up $(UP)

.PHONY: test
test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest $(TESTS)

.PHONY: services
services: ## Install what the tests need beside Python: PostgreSQL, Java and Pango (as root, Debian)
	@.ci/services

.PHONY: lint
lint: $(INSTALLED) ## Check style, types and the direction of imports
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(INSTALLED) ## Measure cost and memory beside the baselines
	$(BIN)/python -m benchmarks

.PHONY: clean
clean: ## Remove caches and build leftovers; var/ and .venv stay
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache build dist *.egg-info .tmp_dagster_home*
	find . -path ./$(VENV) -prune -o -path ./var -prune -o -name __pycache__ -type d -print | xargs rm -rf
