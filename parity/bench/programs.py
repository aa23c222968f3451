"""One training step of a Case as three programs: JAX jitted, PyTorch eager, PyTorch compiled."""

import glob
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.functional import functional, train_view
from d2l_jax.train import TrainState, make_eval_step, make_train_step
from parity.bench.timing import cpus, seconds_of, time_limit
from parity.environment import jax_device, pinned, torch_device
from parity.randomness import requested
from parity.torch_side import torch_clipping, torch_loss, torch_model, torch_optimizer
from parity.weights import state_dict

FIRST = 3  # steps whose losses are compared


class Batch(NamedTuple):
    """Arrays as JAX takes them: float32, images channels last, labels and tokens int32."""

    inputs: tuple[np.ndarray, ...]
    targets: Any


@dataclass(frozen=True)
class Program:
    """A training step that has been taken three times and is ready to be timed.

    step:          takes one step, waits for it, returns its loss
    first_calls_s: seconds of the first three calls
    losses:        of these three
    compile_s:     JAX: lowering and compiling, before the first call; torch.compile: the first call, which
                   compiles; None where nothing is compiled. Measured once, whoever else is busy
    """

    step: Callable[[], Any]
    first_calls_s: tuple[float, ...]
    losses: tuple[float, ...]
    compile_s: float | None = None


def random_batch(case: Case, model: nnx.Module, size: int, seed: int = 0) -> Batch:
    """Images in [0, 1], or normal inputs, with targets of the shape that the loss needs."""
    random, arrays = np.random.default_rng(seed), case.of_batch_size(size).arrays
    if case.kind == "image":
        inputs = (random.random(arrays[0].shape).astype(np.float32),)
    else:
        inputs = tuple(array.random(random) for array in arrays)
    outputs, _ = jax.eval_shape(*functional(train_view(model)), *inputs)
    if case.outputs in ("scores", "tokens"):
        return Batch(inputs, random.integers(0, outputs.shape[-1], outputs.shape[:-1], np.int32))
    targets = [random.normal(size=output.shape).astype(np.float32) for output in jax.tree.leaves(outputs)]
    return Batch(inputs, targets[0] if len(targets) == 1 else targets)


def draws(model: nnx.Module, batch: Batch) -> bool:
    """Whether a training step draws random numbers (dropout)."""
    return bool(requested(*functional(train_view(model)), *batch.inputs))


def jax_program(case: Case, model: nnx.Module, batch: Batch, device: str) -> Program:
    """`d2l_jax.make_train_step`, compiled ahead; the state is donated, the batch lies on the device.

    It also counts the correct labels, as in training; PyTorch's steps do not.
    """
    with jax.default_device(jax_device(device)):
        tx = case.transformation()
        state, on_device = TrainState.create(model, tx), jax.device_put(tuple(batch))
        train_step: Any = make_train_step(model, tx, case.loss, case.penalty)
        start = time.perf_counter()
        compiled = train_step.lower(state, on_device).compile()
        compile_s = time.perf_counter() - start

    def step() -> jax.Array:
        nonlocal state
        state, metrics = compiled(state, on_device)
        jax.block_until_ready((state, metrics))
        return metrics["loss"]

    return replace(_started(step), compile_s=compile_s)


def torch_program(case: Case, model: nnx.Module, batch: Batch, device: str) -> Program:
    """The book's way: zero_grad, forward, loss, backward, step, from the weights of the Flax `model`."""
    return _started(_torch_step(case, model, batch, device, lambda objective: objective))


def compiled_program(case: Case, model: nnx.Module, batch: Batch, device: str, limit: float) -> Program:
    """The same with forward, loss and backward in one `torch.compile`, its caches empty.

    Raises `TooSlow` when compiling and three calls have taken `limit` seconds.
    """
    start_compiler()
    with empty_caches(), time_limit(limit):
        program = _started(_torch_step(case, model, batch, device, torch.compile))
    return replace(program, compile_s=program.first_calls_s[0])


