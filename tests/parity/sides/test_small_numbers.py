"""PyTorch takes numbers below float32's full precision for 0 while a twin learns, as XLA does, and not afterwards."""

import numpy as np
import torch

from d2l_jax.catalog import get
from d2l_jax.data import Dataset, batch_order
from parity.sides.learner import TorchLearner


def half_of_the_smallest() -> float:
    return (torch.full((3,), torch.finfo(torch.float32).tiny) / 2)[0].item()


def test_small_numbers_are_0_while_a_twin_learns_alone():
    split = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    heard = []
    learner = TorchLearner(get("linear-regression").of_batch_size(4), 0)
    learner.fit(
        Dataset("ones", split, split, "here"),
        lambda epoch: batch_order(4, 4, seed=0, epoch=epoch),
        range(1, 2),
        (lambda event: heard.append(half_of_the_smallest()),),
    )
    assert set(heard) == {0.0} and half_of_the_smallest() > 0
