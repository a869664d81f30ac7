# One environment in .venv for everything. `make help` says what there is.
PYTHON ?= python3
BIN := .venv/bin
# Without a display a browser could not show itself: the address is printed instead.
DISPLAYED := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s)))

.DEFAULT_GOAL := help
.PHONY: help lab test report bench app clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

lab: .venv/installed ## open the notebooks in JupyterLab on this machine
	$(BIN)/scaling-models lab

test: .venv/installed-test ## check style and types, run all tests and notebooks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --nbmake --nbmake-timeout=300 tests notebooks

report: .venv/installed-static ## write every figure and table to report/
	$(BIN)/scaling-models report --out report

bench: .venv/installed-bench ## measure what the documentation says about speed
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/redraw.py
	$(BIN)/python benchmarks/sizing.py
	$(BIN)/python benchmarks/expressions.py

app: .venv/installed-app ## show the notebooks as plain pages on this machine
	$(BIN)/voila notebooks --Voila.ip=127.0.0.1 $(if $(DISPLAYED),,--no-browser)

clean: ## remove the environment, caches and the report
	rm -rf .venv report build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

# Each kind of environment is .venv with one more extra; the stamps are renewed when pyproject.toml changes.
.venv/installed: EXTRAS :=
.venv/installed-static: EXTRAS := [static]
.venv/installed-app: EXTRAS := [app]
.venv/installed-bench: EXTRAS := [bench]
.venv/installed-test: EXTRAS := [test,static,app]
.venv/installed .venv/installed-static .venv/installed-app .venv/installed-bench .venv/installed-test: pyproject.toml | .venv/created
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.$(EXTRAS)'
	@touch $@

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'scaling_models needs Python 3.11 or newer as $(PYTHON). Please install it, or name it: make PYTHON=python3.12 ...' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo '$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3-venv.' >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@
