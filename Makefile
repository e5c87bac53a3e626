# The two commands are `make run` and `make test`; each sets up an environment of its own.
SHELL := /bin/bash -eu -o pipefail
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
export PYTHON

RUN := .venv/bin
TEST := source .venv-mpi/env.sh

.PHONY: help run test lint clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: .venv/complete ## TNM grid, subset G at every fourth x and β, on two ranks; figure and table
	mkdir -p results
	$(RUN)/mpiexec -n 2 $(RUN)/python -m hpctools.tnm --subset G --stride-x 4 --stride-beta 4 --out results/tnm_G.h5
	$(RUN)/python analysis/tnm_first_look.py results/tnm_G.h5

test: test-environment ## ruff, mypy and all tests (as root on Debian also parallel HDF5 and Slurm)
	$(TEST); ruff check .
	$(TEST); mypy
	$(TEST); python -m pytest $(PYTEST_ARGS)

lint: test-environment ## ruff and mypy alone
	$(TEST); ruff check .
	$(TEST); mypy

clean: ## remove both environments and all caches of this checkout; results stay
	rm -rf .venv .venv-mpi .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: test-environment
test-environment:
	@bash tests/setup_environment.sh

# The stamp is written last, so an interrupted set-up starts over.
.venv/complete: constraints.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make run: $$($(PYTHON) --version) is too old: Python 3.11 or later is needed (make run PYTHON=...)" >&2; exit 1; }
	@echo "== creating .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { echo "make run: $(PYTHON) -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt setuptools wheel mpich
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[mpi,plot]'
	@.venv/bin/python -c 'import h5py, matplotlib, numba; from mpi4py import MPI' || \
	    { echo "make run: the environment does not work; remove .venv and try again" >&2; exit 1; }
	@touch $@
