# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help setup demo test check bench promises clean

help:  ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: .venv/.installed-test  ## Make .venv with everything, tests included.

demo: .venv/.installed  ## Run the main job on this machine: mini PACS, service, sender.
	$(BIN)/stact-pacs demo $(ARGS)

test: .venv/.installed-test  ## Run the tests (ARGS adds pytest options).
	$(BIN)/python -m pytest tests/unit tests/integration tests/promises tests/acceptance tests/test_*.py stact_pacs $(ARGS)

check: .venv/.installed-test  ## Lint, formatting, types and import rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.installed-test  ## Run the benchmarks: ratios against peers and limits of this machine.
	$(BIN)/python -m pytest tests/benchmarks $(ARGS)

promises: .venv/.installed-test  ## Run the promises (crash, order, load) at full size.
	STACT_PACS_PROMISE_SCALE=10 $(BIN)/python -m pytest tests/promises $(ARGS)

clean:  ## Remove the environment and caches.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing (a few minutes the first time: torch is large) ..."
	$(PIP) --editable .
	@touch $@

.venv/.installed-test: .venv/.installed
	$(PIP) --editable '.[test]'
	@touch $@
