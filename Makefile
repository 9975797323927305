# Every target does its own set-up in .venv; nothing has to be installed or activated before.
# PYTHON names the interpreter to build it with: make PYTHON=python3.12 test

PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq install -c constraints.txt
LINT_PIP = .venv-datacontract/bin/python -m pip --disable-pip-version-check -qq install
CONTRACTS = lake_pipeline/defs/*/contract.yaml lake_pipeline/demo/*contract*.yaml
GLUE_PIP = .venv-glue/bin/python -m pip --disable-pip-version-check -qq install
PYTEST_ARGS = -n 3

.PHONY: help demo dev test lint types lint-contracts bench clean glue-bundle java

help:
	@echo "make demo    set up, land November 2013 of real flights and weather, and run the lake"
	@echo "make dev     open Dagster on the demo's lake: http://127.0.0.1:3000"
	@echo "make test    set up, and run everything: style, types, contracts, tests, docs"
	@echo "make bench   measure against DuckDB, Polars, Floe, dlt and Spark (docs/benchmarks.md)"
	@echo "make glue-bundle   build what AWS Glue jobs install, in dist/glue"
	@echo "make clean   remove the environments and caches; a lake in .lake stays"

demo: .venv/.demo
	@$(BIN)/lake demo

dev: .venv/.demo
	@$(BIN)/lake dev

test: .venv/.dev
	@$(MAKE) --no-print-directory -j2 lint types lint-contracts glue-env java
	@echo "== tests"
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS)

lint: .venv/.dev
	@echo "== style"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }

types: .venv/.dev
	@echo "== types"
	@$(BIN)/mypy --no-error-summary

lint-contracts: .venv-datacontract/.ready
	@echo "== contracts"
	@for file in $(CONTRACTS); do \
	    out=$$(.venv-datacontract/bin/datacontract lint "$$file" 2>&1) \
	        || { echo "$$file:"; echo "$$out"; exit 1; }; \
	done

bench: .venv/.dev
	@$(BIN)/python -m benchmarks

glue-bundle: .venv/.dev
	@$(BIN)/python glue_scripts/bundle.py dist/glue

# Spark's tests need Java 17: installed by name where that is possible, and asked for where it is not.
java:
	@command -v java >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
	    && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless >/dev/null; } \
	    || { echo "The tests of Spark need Java 17: install openjdk-17-jre-headless, or its like."; exit 1; }

clean:
	rm -rf .venv .venv-datacontract .venv-glue build dist *.egg-info benchmarks/.work
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments. A stamp is older than what it was made from when it has to be made again.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "$(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml constraints.txt .venv/bin/python
	@echo "== setting up .venv (about a minute, once)"
	@$(PIP) -e '.[demo]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt .venv/bin/python
	@echo "== setting up .venv (about a minute, once)"
	@$(PIP) -e '.[dev]'
	@touch .venv/.demo $@

# datacontract-cli wants other versions than the project, so it lives alone.
.venv-datacontract/.ready: constraints-datacontract.txt .venv/.dev
	@echo "== setting up .venv-datacontract (once)"
	@$(BIN)/python -m venv .venv-datacontract
	@$(LINT_PIP) -c constraints-datacontract.txt datacontract-cli
	@touch $@

# As a Glue job has it, but for Spark itself: the bundle's requirements and its wheel; no Dagster, no DuckDB.
.venv-glue/.ready: .venv/.dev glue_scripts/bundle.py
	@echo "== setting up .venv-glue (once)"
	@$(BIN)/python glue_scripts/bundle.py dist/glue >/dev/null
	@$(BIN)/python -m venv --clear .venv-glue
	@$(GLUE_PIP) --no-deps -r dist/glue/requirements.txt setuptools
	@touch $@

.PHONY: glue-env
glue-env: .venv-glue/.ready
	@$(BIN)/python glue_scripts/bundle.py dist/glue >/dev/null
	@$(GLUE_PIP) --no-deps --force-reinstall dist/glue/*.whl
