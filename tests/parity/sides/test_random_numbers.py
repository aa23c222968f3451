"""Random numbers: the same site and order give the same numbers on both sides, and one too many is an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from d2l_jax import InputError
from parity.models.random_numbers import (
    RandomRequest,
    dropped_alone,
    given_shapes,
    imposed_on_jax,
    numbers,
    partners,
    requested,
    torch_shape,
)
from parity.models.random_numbers_torch import ImposedOnTorch

KEY = jax.random.key(0)


def ours(x):
    return jnp.where(jax.random.bernoulli(KEY, 0.5, x.shape), x, 0) + jax.random.normal(KEY, x.shape)


def test_both_sides_draw_the_same_numbers():
    x = np.arange(6.0).reshape(2, 3)
    requests = requested(ours, jnp.asarray(x))
    assert requests == [RandomRequest((2, 3)), RandomRequest((2, 3), normal=True)]
    values = numbers(requests, np.random.default_rng(0))
    with imposed_on_jax([jnp.asarray(value) for value in values]):
        left = ours(jnp.asarray(x))
    with ImposedOnTorch(values):
        right = torch.bernoulli(torch.full((2, 3), 0.5, dtype=torch.float64)) * torch.tensor(x)
        right = right + torch.randn(2, 3, dtype=torch.float64)
    np.testing.assert_allclose(left, right.numpy(), rtol=1e-12)


def twice_dropped(x):
    layer = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    return layer(layer(x) + 1)


def dropped(shape: tuple[int, ...], order: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns ones after two layers of dropout in Flax and in PyTorch, whose numbers come in that order."""
    requests = requested(twice_dropped, jnp.ones(shape))
    values = numbers(requests, np.random.default_rng(0))
    with imposed_on_jax([jnp.asarray(value) for value in values]):
        left = twice_dropped(jnp.ones(shape))
    with ImposedOnTorch([values[number] for number in order]):
        drop = torch.nn.functional.dropout
        right = drop(drop(torch.ones(torch_shape(shape), dtype=torch.float64)) + 1)
    return np.asarray(left), right.permute(0, 2, 3, 1).numpy() if len(shape) == 4 else right.numpy()


@pytest.mark.parametrize("shape", [(4, 9), (2, 3, 4, 5)], ids=["table", "images"])
def test_dropout_has_the_same_mask_on_both_sides(shape):
    left, right = dropped(shape, (0, 1))
    np.testing.assert_array_equal(left, right)
    assert {0.0, 2.0, 6.0} == set(left.ravel())


def test_control_the_numbers_in_another_order_make_other_masks():
    left, right = dropped((4, 9), (1, 0))
    assert (left != right).any()


def test_requests_are_paired_by_their_site():
    flax = [RandomRequest((3,), site="a"), RandomRequest((3,), site="b")]
    assert partners(flax, flax[::-1]) == (1, 0) and partners(flax, flax) == (0, 1)


