# Everything a newcomer needs is `make compare` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest --numprocesses=2 --dist=loadfile
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install native compare check-quick adding copy pooling language-model studies test test-rest test-all test-peers mutants mutants-random golden lint bench bench-all whole-job layouts scaling kill resident-size readme docs wheel notebooks clean

help: ## List every target with one line each
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(VENV)/installed ## Make the virtual environment with pinned versions

compare: $(VENV)/installed ## Compare all models on copy and adding: under 5 minutes on two cores
	$(RUN) -m experiments.compare --config=configs/quick.py --workdir=runs/quick

check-quick: compare ## The same; then whether it agrees with results/quick, the run of another machine
	$(RUN) -m tools.check_quick runs/quick

adding: $(VENV)/installed ## The full study of the adding problem: a night, or a GPU
	$(RUN) -m experiments.compare --config=configs/adding.py --workdir=runs/adding

copy: $(VENV)/installed ## The full study of the copy problem: a night, or a GPU
	$(RUN) -m experiments.compare --config=configs/copy.py --workdir=runs/copy

pooling: $(VENV)/installed ## Adding to T = 1,000 by attention alone; its cost is not measured
	$(RUN) -m experiments.compare --config=configs/pooling.py --workdir=runs/pooling

language-model: $(VENV)/installed ## Train all models on the text that Python has with it and let them write: 20 minutes
	$(RUN) -m experiments.language_model --config=configs/language_model.py --workdir=runs/language_model

studies: $(VENV)/installed ## Every study of the analysis: two to three hours on two cores
	for name in length_generalisation horizon gradient_reach inside ablation learning_rates; do \
	  $(RUN) -m experiments.$$name --config=configs/$$name.py --workdir=runs/$$name || exit 1; \
	done

test: $(VENV)/test-installed ## Install what the tests need and run the fast ones: under 5 minutes on two cores
	$(PYTEST)

test-rest: $(VENV)/test-installed ## The tests that `make test` leaves out: processes, browser, notebooks, docs, long tables
	$(PYTEST) -m full
	$(PYTEST) -m "" tests/test_numerics.py  # compiled as users compile

test-all: $(VENV)/test-installed ## Every test
	$(PYTEST) -m ""

test-peers: $(VENV)/peers-installed ## Compare with PyTorch and Keras themselves, on random sizes
	$(PYTEST) -m "" tests/peers

mutants: $(VENV)/test-installed ## Break the code on purpose, one place at a time, and count what the tests catch
	$(RUN) -m tests.mutants

mutants-random: $(VENV)/test-installed ## The same with 40 mutants drawn by chance
	$(RUN) -m tests.mutants --random 40

golden: $(VENV)/peers-installed ## Make tests/golden anew from PyTorch and Keras
	$(RUN) -m tests.golden.make

lint: $(VENV)/lint-installed ## Check style (ruff) and types (mypy)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

native: $(VENV)/installed ## Compile the LSTM's kernel for this machine (a C++ compiler; `install` has tried)
	$(RUN) -m lstm_attn.native

bench: $(VENV)/peers-installed ## Measure layers, recurrences, training steps, attention, memory and decoding: the short sets
	$(RUN) -m benchmarks recurrent recurrences training attention memory decoding --peers --output=runs/benchmarks

bench-all: $(VENV)/peers-installed ## The same, whole sets: an hour
	$(RUN) -m benchmarks recurrent recurrences training attention memory decoding --cases=all --peers --output=runs/benchmarks

whole-job: $(VENV)/installed ## Eight trials of adding to solved, ours and an idiomatic Flax loop
	$(RUN) -m benchmarks whole_job --output=runs/benchmarks

layouts: $(VENV)/installed ## Measure how trials are best laid out on this machine's devices
	$(RUN) -m benchmarks trial_layouts --output=runs/benchmarks

kill: $(VENV)/test-installed ## Kill a run at 30 random moments and compare what it leaves: some minutes
	$(RUN) -m tests.kill --kills=30

resident-size: $(VENV)/installed ## Train for an hour under a memory limit and watch the size
	$(RUN) -m benchmarks resident_size --minutes=60 --output=runs/benchmarks

scaling: $(VENV)/installed ## Check the cost model on this machine and write docs/scaling.md: 2 minutes
	$(RUN) -m tools.scaling

readme: $(VENV)/installed ## Keep runs/quick and its neighbours in results/, benchmarks too; write the sections of README and docs
	$(RUN) -m tools.pages.readme --quick=runs/quick
	$(RUN) -m tools.pages.gallery

docs: $(VENV)/test-installed ## Build README, docs and the API as pages into site/
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict
	@echo "open site/index.html; for its search: $(PYTHON) -m http.server --directory site"

wheel: $(VENV)/installed ## Build a wheel into dist/, to install in another project
	rm -rf build
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/lstm_attn-*.whl

notebooks: $(VENV)/test-installed ## Make notebooks/*.ipynb from their sources, the .py beside them
	$(RUN) -m jupytext --quiet --update --to ipynb notebooks/*.py

clean: ## Remove the virtual environment and caches; run folders stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	-@$(RUN) -m lstm_attn.native || echo "without the native kernel: the LSTM trains at the speed of XLA's scan"
	@touch $@

$(VENV)/test-installed: $(VENV)/installed
	$(INSTALL) --editable '.[test,ray,slurm,text,docs]'
	@touch $@

$(VENV)/peers-installed: $(VENV)/test-installed
	$(INSTALL) --editable '.[test,ray,slurm,notebooks,text,docs,peers]'
	@touch $@

$(VENV)/lint-installed: $(VENV)/test-installed
	$(INSTALL) --editable '.[test,ray,slurm,notebooks,text,docs,lint]'
	@touch $@
