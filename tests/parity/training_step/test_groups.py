"""States of parameters' groups, gradients that a JAX state adds up, and a state that is not handed on."""

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from torch.nn.functional import cross_entropy
from training_steps import adam, check, jax_step, loss_and_grads, named, params, torch_step


def of_layers(first, second):
    return optax.multi_transform({"0": first, "1": second}, {"dense0": "0", "dense1": "1"})


def last_alone(model):
    return torch.optim.Adam(model[2].parameters(), lr=0.01)


def two_rates(model):
    return torch.optim.Adam(
        [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.001}], lr=0.01
    )


def test_an_optimiser_of_some_parameters_alone_has_the_same_slots():
    tx = of_layers(optax.set_to_zero(), optax.adam(0.01))
    assert check(jax_step(tx), tx, torch_step, last_alone).status == "pass"


@pytest.mark.slow
def test_optimisers_of_groups_have_the_same_slots():
    tx = of_layers(optax.adam(0.01), optax.adam(0.001))
    assert check(jax_step(tx), tx, torch_step, two_rates).status == "pass"
    tx = of_layers(optax.adam(0.01), optax.adam(0.001, b2=0.99))
    assert check(jax_step(tx), tx, torch_step, two_rates).status == "fail"


@pytest.mark.slow
def test_what_pytorch_does_not_train_is_named():
    tx = optax.adam(0.01)
    result = check(jax_step(tx), tx, torch_step, last_alone)
    named(result, "not-trained", "PyTorch's step does not move 0.weight, 0.bias")


def accumulates(tx, share):
    """Gives a step whose state adds gradients up, under a name that sorts before that of the parameters."""

    @jax.jit
    def step(state, batch):
        loss, grads = loss_and_grads(state["params"], batch)
        added = jax.tree.map(lambda a, g: a + share * g, state["added"], grads)

        def update(_):
            updates, opt = tx.update(added, state["opt"], state["params"])
            return optax.apply_updates(state["params"], updates), opt, jax.tree.map(jnp.zeros_like, added)

        def wait(_):
            return state["params"], state["opt"], added

        now = state["count"] % 2 == 1
        new, opt, added = jax.lax.cond(now, update, wait, None)
        return state | {"params": new, "opt": opt, "added": added, "count": state["count"] + 1}, loss

    return step


class Every2:
    """PyTorch's step with an update at each second call."""

    count = 0

    def __call__(self, model, optimizer, batch):
        loss = cross_entropy(model(batch[0]), batch[1])
        (loss / 2).backward()
        self.count += 1
        if self.count % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss


@pytest.mark.slow
@pytest.mark.parametrize("share, status", [(0.5, "pass"), (1.0, "fail")])
def test_gradients_that_are_added_up_in_the_state_are_no_parameters(share, status):
    tx = optax.adam(0.01)
    more = {"added": jax.tree.map(jnp.zeros_like, params()), "count": jnp.zeros((), jnp.int32)}
    result = check(accumulates(tx, share), tx, Every2(), adam, more=more)
    assert result.status == status
    if status == "fail":
        named(result, "gradient-accumulation", "adds the gradients of 2 micro-batches", step=2)


@pytest.mark.slow
def test_an_optimiser_state_that_is_not_returned_is_named():
    tx = optax.adam(0.01)

    def step(state, batch):
        loss, grads = loss_and_grads(state["params"], batch)
        updates, _ = tx.update(grads, state["opt"], state["params"])
        return state | {"params": optax.apply_updates(state["params"], updates)}, loss

    named(check(step, tx, torch_step, adam), "state-not-returned", "gives back the optimiser's state")
