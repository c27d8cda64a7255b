# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help setup demo test check bench promises demo-bundle clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

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

promises: .venv/.installed-test  ## Run the promises (crash, order, load) at full size; a missing tool is a failure.
	STACT_PACS_REQUIRE_TOOLS=1 STACT_PACS_PROMISE_SCALE=10 $(BIN)/python -m pytest tests/promises $(ARGS)

# The bundle that ships, from nothing, by the commands that make a bundle of any cohort. The same numbers and the pinned
# versions give the same bytes; killed, it goes on where it was. Cohorts as DICOM, whose region the service sees too.
MODELS ?= models
VERSION ?= 1.0.0
WORK ?= build/demo-bundle
PRESET ?= phantom
FOLDS ?= 5
RECIPES ?= stact-time joint-fusion vit-self seg-self
NODULES ?= 300
MALIGNANT ?= 150
UNSEEN_NODULES ?= 150
UNSEEN_MALIGNANT ?= 75
SEED ?= 20261124
UNSEEN_SEED ?= 20261125
DEMO_BUNDLE = $(MODELS)/phantom-demo/$(VERSION)

demo-bundle: .venv/.installed  ## Train the bundle that ships again, into MODELS/phantom-demo/VERSION.
	@if [ -e $(DEMO_BUNDLE) ]; then echo "$(DEMO_BUNDLE) exists already: move it away, or give MODELS=DIR."; exit 1; fi
	$(BIN)/stact-pacs cohort phantom $(WORK)/cohort --layout dicom \
		--nodules $(NODULES) --malignant $(MALIGNANT) --seed $(SEED)
	$(BIN)/stact-pacs cohort phantom $(WORK)/unseen --layout dicom \
		--nodules $(UNSEEN_NODULES) --malignant $(UNSEEN_MALIGNANT) --seed $(UNSEEN_SEED)
	$(BIN)/stact-pacs train $(WORK)/cohort --out $(WORK)/run --resume --controls \
		$(addprefix --recipe ,$(RECIPES)) --preset $(PRESET) --folds $(FOLDS) --seed $(SEED)
	$(BIN)/stact-pacs export $(WORK)/run --name phantom-demo --version $(VERSION) --out $(MODELS) \
		--evaluate-on $(WORK)/unseen --half --device cpu
	$(BIN)/stact-pacs evaluate $(DEMO_BUNDLE) $(WORK)/unseen --device cpu

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
