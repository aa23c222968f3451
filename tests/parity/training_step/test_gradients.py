"""The gradient that an optimiser meets: how micro-batches are added, how it is clipped and scaled."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from torch.nn.functional import cross_entropy
from training_steps import (
    BOTH,
    MICRO,
    accumulating,
    adam,
    check,
    jax_step,
    loss_of,
    micro,
    named,
    sgd,
    torch_step,
)  # fmt: skip

from d2l_jax.optim import clip_grad_norm

COMBINED = [
    (lambda g: g.sum(0), "Flax adds the gradients of 3 micro-batches, PyTorch takes their mean"),
    (lambda g: g[:-1].mean(0), "leaves out micro-batch 3 of 3, and takes the mean of the others"),
    (lambda g: g[1:].sum(0) / 3, "leaves out micro-batch 1 of 3"),
    (lambda g: g.sum(0) / 2, "divides by 2, PyTorch by 3"),
    (lambda g: g[-1], "micro-batch 3 of 3 alone, undivided"),
    (lambda g: 0.5 * g[0] + 0.3 * g[1] + 0.2 * g[2], "weighs the gradients of 3 micro-batches by 1.5, 0.9, 0.6 times"),
]


@pytest.mark.parametrize(("combine", "text"), COMBINED)
def test_accumulation(combine, text):
    by_adam = "adds" in text  # whose update hides the factor, and whose slots show it
    tx = optax.adam(0.01) if by_adam else optax.sgd(0.1)
    theirs = adam if by_adam else sgd
    result = check(jax_step(tx, partial(micro, combine=combine)), tx, accumulating, theirs)
    named(result, "gradient-accumulation", text)


def test_accumulation_that_is_right_passes():
    tx = optax.adam(0.01)
    step = jax_step(tx, partial(micro, combine=lambda g: g.mean(0)))
    assert check(step, tx, accumulating, adam, tiers=BOTH).status == "pass"


def every_third(model, optimizer, batch, counter):
    x, y = batch
    (cross_entropy(model(x), y) / 3).backward()
    counter["n"] += 1
    if counter["n"] % 3 == 0:
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.slow
@pytest.mark.parametrize("every", [3, 2])
def test_accumulation_over_several_calls(every):
    tx = optax.MultiSteps(optax.adam(0.01), every)
    result = check(jax_step(tx), tx, partial(every_third, counter={"n": 0}), adam)
    if every == 3:
        assert result.status == "pass"
    else:
        named(result, "gradient-accumulation", "where PyTorch still accumulates", step=2)


def every_second(model, optimizer, batch, counter):
    counter["n"] += 1
    if counter["n"] % 2 == 0:
        torch_step(model, optimizer, batch)


def test_an_update_at_steps_where_pytorch_takes_no_gradient_is_no_accumulation():
    tx = optax.sgd(0.1)
    result = check(jax_step(tx), tx, partial(every_second, counter={"n": 0}), sgd)
    named(result, "update-count", "takes no gradient of these")


CLIPPED = [
    (optax.sgd(0.1), "clipping-missing", "does not clip the gradient, PyTorch to a norm of 0.2"),
    (optax.chain(clip_grad_norm(0.1), optax.sgd(0.1)), "clipping", "to a norm of 0.1, PyTorch to 0.2"),
    (optax.chain(optax.clip(0.1), optax.sgd(0.1)), "clipping-by-value", "every number to 0.1"),
    (optax.chain(optax.clip_by_global_norm(0.2), optax.sgd(0.1)), "clipping-eps", "PyTorch adds 1e-06 to the norm"),
]


@pytest.mark.parametrize(("tx", "cause", "text"), CLIPPED)
def test_clipping(tx, cause, text):
    named(check(jax_step(tx), tx, partial(torch_step, clip=0.2), sgd), cause, text)


def test_clipping_that_is_right_passes():
    tx = optax.chain(clip_grad_norm(0.2), optax.adam(0.01))
    result = check(jax_step(tx), tx, partial(torch_step, clip=0.2), adam, tiers=BOTH)
    assert result.status == "pass"


def clip_by_hand(parameters, most):
    parameters = list(parameters)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
    for p in parameters:
        p.grad.mul_(torch.clamp(most / norm, max=1.0))


def by_hand(model, optimizer, batch, prepare=clip_by_hand):
    x, y = batch
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    prepare(model.parameters(), 0.2)
    optimizer.step()
    return loss


def clip_each(parameters, most):
    for parameter in parameters:
        clip_by_hand([parameter], most)


def clip_layers(parameters, most):
    weight, bias, *others = parameters
    for layer in ((weight, bias), others):
        clip_by_hand(layer, most)


def layers(tree):
    return {name: jax.tree.map(lambda _, name=name: name, of_one) for name, of_one in tree.items()}


each_by_hand = partial(by_hand, prepare=clip_each)
layers_by_hand = partial(by_hand, prepare=clip_layers)
each_layer = optax.multi_transform({f"dense{number}": optax.clip_by_global_norm(0.2) for number in (0, 1)}, layers)
scaled = (optax.scale(1024), optax.clip_by_global_norm(0.5), optax.scale(1 / 1024))
numbers = partial(by_hand, prepare=lambda parameters, most: torch.nn.utils.clip_grad_value_(parameters, most / 10))
with_momentum = partial(sgd, momentum=0.9)
heavy = optax.sgd(0.1, momentum=0.9)
BY_HAND = [
    (heavy, by_hand, "clipping-missing", "does not clip the gradient, PyTorch to a norm of 0.2"),
    (optax.chain(optax.clip_by_global_norm(0.2), heavy), torch_step, "clipping", "a norm of 0.2, PyTorch does not"),
    (optax.chain(optax.clip(0.1), heavy), torch_step, "clipping-by-value", "every number to 0.1, PyTorch does not"),
    (optax.chain(clip_grad_norm(0.2), heavy), by_hand, "clipping-eps", "but Flax adds 1e-06"),
    (optax.chain(optax.clip_by_block_rms(0.02), heavy), torch_step, "clipping-per-tensor", "mean square of 0.02, Py"),
    (heavy, each_by_hand, "clipping-missing", "PyTorch each tensor by itself to a norm of 0.2"),
    (optax.chain(optax.clip_by_global_norm(0.2), heavy), each_by_hand, "clipping-per-tensor", "all tensors together"),
    (optax.chain(optax.clip_by_global_norm(0.2), heavy), layers_by_hand, "clipping-per-tensor", "tensors of a layer"),
    (optax.chain(each_layer, heavy), torch_step, "clipping-per-layer", "2.bias, 2.weight, together and by themselves"),
    (optax.chain(*scaled, heavy), torch_step, "loss-scale", "a round limit over a power of two: clipped before"),
    (heavy, numbers, "clipping-missing", "does not clip the gradient, PyTorch every number to 0.02"),
    (optax.chain(optax.clip_by_global_norm(0.02), heavy), numbers, "clipping-by-norm", "PyTorch every number to 0.02"),
    (optax.chain(optax.clip_by_global_norm(0.07), heavy), numbers, "clipping-by-norm", "norm of 0.07, PyTorch every n"),
    (
        optax.chain(optax.clip(0.03), heavy),
        by_hand,
        "clipping-by-value",
        "0.03, PyTorch the norm of all to 0.2",
    ),
    (optax.chain(optax.scale(0.25), heavy), torch_step, "gradient-scale", "0.25 times PyTorch's"),
    (optax.sgd(0.3, momentum=0.9), by_hand, "", "what is done to it before the update differs"),  # two mistakes
]


@pytest.mark.slow
@pytest.mark.parametrize(("tx", "theirs", "cause", "text"), BY_HAND)
def test_clipping_on_one_side_before_a_momentum(tx, theirs, cause, text):
    """The trace and the update are one multiple of PyTorch's: another gradient, not another unit of the trace."""
    named(check(jax_step(tx), tx, theirs, with_momentum), cause, text)


