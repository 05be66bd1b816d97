# Everything runs in the project's own environment, made on first use. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint types imports unit thorough simulate explore chaos mutations bench screenshots docs clean

# The main job: a tenant provisioned before your eyes, then one that fails and is rolled back.
demo: $(VENV)/.examples
	$(BIN)/python -m examples.workspaces demo

# All checks, in the order in which they fail soonest.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory check

check: lint types imports unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

# On two processes, since many tests wait for something; TESTERS=0 runs them in one, one after the other.
TESTERS ?= 2
unit:
	$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal --cov --cov-report=term:skip-covered

# Longer searches of the same properties.
thorough: $(VENV)/.dev
	PROVISIONING_THOROUGH=1 $(BIN)/python -m pytest tests/properties tests/matrix tests/verify/test_verify_wild.py --timeout 3600

# Many stories of engines, faults and people in virtual time; one that fails says how to have it again.
SEEDS ?= 0-50000
simulate: $(VENV)/.dev
	$(BIN)/python tools/simulate.py --seeds $(SEEDS)

# Every state of small runs, whatever happens to them; writes docs/explorer.md.
explore: $(VENV)/.dev
	$(BIN)/python tools/explore.py

# Thousands of killed processes, on SQLite and on PostgreSQL; prints figures.
chaos: $(VENV)/.dev
	PROVISIONING_THOROUGH=1 $(BIN)/python -m pytest tests/acceptance tests/faults --timeout 3600

# Breaks the machine on purpose, many times, and sees that the tests notice each.
mutations: $(VENV)/.dev
	$(BIN)/python tools/mutations.py

# Against peers and against the limit, in environments of its own (.work/bench); writes docs/performance.md. BENCH=quick is the short form,
# BENCH_ONLY=ours,dbos-sqlite,chain measures only these; see bench/README.md.
bench:
	$(PYTHON) -m bench

# Takes the pictures of the status page that the docs show; needs a Chromium.
screenshots: $(VENV)/.dev
	$(BIN)/python tools/screenshots.py

# Writes the pages that are generated.
docs: $(VENV)/.dev
	$(BIN)/python tools/states.py
	$(BIN)/python tools/invariants.py
	$(BIN)/python tools/openapi.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.examples: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[examples]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .work .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist build
