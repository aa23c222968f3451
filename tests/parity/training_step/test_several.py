"""Two models that learn in turn, each with an optimiser of its own: a GAN."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from step_batches import EXACT
from torch.nn.functional import binary_cross_entropy_with_logits

import parity
from d2l_jax.errors import InputError
from parity.training_step.jax_state import JaxState
from parity.training_step.named_tensors import of_part
from parity.training_step.roles import roles_of

random = np.random.default_rng(0)
BATCHES = [
    {"x": random.normal(size=(8, 6)).astype(np.float32), "z": random.normal(size=(8, 3)).astype(np.float32)}
    for _ in range(2)
]


def dense(fan_in, fan_out):
    return {"kernel": jnp.zeros((fan_in, fan_out)), "bias": jnp.zeros(fan_out)}


def net(params, x):
    x = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"])
    return x @ params["last"]["kernel"] + params["last"]["bias"]


def bce(scores, label):
    return optax.sigmoid_binary_cross_entropy(scores, jnp.full_like(scores, label)).mean()


def d_loss(disc, gen, batch):
    return bce(disc(batch["x"]), 1.0) + bce(disc(gen(batch["z"])), 0.0)


def g_loss(gen, disc, batch):
    return bce(disc(gen(batch["z"])), 1.0)


def adam(**options):
    return optax.adam(0.002, **({"b1": 0.5} | options))


def moved(tx, loss, params, opt):
    value, grads = jax.value_and_grad(loss)(params)
    updates, opt = tx.update(grads, opt, params)
    return value, optax.apply_updates(params, updates), opt


def check(d_tx, theirs="tuple", stale=False):
    """Checks the two steps; `theirs` says how PyTorch's models and optimisers are handed over."""
    state = {
        "gen": {"first": dense(3, 5), "last": dense(5, 6)},
        "disc": {"first": dense(6, 5), "last": dense(5, 1)},
    }
    g_tx = adam()
    state |= {"gen_opt": g_tx.init(state["gen"]), "disc_opt": d_tx.init(state["disc"])}

    @jax.jit
    def step(state, batch):
        gen = partial(net, state["gen"])
        d, disc, disc_opt = moved(d_tx, lambda p: d_loss(partial(net, p), gen, batch), state["disc"], state["disc_opt"])
        judge = partial(net, state["disc"] if stale else disc)
        g, gen, gen_opt = moved(g_tx, lambda p: g_loss(partial(net, p), judge, batch), state["gen"], state["gen_opt"])
        return {"gen": gen, "disc": disc, "gen_opt": gen_opt, "disc_opt": disc_opt}, {"d": d, "g": g}

    return parity.check_step(step, state, *pytorch(theirs), BATCHES, tiers=EXACT)


def pytorch(kind):
    """Returns PyTorch's step, model and optimiser."""
    torch.manual_seed(0)
    gen = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 6))
    disc = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    gen_opt, disc_opt = (torch.optim.Adam(each.parameters(), 0.002, (0.5, 0.999)) for each in (gen, disc))
    whole = torch.nn.ModuleDict({"gen": gen, "disc": disc})
    if kind == "tuple":
        return (lambda model, opt, batch: torch_step(*model, *opt, batch)), (gen, disc), (gen_opt, disc_opt)
    if kind == "dict":
        by_name = {"gen": gen_opt, "disc": disc_opt}
        return (lambda m, o, batch: torch_step(*m.values(), *o.values(), batch)), dict(whole.items()), by_name
    return (lambda model, opt, batch: torch_step(model["gen"], model["disc"], opt, disc_opt, batch)), whole, gen_opt


def torch_step(gen, disc, gen_opt, disc_opt, batch):
    def loss(scores, label):
        return binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))

    fake = gen(batch["z"])
    disc_opt.zero_grad()
    d = loss(disc(batch["x"]), 1.0) + loss(disc(fake.detach()), 0.0)
    d.backward()
    disc_opt.step()
    gen_opt.zero_grad()
    g = loss(disc(fake), 1.0)
    g.backward()
    gen_opt.step()
    return {"d": d, "g": g}