@cache
def start_compiler() -> None:
    """Once per process and untimed: what a first `torch.compile` sets up is no cost of one model."""
    with empty_caches():
        torch.compile(lambda x: x * 2)(torch.ones(8))


@contextmanager
def empty_caches() -> Iterator[None]:
    """Nothing compiled before is used within, and no compiler process is left over after."""
    from torch._inductor import async_compile, utils

    fresh_cache = getattr(utils, "fresh_cache", None) or utils.fresh_inductor_cache
    torch.compiler.reset()
    try:
        with fresh_cache():
            yield
    finally:
        async_compile.shutdown_compile_workers()


def _torch_step(case: Case, flax: nnx.Module, batch: Batch, device: str, compiler: Callable) -> Callable:
    side = torch_device(device)
    model, loss = loaded(case, flax).to(side).train(), torch_loss(case)
    inputs, targets = torch_batch(case, batch, side)
    optimizer = torch_optimizer(case, model)
    objective, clip = compiler(lambda X, y: loss(model(*X), y, model)), torch_clipping(case)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = objective(inputs, targets)
        if value.requires_grad:  # the book's MyLinear reads .data: nothing is trained, in JAX neither
            value.backward()
            clip(model)
        optimizer.step()
        if side == "cuda":
            torch.cuda.synchronize()
        return value.detach()

    return step


def loaded(case: Case, flax: nnx.Module) -> torch.nn.Module:
    """PyTorch's twin with the weights of the Flax model."""
    model = torch_model(case)
    model.load_state_dict({key: torch.tensor(array) for key, array in state_dict(flax).items()})
    return model


def torch_batch(case: Case, batch: Batch, device: str) -> tuple[tuple[torch.Tensor, ...], Any]:
    """The same numbers as PyTorch takes them: images channels first, labels and tokens int64."""
    images = case.outputs == "images"
    inputs = tuple(_tensor(array, device, array.ndim == 4) for array in batch.inputs)
    if isinstance(batch.targets, list):
        return inputs, [_tensor(array, device, images) for array in batch.targets]
    return inputs, _tensor(batch.targets, device, images)


def _tensor(array: np.ndarray, device: str, images: bool) -> torch.Tensor:
    tensor = torch.tensor(array, device=device)
    tensor = tensor if tensor.is_floating_point() else tensor.long()
    return tensor.permute(0, 3, 1, 2).contiguous() if images else tensor


def _started(step: Callable[[], Any]) -> Program:
    losses: list[Any] = []
    seconds = tuple(seconds_of(lambda: losses.append(step())) for _ in range(FIRST))
    return Program(step, seconds, tuple(map(float, losses)))


def evaluation_losses(case: Case, model: nnx.Module, batch: Batch) -> tuple[float, float]:
    """(JAX's, PyTorch's) before training and without dropout, on the CPU."""
    _, params, buffers = functional(model)
    ours = make_eval_step(model, case.loss)(params, buffers, jax.device_put(tuple(batch)))["loss"]
    twin, loss = loaded(case, model).eval(), torch_loss(replace(case, penalty=None))
    inputs, targets = torch_batch(case, batch, "cpu")
    with torch.no_grad():
        return float(ours), float(loss(twin(*inputs), targets, twin))


def cpu_threads() -> int:
    """How many threads XLA computes with: its pool is counted, or else the CPUs this process may use."""
    jax.devices("cpu")
    pool = 0
    for path in glob.glob("/proc/self/task/*/comm"):
        with open(path) as file:
            pool += file.read().strip() == "tf_XLAEigen"
    return pool or cpus()


@contextmanager
def same_conditions() -> Iterator[None]:
    """Float32 without TF32 on both sides, as many threads for PyTorch as XLA has, no compilation cache.

    PyTorch may take kernels that are not deterministic: they are faster, and XLA does not promise it either.
    """
    cached = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        with pinned(threads=cpu_threads(), deterministic=False), jax.default_matmul_precision("highest"):
            yield
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)
