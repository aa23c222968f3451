"""Chapter 21: the models against the facts and the golden numbers of the second edition, on both sides."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from flax.traverse_util import flatten_dict

from d2l_jax import eval_view, functional, losses, models, train_view
from d2l_jax.abstract import abstract
from d2l_jax.turns import name_of
from d2l_jax.weights.rules import leaves
from d2l_jax.weights.state_dict import put
from parity import reference

pytestmark = pytest.mark.usefixtures("quick_compilation")
FACTS = json.loads((Path(__file__).parent / "facts" / "recommenders.json").read_text())
USERS, ITEMS = np.array([0, 3, 5], np.int32), np.array([2, 6, 1], np.int32)
ROWS = np.array([[0, 3, 5, 0, 1, 0], [4, 0, 0, 2, 0, 5]], np.float32)
FIELDS = np.array([[0, 4, 7], [3, 5, 9]], np.int32)
GOLDEN: list[tuple[str, dict[str, Any], tuple[np.ndarray, ...], list]] = [
    ("MF", {"num_factors": 4, "num_users": 6, "num_items": 8}, (USERS, ITEMS), [0.274163, -0.376029, 0.281145]),
    (
        "NeuMF",
        {"num_factors": 4, "num_users": 6, "num_items": 8, "nums_hiddens": [5, 3]},
        (USERS, ITEMS),
        [-0.032109, -0.005852, -0.029435],
    ),
    (
        "Caser",
        {"num_factors": 4, "num_users": 6, "num_items": 8, "L": 3, "d": 2, "d_prime": 2},
        (USERS, np.array([[0, 1, 2], [7, 6, 5], [3, 3, 4]], np.int32), ITEMS),
        [0.001004, 0.334792, 0.07315],
    ),
    (
        "AutoRec",
        {"num_hidden": 5, "num_users": 6},
        (ROWS,),
        [
            [0.221831, 0.229981, -0.077276, 0.127919, 0.433846, -0.104502],
            [0.189168, 0.039603, 0.121265, 0.314938, 0.083292, 0.243507],
        ],
    ),
    ("FM", {"field_dims": [4, 3, 3], "num_factors": 4}, (FIELDS,), [0.065836, 0.316822]),
    ("DeepFM", {"field_dims": [4, 3, 3], "num_factors": 4, "mlp_dims": [5, 3]}, (FIELDS,), [0.038557, 0.300145]),
]


def filled(number: int, shape: tuple[int, ...], scale: float = 0.3) -> np.ndarray:
    """The facts' weights: of a parameter's number in order, and an element's in its row-major order."""
    i = np.arange(np.prod(shape, dtype=int))
    values = scale * (2 * ((31 * i**2 + 7919 * i + 1301 * number + 17) % 1009) / 1008 - 1)
    return values.reshape(shape).astype(np.float32)


def pair(name: str, args: dict[str, Any]) -> tuple[nnx.Module, torch.nn.Module]:
    theirs = getattr(reference, name)(**args).eval()
    weights = {key: filled(k, tuple(each.shape)) for k, (key, each) in enumerate(theirs.named_parameters())}
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return put(getattr(models, name)(**args, rngs=nnx.Rngs(0)), weights), theirs


@pytest.mark.slow
@pytest.mark.parametrize(("name", "args", "inputs", "golden"), GOLDEN)
def test_golden_numbers(name, args, inputs, golden):
    ours, theirs = pair(name, args)
    apply, params, buffers = functional(eval_view(ours))
    outputs, _ = jax.jit(apply)(params, buffers, *map(jnp.asarray, inputs))
    np.testing.assert_allclose(np.ravel(outputs), np.ravel(golden), atol=2e-6)
    with torch.no_grad():
        np.testing.assert_allclose(np.ravel(theirs(*map(torch.from_numpy, inputs))), np.ravel(golden), atol=2e-6)


@pytest.mark.parametrize("name", [name for name in FACTS if hasattr(models, name)])
def test_keys_and_shapes_of_the_second_edition(name):
    facts = FACTS[name]
    ours = abstract(lambda: getattr(models, name)(**facts["args"], rngs=nnx.Rngs(0)))
    with torch.device("meta"):
        theirs = getattr(reference, name)(**facts["args"])
    expected = {key: tuple(shape) for key, shape in facts["state_dict"].items()}
    assert {leaf.key: leaf.shape for leaf in leaves(ours)} == expected
    assert {key: tuple(value.shape) for key, value in theirs.state_dict().items()} == expected
    assert sum(np.prod(shape, dtype=int) for shape in expected.values()) == facts["params"]