def test_a_mask_of_other_axes_order_is_the_same_mask_and_one_of_other_sizes_is_none():
    """PyTorch's 1-d convolutions have their channels first, and so has what is dropped between them."""
    flax, pytorch = [RandomRequest((4, 9, 6))], [RandomRequest((4, 6, 9))]
    assert partners(flax, pytorch) == (0,)
    (value,) = numbers(flax, np.random.default_rng(0), given_shapes(flax, pytorch, (0,)))
    with imposed_on_jax([jnp.asarray(value)]):
        ours = jax.random.bernoulli(KEY, 0.5, (4, 9, 6))
    with ImposedOnTorch([value]):
        theirs = torch.bernoulli(torch.full((4, 6, 9), 0.5, dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(ours, theirs.transpose(0, 2, 1))
    assert partners([*flax, RandomRequest((4, 6, 9))], [*pytorch, RandomRequest((4, 9, 6))]) == (
        1,
        0,
    )  # equal ones first
    with pytest.raises(InputError, match=r"\(4, 6, 1\) in PyTorch alone.*whole channels"):
        partners(flax, [RandomRequest((4, 6, 1))])


def test_heads_within_the_batch_have_the_masks_of_heads_beside_it():
    flax, pytorch = [RandomRequest((4, 2, 7, 5))], [RandomRequest((8, 7, 5))]
    assert partners(flax, pytorch) == (0,)
    (value,) = numbers(flax, np.random.default_rng(0), given_shapes(flax, pytorch, (0,)))
    with imposed_on_jax([jnp.asarray(value)]):
        ours = jax.random.bernoulli(KEY, 0.5, (4, 2, 7, 5))
    with ImposedOnTorch([value]):
        theirs = torch.bernoulli(torch.full((8, 7, 5), 0.5, dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(ours, theirs.reshape(4, 2, 7, 5))
    with pytest.raises(InputError, match="random numbers differ"):
        partners(flax, [RandomRequest((2, 2, 70))])


@pytest.mark.parametrize("ours", [(1, 1, 7, 5), (4, 1, 7, 5), (1, 2, 7, 5)])
def test_one_mask_for_heads_within_the_batch_is_that_of_each(ours):
    flax, pytorch = [RandomRequest(ours)], [RandomRequest((8, 7, 5))]
    assert partners(flax, pytorch) == (0,)
    (value,) = numbers(flax, np.random.default_rng(0), given_shapes(flax, pytorch, (0,)))
    assert value.shape == ours
    with ImposedOnTorch([value]):
        theirs = torch.bernoulli(torch.full((8, 7, 5), 0.5, dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(np.broadcast_to(value < 0.5, (4, 2, 7, 5)), theirs.reshape(4, 2, 7, 5))
    for other in (5, 7, 5), (8, 7, 6):
        with pytest.raises(InputError, match="random numbers differ"):
            partners([RandomRequest((2, 1, 7, 5))], [RandomRequest(other)])


def test_a_dropout_that_flax_lacks_is_told_where_it_is_sure():
    pytorch = [RandomRequest((3,), place="drop"), RandomRequest((3,), site="a"), RandomRequest((4,), site="a")]
    assert dropped_alone(pytorch[1:], pytorch) == (0,) and dropped_alone(pytorch[:2], pytorch) == (2,)
    assert dropped_alone(pytorch, pytorch) == ()
    assert dropped_alone(pytorch[:1], [pytorch[0], *pytorch[:2]]) == ()  # which of the first two, nobody knows
    elsewhere = [RandomRequest(shape, site="t") for shape in ((3,), (3,), (4,))]  # a container that PyTorch never calls
    assert dropped_alone(elsewhere[:2], pytorch) == (2,) and dropped_alone(elsewhere[1:], pytorch) == ()
    assert dropped_alone([], [RandomRequest((3,), normal=True)]) == dropped_alone(pytorch, pytorch[1:]) == ()


def test_what_is_answered_so_that_nothing_is_dropped_changes_nothing():
    (kept,) = numbers([RandomRequest((4, 9), keeps=True)], np.random.default_rng(0))
    ones = torch.ones(4, 9, dtype=torch.float64, requires_grad=True)
    with ImposedOnTorch([kept]):
        torch.nn.functional.dropout(ones, 0.3).sum().backward()
    assert ones.grad is not None and (ones.grad == 1).all()


def test_a_request_too_many_is_an_error():
    with pytest.raises(InputError, match="PyTorch draws uniform"):
        partners([], [RandomRequest((3,))])
    with pytest.raises(InputError, match="PyTorch draws other random numbers"), ImposedOnTorch([np.zeros(3)]):
        torch.rand(3)
        torch.rand(3)
    with pytest.raises(InputError, match="where PyTorch draws none"), ImposedOnTorch([np.zeros(3)]):
        pass
    with pytest.raises(InputError, match="Flax draws other random numbers"), imposed_on_jax([]):
        jax.random.normal(KEY, (2,))
