"""A convolution of one place that computes queries, keys and values, which Flax has as dense layers."""

import jax
import numpy as np
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)


class OfPixels(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.to_qkv, self.to_out = torch.nn.Conv2d(6, 18, 1, bias=False), torch.nn.Conv2d(6, 6, 1)

    def forward(self, x):
        q, k, v = self.to_qkv(x).reshape(len(x), 3, 6, -1).unbind(1)
        weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k), -1)
        return self.to_out(torch.einsum("bij,bcj->bci", weights, v).reshape(x.shape))


class Dense(nnx.Module):
    def __init__(self, wrong):
        rngs = nnx.Rngs(0)
        self.out, self.k, self.q, self.v = (nnx.Linear(6, 6, use_bias=n == 0, rngs=rngs) for n in range(4))
        self.wrong = wrong

    def __call__(self, x):
        flat = x.reshape(len(x), -1, 6)
        weights = jax.nn.softmax(self.q(flat) @ self.k(flat).swapaxes(1, 2), 1 if self.wrong else -1)
        return self.out(weights @ self.v(flat)).reshape(x.shape)


def found(wrong):
    return map_of(NNXModel(Dense(wrong)), OfPixels(), (X,), (torch.tensor(X).movedim(-1, 1),))


def test_they_are_found_part_by_part():
    agreeing = found(wrong=False)
    assert agreeing.agrees
    assert [(leaf.key, leaf.rows, leaf.path[0]) for leaf in agreeing.leaves[:3]] == [
        ("to_qkv.weight", (0, 6), "q"),
        ("to_qkv.weight", (6, 12), "k"),
        ("to_qkv.weight", (12, 18), "v"),
    ]


def test_control_another_axis_of_the_softmax_is_no_other_map():
    assert not found(wrong=True).agrees
