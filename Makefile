# Two commands do all their own set-up on a machine with Python 3.11+ (with venv) and make:
#   make demo     the whole ladder on a synthetic market, with the UI left up (ONCE=1 to stop at the end)
#   make test     every test, including an end-to-end run on a real Airflow
# Further: lint, types, bench, docs, requirements, stop, clean.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast lint bench docs requirements stop clean setup
.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Airlock needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Airlock needs Python's venv module (Debian: apt install python3-venv)" >&2; exit 2; }
	@echo "Setting up $(VENV) (once; about a minute with a warm package cache) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## virtual environment with pinned, hashed packages

demo: setup ## the whole ladder on a synthetic market; ONCE=1 stops at the end, HANDS_ON=1 lets you approve
	@$(BIN)/airlock demo $(if $(ONCE),--once) $(if $(HANDS_ON),--hands-on)

test: setup ## every test, side by side where they do not share a machine's worth of processes
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/unit tests/property tests/integration tests/faults
	@$(BIN)/python -m pytest -q --durations 10 tests/e2e

test-fast: setup ## unit and property tests, seconds
	@$(BIN)/python -m pytest tests/unit tests/property -q -n 2

lint: setup ## style, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## benchmarks with ratios against peers
	@$(BIN)/python -m benchmarks

docs: setup ## regenerate the lists in docs/ from the code
	@$(BIN)/python -m include.operations.docs

stop: ## stop whatever `make demo` left running
	@test ! -x $(BIN)/airlock || $(BIN)/airlock down

clean: stop ## stop, then remove the environment and all local state
	@rm -rf $(VENV) .airlock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov

requirements: setup ## compile the pinned, hashed requirement files
	@for name in bootstrap runtime dev; do \
	  $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make requirements" \
	    requirements/$$name.in --output-file requirements/$$name.txt $(if $(UPGRADE),--upgrade); done
