# make demo      from nothing to scores, offline, in .venv and data/demo
# make ui        the Dagster UI over the demo, or over another project: make ui DATA_DIR=...
# make test      all tests
# make check     formatting, lint, types, definitions, documentation
# make docs      the documentation site in docs/_build; a broken link is an error
# make bench     benchmarks, one JSON object a line

PYTHON ?= python3
DATA_DIR ?= data/demo
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo ui test check docs bench clean

demo: $(VENV)/installed
	PERSONA_PROFILE=demo $(BIN)/persona-assets fetch
	PERSONA_PROFILE=demo $(BIN)/persona-assets run
	@echo "make ui opens this project on http://127.0.0.1:3000"

ui: $(VENV)/installed
	$(if $(filter data/demo,$(DATA_DIR)),PERSONA_PROFILE=demo) PERSONA_DATA_DIR=$(DATA_DIR) $(BIN)/persona-assets ui

test: $(VENV)/installed
	$(BIN)/python -m pytest

check: $(VENV)/installed docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/dg check defs

docs: $(VENV)/installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build

bench: $(VENV)/installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/catalog.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/dedup.py
	$(BIN)/python benchmarks/cosine.py
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/shards.py

# torch first and on its own: a range for it would bring in gigabytes of CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable '.[local,train,dev]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build data/demo
