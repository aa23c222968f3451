"""A convolution that pads as 'CAUSAL' does, where PyTorch pads both ends and cuts the last behind the layer."""

import functools

import numpy as np
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(4, 9, 3)).astype(np.float32)


class Block(nnx.Module):
    def __init__(self, padding):
        self.first = nnx.Conv(3, 5, (3,), padding=padding, rngs=nnx.Rngs(0))
        self.second = nnx.Conv(5, 3, (3,), padding=padding, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.relu(self.second(nnx.relu(self.first(x))) + x).mean(axis=1)


class Chomp(torch.nn.Module):
    def forward(self, x):
        return x[:, :, :-2].contiguous()


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        first, second = torch.nn.Conv1d(3, 5, 3, padding=2), torch.nn.Conv1d(5, 3, 3, padding=2)
        self.net = torch.nn.Sequential(first, Chomp(), torch.nn.ReLU(), second, Chomp())

    def forward(self, x):
        x = x.transpose(1, 2)
        return torch.relu(self.net(x) + x).mean(2)


@functools.cache
def checked(padding):
    return parity.check(Block(padding), TorchBlock(), X, steps=1, tiers=("float64",))


def test_layers_are_paired_whose_outputs_have_other_lengths():
    result = checked("CAUSAL")
    assert result.status == "pass", result.blame


def test_control_what_pads_both_ends_alike_is_told_so():
    result = checked("SAME")
    assert result.status == "fail" and result.blame is not None
    assert result.blame.cause == "causal-padding" and "sees the past alone" in result.blame.text
