# Everything a fresh clone needs: `make demo`, `make test`. Python 3.11+ and pip; nothing else by hand.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The stamp is named by what was installed and touched last: a broken or outdated install is redone.
SUM    := $(shell cat pyproject.toml requirements.lock | $(PYTHON) -c "import hashlib,sys;print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])")
STAMP  := $(VENV)/.installed-$(SUM)
WORKERS ?= 2
export PYTHONHASHSEED := 0

.PHONY: setup demo test test-slow check lint types format bench lock clean help
help:            ## list the targets
	@sed -n 's/^\([a-z-]*\): .*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP)  ## make .venv and install the locked dependencies
$(STAMP):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Sterling needs Python 3.11 or newer; say: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: $(STAMP)   ## the main job on real census data; writes out/demo/report.html
	$(BIN)/sterling demo --out out/demo

test: $(STAMP)   ## lint and the default tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

check: test types  ## lint, tests and types: all that CI runs

test-slow: $(STAMP)  ## the slow tests too (Ray, big tables, browser); minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) -m "slow or not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
# Brings its own node inside a wheel: nothing is fetched but the package.
types: $(STAMP)  ## pyright's strict rules on src/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check basedpyright==1.40.2
	$(BIN)/basedpyright
format: $(STAMP) ## rewrite the source in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## the figures in docs/evidence.md; about an hour
	$(BIN)/python bench/help_time.py
	$(BIN)/python bench/false_alarms.py
	$(BIN)/python bench/compare_speed.py

lock: $(STAMP)   ## maintainers: renew requirements.lock
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --generate-hashes --group dev pyproject.toml --python-version 3.11 -o requirements.lock

clean:           ## remove what the targets made
	rm -rf $(VENV) out build dist src/*.egg-info .ruff_cache
