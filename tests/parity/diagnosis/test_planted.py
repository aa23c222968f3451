"""Layers: a convention planted in a copy of PyTorch's layer is named, after few runs."""

import numpy as np
import pytest
import torch
from planting import IMAGE, MHA, SQUARE, altered, changing, copied, filled, normal, of, permuted_rows, seeded, without
from torch import nn

from parity.blame.diagnosis import explain_layer, layers
from parity.blame.diagnosis.calls import run


def turned(w):
    """The columns of 30 features: from (5, 6) to (6, 5)."""
    return w.reshape(4, 5, 6).transpose(1, 2).reshape(4, 30)


def both(change):
    """The change of the weight and of the bias of attention's in-projection."""
    return changing(*(change(f"in_proj_{kind}") for kind in ("weight", "bias")))


def larger_query(w):
    return torch.cat([w[:6] * 2**0.5, w[6:]])


def all_gates(order):
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return changing(*(permuted_rows(f"{kind}_l0", order) for kind in kinds))


def bilinear(**options):
    return nn.Upsample(scale_factor=2, mode="bilinear", **options)


# name, PyTorch's layer, what Flax does (a change of a copy, or another layer of the same weights), inputs' shapes
PLANTED = [
    ("bias-missing", nn.Linear(7, 5), without("bias"), [(3, 7), (7, 7)]),
    ("bias-doubled", nn.Linear(7, 5), filled("bias", lambda b: 2 * b), [(3, 7)]),
    ("flatten-order", nn.Linear(30, 4), filled("weight", turned), [(3, 30)]),
    ("kernel-flipped", nn.Conv2d(4, 3, 3), filled("weight", lambda w: w.flip(2, 3)), [IMAGE, SQUARE]),
    ("kernel-transposed", nn.Conv2d(4, 3, 3), filled("weight", lambda w: w.transpose(2, 3)), [IMAGE, SQUARE]),
    ("channels-exchanged", nn.Conv2d(4, 4, 3), filled("weight", lambda w: w.transpose(0, 1)), [IMAGE, SQUARE]),
    ("bias-missing", nn.Conv2d(4, 3, 3), without("bias"), [IMAGE, SQUARE]),
    ("stride", nn.Conv2d(4, 3, 3), nn.Conv2d(4, 3, 3, stride=2), [IMAGE, SQUARE]),
    ("dilation", nn.Conv2d(4, 3, 3), nn.Conv2d(4, 3, 3, dilation=2), [IMAGE, SQUARE]),
    ("padding", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3, padding=2), [IMAGE, SQUARE]),
    ("no-padding", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3), [IMAGE, SQUARE]),
    ("padding-mode", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3, 1, 1, padding_mode="reflect"), [IMAGE]),
    ("output-padding", nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1, output_padding=1), [IMAGE]),
    ("kernel-flipped", nn.ConvTranspose2d(4, 3, 3), filled("weight", lambda w: w.flip(2, 3)), [IMAGE, SQUARE]),
    ("ceil-mode", nn.MaxPool2d(2, 2), nn.MaxPool2d(2, 2, ceil_mode=True), [IMAGE]),
    ("average-for-max", nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 2), [IMAGE, SQUARE]),
    ("max-for-average", nn.AvgPool2d(2, 2), nn.MaxPool2d(2, 2), [IMAGE, SQUARE]),
    ("average-for-max", nn.AdaptiveMaxPool2d(2), nn.AdaptiveAvgPool2d(2), [IMAGE, SQUARE]),
    ("leaky-slope", nn.LeakyReLU(0.01), nn.LeakyReLU(0.2), [IMAGE, SQUARE]),
    ("leaky-slope", nn.LeakyReLU(0.2), nn.LeakyReLU(0.3), [IMAGE, SQUARE]),
    ("elu-alpha", nn.ELU(), nn.ELU(0.5), [IMAGE, SQUARE]),
    ("activation-missing", nn.ReLU(), nn.Identity(), [IMAGE, SQUARE]),
    ("relu6", nn.ReLU(), nn.ReLU6(), [(40, 41), (40, 40)]),
    ("silu", nn.Sigmoid(), nn.SiLU(), [IMAGE, SQUARE]),
    ("sigmoid", nn.SiLU(), nn.Sigmoid(), [IMAGE, SQUARE]),
    ("softmax-axis", nn.Softmax(-1), nn.Softmax(0), [(5, 7), (6, 6)]),
    ("log-softmax", nn.Softmax(-1), nn.LogSoftmax(-1), [(5, 7), (6, 6)]),
    ("softmax", nn.LogSoftmax(-1), nn.Softmax(-1), [(5, 7), (6, 6)]),
    ("softmax-missing", nn.Softmax(-1), nn.Identity(), [(5, 7), (6, 6)]),
    ("group-count", nn.GroupNorm(2, 4), nn.GroupNorm(4, 4), [IMAGE, SQUARE]),
    ("eps", nn.BatchNorm2d(4), nn.BatchNorm2d(4, eps=1e-3), [IMAGE, SQUARE]),
    ("scale-missing", nn.LayerNorm(7), lambda m: m.weight.fill_(1), [(5, 7), (7, 7)]),
    ("bias-missing", nn.LayerNorm(7), without("bias"), [(5, 7), (7, 7)]),
    ("embedding-scale", nn.Embedding(5, 7), filled("weight", lambda w: w * 7**0.5), [(3, 4)]),
    ("transposed", nn.Embedding(6, 6), filled("weight", lambda w: w.T), [(3, 4)]),
    ("align-corners", bilinear(), bilinear(align_corners=True), [IMAGE]),
    ("resize-mode", nn.Upsample(scale_factor=2), bilinear(), [IMAGE, SQUARE]),
    ("second-bias-missing", nn.LSTM(5, 3), without("bias_hh_l0"), [(7, 2, 5)]),
    ("activation", nn.RNN(5, 3), nn.RNN(5, 3, nonlinearity="relu"), [(7, 2, 5)]),
    ("batch-first", nn.GRU(4, 4), nn.GRU(4, 4, batch_first=True), [(7, 2, 4), (4, 4, 4)]),
    ("gate-order", nn.GRU(5, 3), all_gates((1, 0, 2)), [(7, 2, 5)]),
    ("out-bias-missing", MHA(6, 3), without("out_proj.bias"), [(5, 2, 6)]),
    ("attention-scale", MHA(6, 3), both(lambda n: filled(n, larger_query)), [(5, 2, 6)]),
    ("projection-order", MHA(6, 3), both(lambda n: permuted_rows(n, (2, 1, 0))), [(5, 2, 6)]),
    ("head-count", MHA(6, 3), MHA(6, 2), [(5, 2, 6)]),
    ("batch-first", MHA(6, 3), MHA(6, 3, batch_first=True), [(5, 2, 6), (6, 6, 6)]),
]  # fmt: skip


MOST_RUNS = 30  # of PyTorch's layer, for one explanation


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_a_planted_convention_is_named_after_few_runs(number, monkeypatch):
    name, module, plant, shapes = PLANTED[number]
    module = seeded(module)
    runs: list[object] = []
    monkeypatch.setattr(layers, "run", lambda call: runs.append(call) or run(call))
    flax = copied(module, plant) if isinstance(plant, nn.Module) else altered(module, plant)
    for shape in shapes:
        inputs = (normal(*shape, seed=number) * (4 if name == "relu6" else 1),)
        if isinstance(module, nn.Embedding):
            inputs = (np.random.default_rng(0).integers(0, module.num_embeddings, shape),)
        if isinstance(module, MHA):
            inputs *= 3
        runs.clear()
        cause = explain_layer(module, inputs, {}, of(flax, *inputs), training=False)
        assert cause is not None and cause.name == name, (shape, cause)
        assert 1 < len(runs) <= MOST_RUNS
        assert explain_layer(module, inputs, {}, of(module, *inputs), training=False) is None
