# `make demo` and `make test` are all a stranger needs. Each makes .venv when it is missing and
# installs into it from this project's own files; the second time that takes no time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := demo-digits
TORCH := torch==2.13.0
FUZZER := atheris==3.0.0
MINUTES ?= 30
REFERENCE := efficientnet-lite-pytorch==0.1.0

.DEFAULT_GOAL := help
.PHONY: help demo test check browser slow fuzz bench docs clean

help:
	@echo "make demo    the whole way once, on real digits: about a minute after the installation"
	@echo "make test    every test but the slow ones"
	@echo "make check   style, types, import rules, generated pages"
	@echo "make browser the pages in Debian's Chromium, which is installed first if it is missing (as root)"
	@echo "make slow    the tests that take minutes, the other Keras backends among them"
	@echo "make fuzz    hostile bytes for every reader, half an hour; MINUTES=5 for less"
	@echo "make bench   speed and accuracy on this computer"
	@echo "make docs    write docs/commands.md again"
	@echo "make clean   remove everything that make has made, .venv included"

demo: $(VENV)/.stamp-demo
	rm -rf $(DEMO)
	$(BIN)/fieldmark demo --out $(DEMO)

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

check: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

browser: $(VENV)/.stamp-dev
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }
	$(BIN)/python -m pytest -q tests/browser

slow: $(VENV)/.stamp-backends
	$(BIN)/python -m pytest -q -m slow

fuzz: $(VENV)/.stamp-fuzz
	nice -n 19 $(BIN)/python -m tests.fuzz --minutes $(MINUTES)

bench: $(VENV)/.stamp-dev
	$(BIN)/python -m benchmarks

docs: $(VENV)/.stamp-dev
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache fuzz-findings
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "fieldmark needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than pyproject.toml when the dependencies may have changed.
$(VENV)/.stamp-demo: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[tensorflow,demo]"
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.stamp-demo

$(VENV)/.stamp-backends: $(VENV)/.stamp-dev
	$(PIP) -e ".[dev,jax]" "$(TORCH)" "$(REFERENCE)"
	@touch $@

# Without a fuzzer for this Python or system, seeded changes of good inputs do.
$(VENV)/.stamp-fuzz: $(VENV)/.stamp-dev
	$(PIP) "$(FUZZER)" || echo "$(FUZZER) cannot be installed here; fuzzing without it"
	@touch $@
