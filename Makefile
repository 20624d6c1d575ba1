# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-all coverage servers check format lock docs reference bench clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml scripts/setup
	@scripts/setup
	@touch $@

setup: $(READY)  ## a virtual environment in .venv with the locked versions

demo: $(READY)  ## set up, then run the income example end to end
	@$(BIN)/headrace demo income --dir build/demo-income

test: $(READY)  ## set up, then run the tests (the slow ones excepted)
	$(BIN)/python -m pytest -q

test-all: $(READY)  ## every test, the slow ones too
	$(BIN)/python -m pytest -q -m ""

coverage: $(READY)  ## run the tests, then print which lines of each file they ran
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

servers:  ## what some tests start (PostgreSQL, Redis, Chromium, promtool), from Debian packages; without them these tests are skipped
	@scripts/servers

check: $(READY)  ## style, types, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --quiet --output-file requirements.lock

bench: $(READY)  ## every benchmark beside its peers; results go to benchmarks/RESULTS.md by hand
	$(BIN)/python benchmarks/embedded.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/windows.py
	$(BIN)/python benchmarks/online_store.py
	$(BIN)/python benchmarks/beside_feast.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/overload.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/experiment.py
	$(BIN)/python benchmarks/rollout.py
	$(BIN)/python benchmarks/ranking.py

clean:  ## remove what was built, the environment included
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

docs: $(READY)  ## the documentation, in build/docs
	$(BIN)/mkdocs build --strict --quiet

reference: $(READY)  ## write the reference pages of docs/ anew from the code
	$(BIN)/python scripts/reference.py
