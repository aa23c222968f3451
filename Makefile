# Everything needs only python3 (3.11 or newer) with venv; the first target that needs one sets up .venv.
PYTHON ?= python3
PIP_FLAGS ?=
BIN := .venv/bin
JOBS ?= 2
# Of test-arithmetics: cases, pairs and bugs, all if there are none; of test-newest: files of tests.
NAMES ?=
TESTS ?= tests
# XLA compiles quickly for the tests of every commit; test-all has it optimise, as users do. Newer ones lack the second.
QUICK := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false
NEWEST := .venv-newest
# Cases that show different things: batch statistics, a recurrent network over text, attention,
# two nets in turn, an algorithm without parameters.
SHOWN := bn-lenet gru-lm multi-head-attention gan box-iou
RUN := runs/first-$(shell date +%Y%m%d-%H%M%S)

.DEFAULT_GOAL := help
.PHONY: help run check-all test test-all test-arithmetics test-newest venv lint overview parting pages docs notes bench bench-gpu

help: ## this list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: venv ## train a network for a moment, prove a few models, find a mistake: at most three minutes after the installation
	$(BIN)/d2l-jax train bn-lenet --data digits --batch-size 64 --epochs 8 --out $(RUN)
	$(BIN)/parity check $(SHOWN) --html $(RUN)/parity.html
	@echo "Two models with a mistake each:"
	$(BIN)/python examples/find_the_mistake.py
	@echo
	@echo "Look at $(RUN)/curves.png       the network learns to read digits; chance is an accuracy of 0.1"
	@echo "        $(RUN)/predictions.png  what it reads in images that it has not seen"
	@echo "        $(RUN)/parity.html      each model beside PyTorch, tensor by tensor, and how near to its limit"
	@echo "Next    make check-all proves every model; $(BIN)/d2l-jax list names them"

check-all: venv ## prove every model; writes runs/parity.html and runs/parity.json
	$(BIN)/parity check --all --jobs $(JOBS) --html runs/parity.html --json runs/parity.json

test: venv ## the tests (README)
	OMP_NUM_THREADS=1 XLA_FLAGS="$(QUICK) $(XLA_FLAGS)" $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

test-all: venv ## with the checks that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m "slow or not slow"

test-arithmetics: venv ## every verdict of the selftest, and of a dozen models, in eight ways of rounding; hours; writes runs/arithmetics.json
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m parity.selftest.arithmetics $(NAMES) --json runs/arithmetics.json

test-newest: ## the tests beside the newest versions that pip has: make test-newest PYTHON=python3.13
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install $(PIP_FLAGS) --upgrade --upgrade-strategy eager -e '.[dev]'
	OMP_NUM_THREADS=1 XLA_FLAGS="$(firstword $(QUICK)) $(XLA_FLAGS)" $(NEWEST)/bin/python -m pytest -q -n $(JOBS) --dist worksteal $(TESTS)

bench: venv ## jitted JAX against PyTorch, every model, as in docs/speed.md; about 35 minutes; writes runs/bench.json, .md and .png
	$(BIN)/parity bench --all --roofline --gflop 40 --seconds 8 --json runs/bench.json --markdown runs/bench.md --picture runs/bench.png

bench-gpu: venv ## the same on a GPU at the book's batches, in three precisions, with CUDA graphs; writes runs/bench-gpu-*; hours
	for precision in highest tf32 bfloat16; do \
	  $(BIN)/parity bench --all --device gpu --precision $$precision --roofline --gflop 1e9 --seconds 8 \
	    --json runs/bench-gpu-$$precision.json --markdown runs/bench-gpu-$$precision.md --picture runs/bench-gpu-$$precision.png || exit 1; \
	done

lint: venv ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads $(JOBS)

notes: venv ## run the programs of the study notes and write docs/notes.md; about 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore examples/notes --all --answers docs/stored/notes.json --markdown docs/notes.md

overview: venv ## write the table of d2l-jax list anew, after a case has changed
	$(BIN)/python -m d2l_jax.runs.listing

pages: venv ## write the tables of docs/ anew, after a case, a result or a stored run has changed
	$(BIN)/python docs/programs/blocks.py

parting: venv ## write docs/parting.md, where the two frameworks part, from its table
	$(BIN)/python docs/programs/parting.py

docs: venv ## these pages as a site, docs/_build/html/index.html; the first time takes minutes, since they are run
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

venv: .venv/.done ## set up .venv with what everything else needs

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	touch $@
