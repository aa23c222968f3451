"""Where no layer computes a tensor, the function that does is blamed by its name."""

from dataclasses import replace

import pytest

from d2l_jax import algorithms, models
from d2l_jax.catalog import get
from parity.proof.proof import check_twin
from parity.twin.pairing import twin_of


def higher(nets, tensors):
    """The valley lies a tenth higher."""
    observed = models.height(nets, tensors)
    return observed | {"height": 1.1 * observed["height"]}


def wider(nets, tensors):
    """The loss is right, the covariance beside it is not."""
    loss, more = models.exact_marginal_loss(nets, tensors)
    return loss, more | {"covariance": 1.01 * more["covariance"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "observe", "words"),
    [
        ("valley", higher, "the function higher: evaluation/height"),
        (
            "value-iteration",
            algorithms.ValueIteration(gamma=0.9),
            "the function ValueIteration: evaluation/action_values",
        ),
    ],
)
def test_an_evaluation_without_layers_is_blamed_by_its_name(name, observe, words):
    twin = twin_of(get(name), steps=1)
    planted = replace(twin, flax=replace(twin.flax, observe=observe))
    assert str(check_twin(planted, tiers=("float64",)).blame).startswith(words)


@pytest.mark.slow
def test_a_tensor_beside_the_loss_is_blamed_on_the_objective():
    twin = twin_of(get("exact-gp"), steps=1).with_flax(objective=wider)
    blame = check_twin(twin, tiers=("float64",)).blame
    assert str(blame) == "the function wider: forward/covariance: Flax is 1.01 times PyTorch"
