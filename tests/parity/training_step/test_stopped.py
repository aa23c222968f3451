"""Training steps whose losses agree and whose gradients do not."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from torch.nn.functional import cross_entropy
from training_steps import check, jax_step, named, sgd


def losses_of(params, batch, passed=lambda scores: scores):
    x, y = batch
    x = jnp.tanh(x @ params["dense0"]["kernel"] + params["dense0"]["bias"])
    scores = passed(x @ params["dense1"]["kernel"] + params["dense1"]["bias"])
    return optax.softmax_cross_entropy_with_integer_labels(scores, y)


def focal(stop):
    def loss(params, batch):
        each = losses_of(params, batch)
        return (stop((1 - jnp.exp(-each)) ** 2) * each).mean()

    return jax.value_and_grad(loss)


def torch_step(model, optimizer, batch, block):
    x, y = batch
    each = cross_entropy(model(x), y, reduction="none")
    with block():
        weight = (1 - torch.exp(-each)) ** 2
    loss = (weight * each).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


STOPS = [
    (jax.lax.stop_gradient, torch.no_grad, "", ""),
    (lambda x: x, torch.no_grad, "stop-gradient-missing", "block()"),  # Python 3.13 has no `with` there
    (jax.lax.stop_gradient, torch.enable_grad, "stop-gradient", "Flax stops the gradient behind `-each`"),
]


@pytest.mark.parametrize(("stop", "block", "cause", "text"), STOPS, ids=["right", "missing", "more"])
def test_a_gradient_that_is_stopped_on_one_side_alone(stop, block, cause, text):
    tx = optax.sgd(0.1)
    result = check(jax_step(tx, focal(stop)), tx, partial(torch_step, block=block), sgd)
    assert result.status == ("fail" if cause else "pass")
    if cause:
        named(result, cause, "the update of", text)


@jax.custom_vjp
def passed(x):
    return x


passed.defvjp(lambda x: (x, x), lambda x, g: (g + 0.1 * jnp.sin(x),))


def test_control_of_an_unknown_gradient_no_line_of_the_optimiser_is_told():
    def plain_step(model, optimizer, batch):
        loss = cross_entropy(model(batch[0]), batch[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    tx = optax.sgd(0.1)
    grads = jax.value_and_grad(lambda params, batch: losses_of(params, batch, passed).mean())
    blame = check(jax_step(tx, grads), tx, plain_step, sgd).blame
    assert blame and not blame.cause
    assert "gradient of 0.weight, 0.bias, 2.weight, 2.bias is nowhere in Flax: another loss" in blame.text
