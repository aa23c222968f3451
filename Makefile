# Everything needs only python3 (3.11 or newer) with venv; the first target that runs sets up .venv.
PYTHON ?= python3
PIP_FLAGS ?=
BIN := .venv/bin
JOBS ?= 2
export D2L_DATA ?= $(wildcard ../shared/data)

.PHONY: run test test-all venv lint bench

run: venv ## prove every model, then train LeNet for a moment
	$(BIN)/parity check --all --jobs $(JOBS) --html runs/parity.html --json runs/parity.json
	$(BIN)/d2l-jax train lenet --epochs 8 --out runs/lenet-$$(date +%Y%m%d-%H%M%S)

test: venv ## the tests (README)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

test-all: venv ## with the checks that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m "slow or not slow"

bench: venv ## jitted JAX against PyTorch, every model, as in README; 20 minutes; writes runs/bench.json, .md and .png
	$(BIN)/parity bench --all --roofline --gflop 40 --repeats 7 --seconds 2 --json runs/bench.json --markdown runs/bench.md --picture runs/bench.png

lint: venv ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

venv: .venv/.done

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	touch $@
