"""Losses that differ."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as F

SCORES = np.array([[1.0, 2.0, 3.0]])


def test_the_half_of_a_squared_error():
    assert float(optax.l2_loss(jnp.array(2.0))) == 2
    assert F.mse_loss(torch.tensor(2.0), torch.tensor(0.0)).item() == 4


def test_the_mean_of_a_divergence():
    ours = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    theirs = np.array([[0.3, 0.7], [0.6, 0.4], [0.2, 0.8]])
    rows = optax.kl_divergence(jnp.log(jnp.asarray(ours)), jnp.asarray(theirs)).mean()
    with pytest.warns(UserWarning, match="batchmean"):
        elements = F.kl_div(torch.tensor(ours).log(), torch.tensor(theirs)).item()
    assert float(rows) == pytest.approx(2 * elements)


def test_labels_that_are_none():
    def ours(label: int) -> float:
        return optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(SCORES), jnp.array([label]))[0].item()

    scores = torch.tensor(np.concatenate([SCORES, SCORES]))
    ignored = F.cross_entropy(scores, torch.tensor([2, -100])).item()
    assert ignored == pytest.approx(ours(2)) == ours(-1)
    assert np.isnan(ours(-100)) and np.isnan(ours(7))
    with pytest.raises(IndexError):
        F.cross_entropy(scores, torch.tensor([2, -1]))


def test_the_mean_of_no_label():
    none = torch.tensor([-100])
    scores = torch.tensor(SCORES, requires_grad=True)
    loss = F.cross_entropy(scores, none)
    loss.backward()
    assert loss.isnan() and scores.grad is not None and not scores.grad.any()
