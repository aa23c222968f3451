# Everything needs only python3 (3.11 or newer) with venv; the first target that runs sets up .venv.
PYTHON ?= python3
PIP_FLAGS ?=
BIN := .venv/bin
JOBS ?= 2
export D2L_DATA ?= $(wildcard ../shared/data)

.PHONY: run test test-all venv lint bench bench-gpu

run: venv ## prove every model, then train LeNet for a moment
	$(BIN)/parity check --all --jobs $(JOBS) --html runs/parity.html --json runs/parity.json
	$(BIN)/d2l-jax train lenet --epochs 8 --out runs/lenet-$$(date +%Y%m%d-%H%M%S)

test: venv ## the tests (README)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

test-all: venv ## with the checks that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m "slow or not slow"

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
	$(BIN)/pyright

venv: .venv/.done

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	touch $@
