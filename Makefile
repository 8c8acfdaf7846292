# make demo      from nothing to scores, offline, in .venv and data/demo
# make ui        the Dagster UI over the demo, or over another project: make ui DATA_DIR=...
# make test      all tests, in two processes; in one: make test PROCESSES=0
# make lint      formatting and lint, in a small environment of its own
# make check     lint, types, definitions, documentation
# make docs      the documentation site in docs/_build; a broken link is an error
# make bench     benchmarks, one JSON object per line
# make chaos     a backfill under faults, one JSON object per fault; long

PYTHON ?= python3
DATA_DIR ?= data/demo
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
LINT := .venv-lint
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INSTALL := $(BIN)/python $(PIP_INSTALL)

# Real data for tests that are skipped without it.
export SHARED_DATA ?= $(wildcard $(abspath ../shared/data))

.PHONY: demo ui test lint types definitions docs check bench chaos clean

demo: $(VENV)/installed
	PERSONA_PROFILE=demo $(BIN)/persona-assets fetch
	PERSONA_PROFILE=demo $(BIN)/persona-assets run
	@echo "make ui opens this project on http://127.0.0.1:3000"

ui: $(VENV)/installed
	$(if $(filter data/demo,$(DATA_DIR)),PERSONA_PROFILE=demo) PERSONA_DATA_DIR=$(DATA_DIR) $(BIN)/persona-assets ui

test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

check: lint types definitions docs

lint: $(LINT)/installed
	$(LINT)/bin/ruff format --check .
	$(LINT)/bin/ruff check .

# Not a part of `lint`: types and imports are those of the installed package.
types: $(VENV)/installed
	$(BIN)/lint-imports
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy benchmarks/*.py

definitions: $(VENV)/installed
	$(BIN)/dg check defs

docs: $(VENV)/installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build

bench: $(VENV)/installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/catalog.py
	$(BIN)/python benchmarks/lineage.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/reuse.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/dedup.py
	$(BIN)/python benchmarks/cosine.py
	$(BIN)/python benchmarks/pairs.py
	$(BIN)/python benchmarks/persona_map.py --rows 5000 100000
	$(BIN)/python benchmarks/explore.py
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/shards.py
	$(BIN)/python benchmarks/answers.py
	$(BIN)/python benchmarks/rules.py
	$(BIN)/python benchmarks/protection.py
	$(BIN)/python benchmarks/programs.py
	$(BIN)/python benchmarks/copies.py
	$(BIN)/python benchmarks/contamination.py
	$(BIN)/python benchmarks/contamination_meaning.py

chaos: $(VENV)/installed
	$(BIN)/python benchmarks/chaos.py

# torch first and on its own: a range for it would bring in gigabytes of CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable '.[local,train,dev]'
	touch $@

$(LINT)/installed: constraints.txt
	$(PYTHON) -m venv $(LINT)
	$(LINT)/bin/python $(PIP_INSTALL) ruff
	touch $@

clean:
	rm -rf $(VENV) $(LINT) docs/_build data/demo
