"""Numbers of two functions are told apart by slopes alone, up to units that can be exchanged."""

import numpy as np
import pytest
import torch

from parity.match.slopes import Different, Side, added_up, counterparts

SIZES = (3, 4, 2)  # of a network: inputs, hidden units, outputs
COUNT = 3 * 4 + 4 + 4 * 2
X = torch.tensor(np.random.default_rng(0).normal(size=(7, 3)))


def network(order, activation=torch.tanh, biases=1):
    """Returns the slopes of a network whose numbers stand in another order, and whose bias is a sum."""

    def slopes(values, number):
        own = torch.tensor(values, requires_grad=True)
        first, second, *hidden = torch.split(own[torch.tensor(order)], [12, 8, *[4] * biases])
        out = activation(X @ first.view(3, 4) + sum(hidden)) @ second.view(4, 2)
        (out * torch.tensor(np.random.default_rng(abs(number)).normal(size=out.shape))).sum().backward()
        assert own.grad is not None
        return out.detach().numpy().ravel(), own.grad.numpy()

    return slopes


def test_any_order_of_numbers_is_found():
    random = np.random.default_rng(1)
    order = random.permutation(COUNT)
    ours, theirs = network(order), network(np.arange(COUNT))
    found, _ = counterparts(Side(theirs, np.arange(COUNT)), Side(ours, np.arange(COUNT)))
    values = random.normal(size=COUNT)
    np.testing.assert_allclose(ours(values[found], 1)[0], theirs(values, 1)[0])


def test_numbers_that_are_added_up_are_one():
    theirs = network(np.arange(COUNT + 4), biases=2)
    parts = added_up(theirs, COUNT + 4)
    assert parts[-8:-4].tolist() == parts[-4:].tolist() == [20, 21, 22, 23]
    found, _ = counterparts(Side(theirs, parts), Side(network(np.arange(COUNT)), np.arange(COUNT)))
    assert sorted(found) == [*range(COUNT)]


def test_no_order_makes_another_function_the_same():
    with pytest.raises(Different):
        counterparts(
            Side(network(np.arange(COUNT)), np.arange(COUNT)),
            Side(network(np.arange(COUNT), torch.sin), np.arange(COUNT)),
        )


def test_functions_of_different_numbers_of_numbers_differ():
    sides = Side(network(np.arange(COUNT + 4), biases=2), np.arange(COUNT + 4)), Side(network([]), np.arange(COUNT))
    with pytest.raises(Different):
        counterparts(*sides)


def gated(order, gate=torch.relu):
    """Returns the slopes of a layer of values times gates, which are alike while both hold the same numbers."""

    def slopes(values, number):
        own = torch.tensor(values, requires_grad=True)
        value, opening, second = torch.split(own[torch.tensor(order)], [12, 12, 8])
        out = X @ value.view(3, 4) * gate(X @ opening.view(3, 4)) @ second.view(4, 2)
        (out * torch.tensor(np.random.default_rng(number).normal(size=out.shape))).sum().backward()
        assert own.grad is not None
        return out.detach().numpy().ravel(), own.grad.numpy()

    return slopes


@pytest.mark.parametrize("seed", range(3))
def test_a_choice_that_proves_wrong_is_made_anew(seed):
    random = np.random.default_rng(seed)
    order = random.permutation(32)
    ours, theirs = gated(order), gated(np.arange(32))
    found, _ = counterparts(Side(theirs, np.arange(32)), Side(ours, np.arange(32)))
    values = random.normal(size=32)
    np.testing.assert_allclose(ours(values[found], 1)[0], theirs(values, 1)[0], rtol=1e-6)


def test_control_no_choice_makes_another_gate_the_same():
    with pytest.raises(Different):
        counterparts(*(Side(gated(np.arange(32), gate), np.arange(32)) for gate in (torch.relu, torch.abs)))
