# Two commands matter: `make quickstart` and `make test`. Both need only Python >= 3.11, make and git.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One more than the two cores that the tests are timed on: they wait for processes a third of the time.
PYTEST_WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-all coverage lint types contracts format snapshots screenshots quickstart-model man constraints audit benchmarks clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "tui_tuner needs Python 3.11 or newer on the PATH (or set PYTHON=/path/to/python)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned set into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

install: $(STAMP) ## Make .venv with the pinned set

quickstart: $(STAMP) ## The whole loop on the embedded model, full screen (headless without a terminal)
	@$(BIN)/tui-tuner quickstart

test: $(STAMP) lint types contracts ## Lint, types, import contracts and tests
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

test-all: $(STAMP) lint types contracts ## As test, and what takes long
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m ''

coverage: $(STAMP) ## Which branches outside the screens no test takes; fails below the bar in pyproject.toml
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(BIN)/python -m coverage run -m pytest -n $(PYTEST_WORKERS) --dist worksteal tests/unit tests/engine tests/end_to_end; status=$$?; \
	$(BIN)/python -m coverage combine -q && $(BIN)/python -m coverage report && exit $$status

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

contracts: $(STAMP)
	@$(BIN)/lint-imports

format: $(STAMP) ## Put the code in form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

snapshots: $(STAMP) ## Draw the screens' reference pictures anew
	@$(BIN)/python -m pytest tests/ui --snapshot-update

screenshots: $(STAMP) ## Draw the pictures of README and docs anew
	@$(BIN)/python -m docs.screenshots

quickstart-model: $(STAMP) ## Pre-train the embedded model anew
	@$(BIN)/python -m tui_tuner.quickstart.build --to tui_tuner/quickstart/model

benchmarks: $(STAMP) ## Measure speed against mlx-lm
	@for f in startup charts training_overhead; do $(BIN)/python benchmarks/$$f.py || exit 1; done

man: $(STAMP) ## Write the manual pages to build/man
	@$(BIN)/tui-tuner man --to build/man/man1

constraints: ## Pin the newest versions that the project's ranges allow (needs a throw-away environment)
	@rm -rf build/pins && $(PYTHON) -m venv build/pins
	@build/pins/bin/python -m pip install --quiet '.[dev]'
	@build/pins/bin/python -m pip freeze --exclude tui-tuner | grep -v ' @ ' > constraints.txt

audit: ## Ask for known flaws in the pinned versions (needs the network and a throw-away environment)
	@rm -rf build/audit && $(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@build/audit/bin/python -m pip_audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

clean: ## Remove the environment and caches
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
