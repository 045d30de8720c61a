# Needs only Python 3.11 or newer and make. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A Python with the same packages and Ray's dashboard, but without our code: for the head of a cluster.
HEAD := $(VENV)/head
HEAD_READY := $(HEAD)/.ready
PIP := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check bench clean help
.DEFAULT_GOAL := help

help:            ## list what can be made
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "candlefleet needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	@echo "Setting up $(VENV); this takes a minute or two."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) --use-pep517 --editable '.[dev]'
	@touch $(READY)

$(HEAD_READY): $(READY)
	@$(BIN)/python -m venv $(HEAD)
	@realpath $(VENV)/lib/python3*/site-packages >$$(echo $(HEAD)/lib/python3*/site-packages)/beside.pth
	@$(HEAD)/bin/python $(PIP) 'ray[default]'
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m ray.scripts.scripts "$$@"\n' >$(HEAD)/bin/ray
	@chmod +x $(HEAD)/bin/ray
	@touch $(HEAD_READY)

demo: $(READY)   ## NIFTY 50 from the look-alike exchange, inside the real limits
	$(BIN)/candlefleet demo

test: $(HEAD_READY)   ## every test
	$(BIN)/python -m pytest --ignore=tests/together --numprocesses=logical --dist=worksteal
	$(BIN)/python -m pytest tests/together

check: $(READY)  ## lint, format, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measurements beside peers; not timed tests
	$(BIN)/python -m tests.benchmarks

clean:           ## remove the environment, caches and the demo's data
	rm -rf $(VENV) demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
