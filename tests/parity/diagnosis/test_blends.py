"""Of two tensors that a mask blends Flax takes one: the cell of an LSTM that is not held through padding."""

import numpy as np
import torch
from altered import cause_of

R = np.random.default_rng(0)
X, W = torch.from_numpy(R.normal(size=(3, 3, 4))), torch.from_numpy(R.normal(size=(4, 4)))
MASK = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 1]]).double()


def held(x: torch.Tensor, cell_is_held: bool = True, scale: float = 1.0) -> torch.Tensor:
    h = c = torch.zeros(3, 4, dtype=x.dtype)
    for t in range(x.shape[1]):
        m = MASK[:, t, None]
        cell = torch.sigmoid(x[:, t]) * c + torch.tanh(h @ W)
        state = torch.cos(scale * cell)
        h = m * state + (1 - m) * h
        c = m * cell + (1 - m) * c if cell_is_held else cell
    return torch.stack([h, c])


def test_a_cell_that_is_not_held_is_named():
    cause = cause_of(held, lambda x: held(x, cell_is_held=False), X)
    assert cause and cause.name == "blend-missing" and "in the 3 calls of one add" in cause.text


def test_control_another_mistake_is_not():
    cause = cause_of(held, lambda x: held(x, scale=1.1), X)
    assert not cause or cause.name != "blend-missing"
