# `make demo` shows Pawl at work, `make test` checks it. Everything lives in .venv; `make clean` takes it away.
#
#   ARGS='…'              goes to the command underneath:  make test ARGS='tests/core -x'
#   PYTHON=python3.12     which Python makes the .venv (3.11 or newer)
#   TORCH_INDEX_URL=URL   where pip takes torch from, say an index of CPU-only builds

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)
PINS := pyproject.toml $(CONSTRAINTS)

.DEFAULT_GOAL := help
.PHONY: help demo demo-nanogpt torch test lint format bench base-image constraints clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

demo: $(VENV)/.demo ## The whole loop on this machine, without an account: packing circles, a few minutes
	@$(BIN)/pawl demo --loop packing $(ARGS)

demo-nanogpt: $(VENV)/.nanogpt ## The same loop training a small GPT with torch
	@$(BIN)/pawl demo --loop nanogpt $(ARGS)

test: lint ## Lint, types, import walls, then every test that needs no torch (`make torch` adds those)
	@$(BIN)/pytest -n 2 $(ARGS)

lint: $(VENV)/.test ## What `make test` checks before the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.test ## Let ruff repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

torch: $(VENV)/.torch ## Put torch into .venv, so that `make test` runs its tests too

bench: $(VENV)/.test ## Measure what is fast
	@$(BIN)/python -m benchmarks $(ARGS)

base-image: ## A Docker image with Python made from Debian packages, for tests and demos (root)
	@docker/base-from-debootstrap.sh

# --- How .venv comes to be -------------------------------------------------------------------------------------
# A stamp is written only when pip has finished, so that an interrupted install starts again.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Pawl needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name a newer one:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	    echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    rm -rf $(VENV); \
	    exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.made $(PINS)
	@echo "Installing what the demo needs into $(VENV): about 60 MB, once"
	@$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.made $(PINS)
	@echo "Installing what the tests need into $(VENV): about 150 MB, once"
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.torch: $(VENV)/.made $(PINS)
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	    echo "Downloading $$(grep '^torch==' $(CONSTRAINTS)) and what it needs, once. How much depends on the build"; \
	    echo "that your package index gives:"; \
	    echo "  CPU-only (macOS; Linux where you pass one)  0.1 to 0.2 GB, 1 GB on disk, a minute or two"; \
	    echo "  CUDA (what Linux gets by default)           several GB, 5 GB and more on disk, many minutes"; \
	    echo "The demo is as happy with the small one. If you have no GPU on Linux, stop here (Ctrl-C) and call"; \
	    echo "  make $(MAKECMDGOALS) TORCH_INDEX_URL=<the CPU index that pytorch.org names under 'Get started'>"; }
	@$(PIP_INSTALL) $(if $(TORCH_INDEX_URL),--index-url '$(TORCH_INDEX_URL)') torch
	@touch $@

$(VENV)/.nanogpt: $(VENV)/.torch $(VENV)/.demo
	@$(PIP_INSTALL) --editable '.[demo,nanogpt]'
	@touch $@

constraints: ## Pin the newest releases that pyproject.toml allows (torch stays: change its line by hand)
	@rm -rf build/pins && $(PYTHON) -m venv build/pins
	@grep '^torch==' $(CONSTRAINTS) > build/pins/torch
	@build/pins/bin/pip install --quiet --constraint build/pins/torch --editable '.[test,nanogpt]'
	@{ sed '/^[^#]/,$$d' $(CONSTRAINTS); \
	   build/pins/bin/pip freeze --exclude-editable | sed 's/+.*//' | grep -vE '^(nvidia-[^m]|cuda-|triton|pip|setuptools)'; \
	 } > build/pins/constraints.txt
	@mv build/pins/constraints.txt $(CONSTRAINTS) && rm -rf build/pins
	@git --no-pager diff --stat -- $(CONSTRAINTS)

clean: ## Remove .venv, caches and what builds left behind
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
