"""Muon beside `torch.optim.Muon`: exact where both iterate in float64, within bfloat16's digits as PyTorch has it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from optim_runs import draw, jax_run, largest_gap, torch_run

from d2l_jax import optim
from d2l_jax.errors import InputError

DEFAULTS = (3.4445, -4.7750, 2.0315)
SHAPES = {"weight": (3, 5), "bias": (7, 4)}
OPTIONS = [
    dict(),
    dict(lr=0.1, weight_decay=0.3, momentum=0.7, nesterov=False),
    dict(lr=0.1, adjust_lr_fn="match_rms_adamw", ns_steps=3, eps=1e-3),
    dict(lr=0.1, adjust_lr_fn="spectral_unclamped", ns_coefficients=(2.0, -1.5, 0.5)),
    dict(lr=0.1, groups={"bias": {"lr": 0.01, "momentum": 0.0, "adjust_lr_fn": "original", "nesterov": False}}),
]


@pytest.fixture
def iterating_in_float64(monkeypatch):
    """Lets PyTorch's iteration, which converts to bfloat16 by one name or the other, go on in the dtype it is given."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    monkeypatch.setattr(torch, "bfloat16", torch.float64)


def of_torch(options):
    return list(torch_run("Muon", options, drawn=draw(shapes=SHAPES)))


@pytest.mark.usefixtures("iterating_in_float64")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_step_agrees_in_float64(options):
    teacher = of_torch(options)
    tx = optim.Muon(**options, ns_dtype=jnp.float64)
    for lessons in ((), teacher):  # alone, and from PyTorch's own state
        assert largest_gap(jax_run(tx, teacher=lessons, drawn=draw(shapes=SHAPES)), teacher) < 1e-12


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
def test_every_step_agrees_from_pytorchs_own_state_in_bfloat16(options):
    """One in hundreds differs: the order of a sum turns a rounding, which the iteration amplifies."""
    teacher = of_torch(options)
    run = jax_run(optim.Muon(**options), teacher=teacher, drawn=draw(shapes=SHAPES))
    gaps = [np.abs(ours[k] - theirs[k]).max() for ours, theirs in zip(run, teacher, strict=True) for k in theirs]
    assert np.quantile(gaps, 0.95) < 1e-14 and max(gaps) < 0.05 * options.get("lr", 1e-3)


def test_a_compiled_iteration_rounds_as_one_operation_after_the_other():
    matrix = jax.random.normal(jax.random.key(0), (6, 10), jnp.float32)
    iterate = partial(optim.newton_schulz, dtype=jnp.bfloat16)
    with jax.disable_jit():
        plain = iterate(matrix)
    np.testing.assert_array_equal(jax.jit(iterate)(matrix), plain)
    theirs = torch.optim._muon._zeropower_via_newtonschulz(torch.from_numpy(np.array(matrix)), DEFAULTS, 5, 1e-7)
    np.testing.assert_array_equal(plain.astype(jnp.float32), theirs.float().numpy())


def test_control_the_compiler_leaves_out_the_rounding_of_a_product():
    """Once XLA keeps them, `newton_schulz` needs no `reduce_precision`."""
    matrix = jax.random.normal(jax.random.key(0), (6, 10), jnp.float32)

    def product(x):
        return (x.astype(jnp.bfloat16) * x.astype(jnp.bfloat16)).astype(jnp.float32)

    with jax.disable_jit():
        plain = product(matrix)
    assert (jax.jit(product)(matrix) != plain).any()


TRACE = {  # the second edition's scratch Muon, and PyTorch's, after two steps
    "float32": [[[0.98265, 1.999497, 3.017224], [3.99057, 4.963287, 6.000252]],
                [[0.955477, 1.977785, 3.012754], [4.014674, 4.95654, 5.985191]]],
    "bfloat16": [[[0.982815, 1.999571, 3.016915], [3.990596, 4.962923, 6.000125]],
                 [[0.955751, 1.97765, 3.012381], [4.014547, 4.956293, 5.985240]]],
}  # fmt: skip


@pytest.mark.parametrize("dtype, limit", [("float32", 2e-6), ("bfloat16", 1e-4)])
def test_the_second_editions_trace(dtype, limit):
    """A running mean for a sum changes nothing: the iteration divides by the matrix's norm."""
    tx = optim.Muon(0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", ns_dtype=dtype)
    p = jnp.array([[1.0, 2, 3], [4, 5, 6]], jnp.float32)
    state = tx.init(p)
    for gradient, expected in zip(([[1.0, 0, -1], [0.5, 2, 0]], [[0.0, 1, 1], [-1, 0, 1]]), TRACE[dtype]):
        updates, state = tx.update(jnp.array(gradient, jnp.float32), state, p)
        p = p + updates
        np.testing.assert_allclose(p, expected, atol=limit)


def test_a_kernel_of_flax_moves_as_the_transposed_weight():
    first, gradient = (jnp.asarray(a["weight"]) for a in draw(shapes=SHAPES, steps=1))
    tx = optim.Muon(adjust_lr_fn="spectral_unclamped", ns_dtype=jnp.float64)
    updates = {}
    for name, turned in (("weight", lambda a: a), ("kernel", jnp.transpose)):
        params = {name: turned(first)}
        updates[name] = tx.update({name: turned(gradient)}, tx.init(params), params)[0][name]
    np.testing.assert_allclose(updates["kernel"].T, updates["weight"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("iterating_in_float64", "promoting")
def test_control_muon_of_optax_is_noticed():
    right = of_torch(dict(lr=0.1, weight_decay=0.0))
    tx = optax.contrib.muon(0.1)
    first, *gradients = ({k: jnp.asarray(a) for k, a in arrays.items()} for arrays in draw(shapes=SHAPES, steps=2))
    params = first
    state = tx.init(params)
    for grads, record in zip(gradients, right):
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        assert np.abs(params["weight"] - record["weight"]).max() > 1e-4


@pytest.mark.slow
def test_singular_values_end_near_1():
    matrix = jax.random.normal(jax.random.key(0), (6, 4), jnp.float64)
    values = jnp.linalg.svd(optim.newton_schulz(matrix), compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3
    np.testing.assert_array_equal(optim.newton_schulz(jnp.zeros((2, 3))), 0)


@pytest.mark.parametrize(
    "call, line",
    [
        (lambda: optim.Muon(adjust_lr_fn="none"), "adjust_lr_fn is 'none' where one of original,"),
        (lambda: optim.Muon(ns_steps=100), "ns_steps is 100 where at most 99 is right"),
        (
            lambda: optim.Muon().init({"conv": {"kernel": jnp.zeros((3, 3, 1, 6))}}),
            "Muon moves matrices alone; conv.weight has the shape (3, 3, 1, 6)",
        ),
    ],
)
def test_a_wrong_call_says_what_is_right(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(line)
