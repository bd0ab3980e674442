# `make help` lists everything. PYTHON names another interpreter (3.11 or newer).
PYTHON ?= python3.11
BIN := .venv/bin
SHELL := /bin/bash
# the tests start hundreds of processes; without kept bytecode each would compile all of it anew
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help run demo install test check quick bench soak lint types contracts format lock browser clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# the stamp carries the lock's hash, so that an update of the lock installs again and nothing else does
STAMP := .venv/.installed-$(shell sha256sum requirements.lock pyproject.toml 2>/dev/null | sha256sum | cut -c1-12)
$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed. Install it, or name it: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages (a minute or two, the first time only) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@rm -f .venv/.installed-*; touch $@

install: $(STAMP) ## install the pinned packages into .venv

run: $(STAMP) ## install what is missing and start everything, with a demo agency the first time
	@exec $(BIN)/ops up

demo: $(STAMP) ## load the demo agency into the running app again
	@$(BIN)/ops demo load

test: $(STAMP) ## all tests (8 to 9 minutes on two cores)
	@$(BIN)/pytest -q -n auto --dist loadscope

check: $(STAMP) ## quick, under a minute: lint, types, contracts, fast tests, all at once
	@$(MAKE) --no-print-directory --output-sync=target -j 4 lint types contracts quick

quick: $(STAMP) ## the fast tests
	@$(BIN)/pytest -q -n 2 --dist loadscope -m "not slow and not browser and not faults and not soak"

lint: $(STAMP) ## ruff: rules and format; file sizes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m tests.tools.sizes

types: $(STAMP) ## mypy, strict in core/
	@$(BIN)/mypy --num-workers 2

contracts: $(STAMP) ## import contracts
	@$(BIN)/lint-imports --no-cache > .venv/contracts.log 2>&1 || { cat .venv/contracts.log; exit 1; }

format: $(STAMP) ## let ruff mend what it can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: $(STAMP) ## all benchmarks, one after the other (about 40 minutes)
	@$(BIN)/python -m benchmarks

soak: $(STAMP) ## the long storm: a thousand kills, fifteen thousand effects (an hour or more); every cell of the crash-point matrix
	@SOAK_EFFECTS=$${SOAK_EFFECTS:-15000} SOAK_KILLS=$${SOAK_KILLS:-1060} SOAK_WIPES=$${SOAK_WIPES:-10} SOAK_POSTGRES=$${SOAK_POSTGRES:-50} \
		$(BIN)/python -m benchmarks.effects
	@$(BIN)/pytest -q -n0 -m soak

lock: ## write requirements.lock anew from pyproject.toml (needs uv)
	@uv pip compile --universal --quiet --no-header --no-annotate --upgrade pyproject.toml --extra dev -o requirements.lock

clean: ## remove the virtual environment and caches; data in .state stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