RIGHT = [
    (optax.chain(optax.clip_by_global_norm(0.2), heavy), by_hand),
    (optax.chain(optax.scale(0.25), optax.trace(0.9), optax.scale(-0.4)), torch_step),
]


@pytest.mark.slow
@pytest.mark.parametrize(("tx", "theirs"), RIGHT)
def test_clipping_by_hand_and_a_trace_in_another_unit_pass(tx, theirs):
    assert check(jax_step(tx), tx, theirs, with_momentum, tiers=BOTH).status == "pass"


@pytest.mark.slow
def test_clipping_after_the_optimizer():
    tx = optax.chain(optax.scale_by_adam(), optax.clip_by_global_norm(0.2), optax.scale(-0.01))
    named(check(jax_step(tx), tx, partial(torch_step, clip=0.2), adam), "clipping-order", "what the optimiser makes")


def test_clipping_after_weight_decay():
    tx = optax.chain(optax.add_decayed_weights(0.1), optax.clip_by_global_norm(0.2), optax.sgd(0.1))
    result = check(jax_step(tx), tx, partial(torch_step, clip=0.2), partial(sgd, weight_decay=0.1))
    named(result, "clipping-order", "adds the weight decay before it clips")


@pytest.mark.slow
def test_clipping_each_micro_batch():
    tx = optax.sgd(0.1)

    def grads(params, batch):
        parts = jax.tree.map(lambda a: a.reshape(MICRO, -1, *a.shape[1:]), batch)
        losses, each = jax.vmap(jax.value_and_grad(loss_of), (None, 0))(params, parts)
        size = jax.vmap(optax.tree.norm)(each)
        factor = jnp.minimum(1.0, 0.2 / size)
        return losses.mean(), jax.tree.map(lambda g: jnp.tensordot(factor, g, 1) / MICRO, each)

    result = check(jax_step(tx, grads), tx, partial(accumulating, clip=0.2), sgd)
    named(result, "clipping-order", "clips each of 3 micro-batches")