def started(name: str, **args) -> list[dict[str, np.ndarray]]:
    """The tensors as either side starts them, by PyTorch's names."""
    torch.manual_seed(0)
    theirs = getattr(reference, name)(**args).state_dict()

    def build():
        return functional(getattr(models, name)(**args, rngs=nnx.Rngs(0))).params

    first = {name_of(path): np.asarray(leaf) for path, leaf in flatten_dict(jax.jit(build)()).items()}
    return [first, {key: value.numpy() for key, value in theirs.items()}]


@pytest.mark.parametrize("first_edition", [False, True])
def test_tables_start_small_and_biases_at_zero_but_in_the_first_edition(first_edition):
    for tensors in started("MF", num_factors=30, num_users=100, num_items=200, first_edition=first_edition):
        assert tensors["P.weight"].std() == pytest.approx(0.01, rel=0.1)
        assert tensors["Q.weight"].std() == pytest.approx(0.01, rel=0.1)
        assert (tensors["user_bias.weight"].any(), tensors["item_bias.weight"].any()) == (first_edition, first_edition)


@pytest.mark.slow
def test_all_weights_of_caser_start_small_and_its_biases_at_zero():
    for tensors in started("Caser", num_factors=10, num_users=100, num_items=200):
        for key, tensor in tensors.items():
            if key.endswith("bias"):
                assert not tensor.any()
            elif tensor.size > 500:
                assert tensor.std() == pytest.approx(0.01, rel=0.1), key


@pytest.mark.parametrize("case", GOLDEN[1:3], ids=lambda case: case[0])
def test_several_items_are_scored_as_each_alone(case):
    name, args, (*context, items), golden = case
    ours, theirs = pair(name, args)
    several = np.stack([items, items], 1)
    apply, params, buffers = functional(eval_view(ours))
    together, _ = jax.jit(apply)(params, buffers, *map(jnp.asarray, (*context, several)))
    np.testing.assert_allclose(np.reshape(together, (3, 2)).T, [golden, golden], atol=2e-6)
    with torch.no_grad():
        same = theirs(*map(torch.from_numpy, (*context, several))).numpy()
    np.testing.assert_allclose(np.reshape(same, (3, 2)).T, [golden, golden], atol=2e-6)


def test_unknown_ratings_are_0_in_training_and_guessed_in_evaluation():
    ours, theirs = pair("AutoRec", GOLDEN[3][1] | {"dropout": 0.0})
    apply, params, buffers = functional(train_view(ours))
    outputs, _ = jax.jit(apply)(params, buffers, jnp.asarray(ROWS))
    known = np.where(ROWS > 0, np.array(GOLDEN[3][3]), 0)
    np.testing.assert_allclose(outputs, known, atol=2e-6)
    np.testing.assert_allclose(theirs.train()(torch.from_numpy(ROWS)).detach().numpy(), known, atol=2e-6)
    assert float(losses.observed_squared_error(outputs, jnp.asarray(ROWS))) == pytest.approx(73.758369, rel=1e-6)


@pytest.mark.parametrize("number", [4, 5])
def test_the_first_edition_takes_the_sigmoid_of_a_sigmoid(number):
    name, args, inputs, golden = GOLDEN[number]
    ours, theirs = pair(name, args | {"first_edition": True})
    apply, params, buffers = functional(eval_view(ours))
    outputs, _ = jax.jit(apply)(params, buffers, jnp.asarray(inputs[0]))
    once = 1 / (1 + np.exp(-np.array(golden)))
    np.testing.assert_allclose(outputs[:, 0], once, atol=2e-6)
    np.testing.assert_allclose(theirs(torch.from_numpy(inputs[0])).detach().numpy()[:, 0], once, atol=2e-6)
    twice = 1 / (1 + np.exp(-once))
    loss = losses.click_loss(outputs, jnp.ones_like(outputs))  # of clicks: at best log(1 + 1/e), whatever is learned
    assert float(loss) == pytest.approx(-np.log(twice).sum(), rel=1e-5) and float(loss) > 2 * np.log1p(np.exp(-1))


def test_the_first_editions_score_is_a_probability():
    name, args, inputs, golden = GOLDEN[1]
    ours, theirs = pair(name, args | {"first_edition": True})
    apply, params, buffers = functional(ours)
    expected = 1 / (1 + np.exp(-np.array(golden)))
    np.testing.assert_allclose(
        np.ravel(jax.jit(apply)(params, buffers, *map(jnp.asarray, inputs))[0]), expected, atol=2e-6
    )
    np.testing.assert_allclose(np.ravel(theirs(*map(torch.from_numpy, inputs)).detach()), expected, atol=2e-6)


def test_an_id_beyond_the_tables_is_no_number():
    ours, _ = pair("MF", {"num_factors": 4, "num_users": 6, "num_items": 8})
    apply, params, buffers = functional(ours)
    outputs, _ = apply(params, buffers, jnp.array([0, 6]), jnp.array([0, 0]))
    assert jax.numpy.isnan(outputs).tolist() == [False, True]