@pytest.mark.parametrize("theirs", ["tuple", "dict", "one in the closure"])
def test_two_optimisers_pass_however_they_are_handed_over(theirs):
    result = check(adam(), theirs)
    assert result.status == "pass", result
    slots = {(row.key.tensor, row.key.slot) for row in result.rows["float64"] if row.key.phase == "optimizer"}
    assert len(slots) == 8 * 3  # of both models' tensors: two moments and the count


@pytest.mark.slow
def test_a_mistake_in_one_of_two_optimisers_is_named():
    result = check(adam(b1=0.9), "dict")
    assert result.blame.cause == "betas" and "the optimiser of disc.0.weight" in result.blame.text


@pytest.mark.slow
def test_a_generator_that_meets_the_old_discriminator_fails():
    result = check(adam(), "dict", stale=True)
    assert result.status == "fail" and "step 1, g: " in result.blame.text
    assert result.blame.cause == "updates-together"


class Net(nnx.Module):
    def __init__(self, sizes, rngs):
        self.first = nnx.Linear(sizes[0], sizes[1], rngs=rngs)
        self.last = nnx.Linear(sizes[1], sizes[2], rngs=rngs)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


@nnx.jit
def nnx_step(gen, disc, gen_opt, disc_opt, batch):
    d, grads = nnx.value_and_grad(lambda model: d_loss(model, gen, batch))(disc)
    disc_opt.update(disc, grads)
    g, grads = nnx.value_and_grad(lambda model: g_loss(model, disc, batch))(gen)
    gen_opt.update(gen, grads)
    return {"d": d, "g": g}


@pytest.mark.slow
@pytest.mark.parametrize("b1, status", [(0.5, "pass"), (0.9, "fail")])
def test_nnx_models_and_their_optimisers(b1, status):
    gen = Net((3, 5, 6), nnx.Rngs(0))
    disc = Net((6, 5, 1), nnx.Rngs(1))
    gen_opt = nnx.Optimizer(gen, adam(), wrt=nnx.Param)
    disc_opt = nnx.Optimizer(disc, adam(b1=b1), wrt=nnx.Param)
    result = parity.check_step(nnx_step, (gen, disc, gen_opt, disc_opt), *pytorch("tuple"), BATCHES, tiers=EXACT)
    assert result.status == status, result


def test_what_is_no_optimiser_is_refused():
    step, model, optimizers = pytorch("tuple")
    with pytest.raises(InputError, match="torch_optimizer is a tuple; .* or a dict of some, is right"):
        parity.check_step(nnx_step, {}, step, model, (optimizers[0], 3), BATCHES)


def test_target_networks_are_copies_of_one_model_each():
    actor, critic = ({"w": jnp.zeros(shape), "b": jnp.zeros(shape[1])} for shape in ((3, 2), (4, 1)))
    tx = optax.adam(0.1)
    nets = {"actor": actor, "critic": critic, "target_critic": critic, "target_actor": actor}
    state = JaxState(nets | {"opt_actor": tx.init(actor), "opt_critic": tx.init(critic)})
    assert roles_of(state).part_of == {("target_actor",): ("actor",), ("target_critic",): ("critic",)}
    whole = torch.nn.ModuleDict({"actor": torch.nn.Linear(3, 2), "critic": torch.nn.Linear(4, 1)})
    named, other = (dict(torch.nn.Linear(inputs, 1).state_dict()) for inputs in (4, 5))
    assert of_part("target", named, whole).keys() == {"critic.weight", "critic.bias"}
    assert of_part("target", other, whole).keys() == {"weight", "bias"}  # of none of them


def test_an_optimisers_net_is_not_the_target_that_has_its_shapes():
    nets = {"actor": dense(4, 2), "critic": dense(3, 2), "target": dense(3, 2)}
    states = {"oa": adam().init(nets["actor"]), "oc": adam().init(nets["critic"])}
    roles = roles_of(JaxState(nets | states))
    assert {part.home for part in roles.parts if part.home} == {("actor",), ("critic",)}
    assert set(roles.copies) == {("target",)}
