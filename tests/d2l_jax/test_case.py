"""The declaration of a model: what it takes, what is minimised, and clipping, on both sides."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from failing import failing, failing_after_all

from d2l_jax import losses
from d2l_jax.case import Input, floats, lengths, tokens
from d2l_jax.catalog import get
from d2l_jax.data import EMBEDDED, KNOWN, kind_of
from parity.reference import losses as torch_losses
from parity.reference.clip import clip_gradients
from parity.twin.pairing import twin_of

MLP = get("mlp")
TOKENS = (tokens((3, 5), 11), lengths((3,), 5))


@pytest.mark.parametrize(
    "name, kind", [("mnist", "image"), ("houses", "tabular"), ("topics", "text"), ("fra_eng", "translation")]
)
def test_the_data_set_tells_what_is_learned_from(name, kind):
    assert kind_of(name) == kind


def test_every_embedded_set_has_the_kind_that_it_stands_in_for():
    """What is loaded by a name is of its kind: see `test_data_lookup.py`, which loads every one."""
    assert EMBEDDED.items() <= {(kind_of(name), name) for name in KNOWN}


def test_a_shape_is_one_array_of_numbers():
    assert replace(MLP, inputs=(4, 9)).arrays == (Input((4, 9)),) == (floats((4, 9)),)
    case = replace(MLP, inputs=TOKENS).of_batch_size(7)
    assert [array.shape for array in case.arrays] == [(7, 5), (7,)] and case.batch_size == 7


def test_random_inputs_keep_to_their_range():
    random = np.random.default_rng(0)
    ids = tokens((50, 40), 11).random(random)
    valid = lengths((500,), 5).random(random)
    assert set(ids.ravel()) == set(range(11)) and set(valid) == {1, 2, 3, 4, 5}
    assert ids.dtype == valid.dtype == np.int32 and floats((2,)).random(random).dtype == np.float32


def test_masked_cross_entropy_and_its_gradient_agree():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4, 5, 7))
    y = random.integers(0, 7, (4, 5))
    y[0, 2:] = 3
    with jax.enable_x64(True):
        value, grad = jax.value_and_grad(partial(losses.masked_cross_entropy, y=jnp.asarray(y), pad=3))(
            jnp.asarray(logits)
        )
        all_counted = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(y))
    x = torch.tensor(logits, requires_grad=True)
    theirs = torch_losses.masked_cross_entropy(x, torch.tensor(y), pad=3)
    theirs.backward()
    assert abs(float(value) - theirs.item()) < 1e-14 < abs(float(value) - float(all_counted))
    np.testing.assert_allclose(grad, x.grad, atol=1e-15)
    assert np.all(np.asarray(grad)[y == 3] == 0)


def test_only_padding_has_no_mean():
    assert jnp.isnan(losses.masked_cross_entropy(jnp.zeros((2, 3)), jnp.array([1, 1]), pad=1))


def test_the_sum_of_mses_counts_every_output():
    a = np.ones((2, 3), np.float32)
    b = np.full((4,), 3.0, np.float32)
    targets = [jnp.zeros((2, 3), "float32"), jnp.ones(4, "float32")]
    assert losses.sum_of_mses((jnp.asarray(a), (jnp.asarray(b),)), targets) == 1 + 4
    nested = (torch.tensor(a), (torch.tensor(b),))
    assert torch_losses.sum_of_mses(nested, [torch.zeros(2, 3), torch.ones(4)]) == 1 + 4
    with pytest.raises(ValueError):
        losses.sum_of_mses((jnp.asarray(a), jnp.asarray(b)), [jnp.asarray(a)])


@pytest.mark.parametrize("theta", [1e-2, 1e3], ids=["active", "inactive"])
def test_clipping_is_the_same_on_both_sides(theta):
    twin = twin_of(MLP.with_turn(clip=theta), steps=2)
    assert not failing_after_all(twin) and not failing_after_all(twin, "float32")


def test_clipping_on_one_side_alone_is_seen():
    """The control of the above: with it they agree."""
    assert failing(twin_of(MLP.with_turn(clip=1e-2), steps=1).with_flax(clip=None))


def test_the_norm_is_that_of_all_parameters():
    model = torch.nn.Linear(1, 1)
    model.weight.grad = torch.tensor([[3.0]])
    model.bias.grad = torch.tensor([4.0])
    clip_gradients(model.parameters(), 10.0)
    assert model.bias.grad.item() == 4
    clip_gradients(model.parameters(), 1.0)
    np.testing.assert_allclose([model.weight.grad.item(), model.bias.grad.item()], [0.6, 0.8], rtol=1e-6)