def unscaling(model, optimizer, batch):
    """Divides by the loss's scale by hand."""
    x, y = batch
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    (1024 * loss).backward()
    for parameter in model.parameters():
        parameter.grad /= 1024
    optimizer.step()
    return loss


@pytest.mark.parametrize("theirs", [torch_step, unscaling])
@pytest.mark.parametrize("optimizer", [(optax.sgd(0.1), sgd), (optax.adam(0.01), adam)], ids=["sgd", "adam"])
def test_loss_scale_that_stays(optimizer, theirs):
    tx, optimizer = optimizer

    def grads(params, batch):
        loss, g = jax.value_and_grad(lambda p: 1024 * loss_of(p, batch))(params)
        return loss / 1024, g

    named(check(jax_step(tx, grads), tx, theirs, optimizer), "loss-scale", "1024 times", "not taken out")


def test_clipping_before_unscaling():
    tx = optax.sgd(0.1)

    def grads(params, batch):
        loss, g = jax.value_and_grad(lambda p: 1024 * loss_of(p, batch))(params)
        g, _ = optax.clip_by_global_norm(0.2).update(g, optax.EmptyState())
        return loss / 1024, jax.tree.map(lambda x: x / 1024, g)

    result = check(jax_step(tx, grads), tx, partial(torch_step, clip=0.2), sgd)
    named(result, "loss-scale", "clipped before it is divided")


def ascending(model, optimizer, batch, length=0.05):
    x, y = batch
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    with torch.no_grad():
        parameters = list(model.parameters())
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        steps = [p.grad * (length / (norm + 1e-12)) for p in parameters]
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.add_(step)
    optimizer.zero_grad()
    cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.sub_(step)
    optimizer.step()
    return loss


def ascended(params, batch, length):
    loss, grads = jax.value_and_grad(loss_of)(params, batch)
    factor = length / (optax.tree.norm(grads) + 1e-12)
    return loss, jax.grad(loss_of)(jax.tree.map(lambda p, g: p + factor * g, params, grads), batch)


def test_sams_step_that_is_missing_is_no_micro_batch():
    named(check(jax_step(heavy), heavy, ascending, with_momentum), "ascent-missing", "as SAM does")


@pytest.mark.slow
@pytest.mark.parametrize("length", [0.05, 0.1])
def test_the_length_of_sams_step(length):
    result = check(jax_step(heavy, partial(ascended, length=length)), heavy, ascending, with_momentum)
    if length == 0.05:
        assert result.status == "pass"
    else:
        named(result, "constant", "computes with 0.1 where PyTorch has 0.05")


def noisy(model, optimizer, batch):
    x, y = batch
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    for parameter in model.parameters():
        parameter.grad.add_(torch.randn_like(parameter.grad), alpha=0.1)
    optimizer.step()
    return loss


@pytest.mark.parametrize("variance, status", [(0.01, "pass"), pytest.param(0.04, "fail", marks=pytest.mark.slow)])
def test_noise_of_a_gradient_is_the_same_in_both_layouts(variance, status):
    tx = optax.chain(optax.add_noise(variance, 0.0, 0), optax.sgd(0.1))
    assert check(jax_step(tx), tx, noisy, sgd).status == status
