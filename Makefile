# Everything happens in .venv, which is made anew only when the requirements change.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint check clean

demo: $(VENV)/.runtime
	$(BIN)/python -m chunky_core demo --out out/demo

test: $(VENV)/.development lint
	$(BIN)/python -m pytest

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/.runtime: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf out .pytest_cache .mypy_cache .ruff_cache
