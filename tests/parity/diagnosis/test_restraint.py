"""Layers: nothing is named that does not explain outputs and gradients, and nothing is left changed."""

import numpy as np
import pytest
import torch
from planting import altered, copied, named, normal, of, seeded, without
from torch import nn

from d2l_jax.errors import InputError
from parity.blame.diagnosis import explain_layer


def gradients(module, x, cotangent):
    module = module.double()
    x = torch.tensor(x, requires_grad=True) if x.dtype == float else torch.as_tensor(x)
    module.zero_grad()
    module(x).backward(torch.as_tensor(cotangent))
    by_name = {name: p.grad.numpy().copy() for name, p in module.named_parameters()}
    return by_name | ({"input": x.grad.numpy()} if x.is_floating_point() else {})


def test_padding_idx_shows_in_the_gradient_alone():
    module = seeded(nn.Embedding(5, 3, padding_idx=1))
    x = np.array([[0, 1, 2, 1]])
    back = normal(1, 4, 3)
    flax = gradients(copied(module, nn.Embedding(5, 3)), x, back)
    output = of(module, x)
    cause = explain_layer(module, (x,), {}, output, training=True, cotangent=back, flax_grads=flax)
    assert cause is not None and cause.name == "padding-idx", cause
    flax = gradients(module, x, back)
    assert explain_layer(module, (x,), {}, output, training=True, cotangent=back, flax_grads=flax) is None


def test_gradients_must_fit_too():
    """The output fits the hypothesis and the gradient does not: nothing is named."""
    module = seeded(nn.Linear(7, 5))
    x = normal(3, 7)
    back = normal(3, 5, seed=1)
    flax = altered(module, without("bias"))
    grads = gradients(flax, x, back) | {"bias": np.zeros(5)}
    cause = explain_layer(module, (x,), {}, of(flax, x), training=False, cotangent=back, flax_grads=grads)
    assert cause is not None and cause.name == "bias-missing"
    grads["weight"] = normal(5, 7, seed=5)
    cause = explain_layer(module, (x,), {}, of(flax, x), training=False, cotangent=back, flax_grads=grads)
    assert cause is None or cause.name != "bias-missing"


def test_the_fallback_is_by_numbers():
    x = normal(5, 7)
    module = seeded(nn.Linear(7, 3))
    cause = named(module, x, of(module, x)[::-1])
    assert cause is not None and cause.name == "flipped"


MODULES = [
    nn.Linear(6, 6), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LayerNorm(6), nn.GroupNorm(2, 4),
    nn.MaxPool2d(2), nn.GELU(), nn.Softmax(-1), nn.LSTM(6, 3), nn.Flatten(),
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("seed", range(3))
def test_unrelated_outputs_are_not_named(module, seed):
    module = seeded(module)
    x = normal(4, 5, 6) if isinstance(module, nn.LSTM) else normal(4, 4, 6, 6, seed=seed)
    y = of(module, x)
    y = y[0] if isinstance(y, tuple) else y
    for training in (False, True):
        assert named(module, x, normal(*y.shape, seed=seed + 100), training=training) is None


def test_the_module_is_left_alone():
    norm = seeded(nn.BatchNorm1d(5))
    x = normal(7, 5)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    named(norm, x, normal(7, 5, seed=1), training=True)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
    assert norm.training


def test_pytorch_is_left_as_it_was():
    threads = torch.get_num_threads()
    random_state = torch.get_rng_state()
    named(nn.Dropout(0.3), normal(5, 7), normal(5, 7, seed=1), training=True)
    assert torch.get_num_threads() == threads and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random_state)


def test_bad_calls_say_what_would_be_right():
    with pytest.raises(InputError, match="holds no array"):
        named(nn.ReLU(), normal(2, 3), None)
    with pytest.raises(InputError, match="without a cotangent"):
        named(nn.ReLU(), normal(2, 3), normal(2, 3), flax_grads={"input": normal(2, 3)})
