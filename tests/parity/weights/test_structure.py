"""Names and shapes are compared at the book's sizes, too, though the check runs small models."""

import pytest
import torch
from flax import nnx

from d2l_jax import InputError, models
from d2l_jax.catalog import get
from d2l_jax.models.mobilenet import V2_STAGES, MobileNetV2
from parity import reference
from parity.twin.pairing import twin_of
from parity.twin.settings import differing_settings
from parity.twin.structure import check_book_sizes, check_outputs, check_structure, with_shapes

NAMES = ["alexnet", "vgg11", "nin", "googlenet", "resnet18", "mobilenet-v2", "gan", "transformer"]


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_have_the_books_sizes(name: str):
    check_book_sizes(get(name))


def test_control_a_width_that_small_models_round_away_is_seen(monkeypatch):
    monkeypatch.setattr("d2l_jax.models.alexnet.WIDTHS", (96, 257, 384, 384, 256, 4096))
    with pytest.raises(InputError, match=r"with the book's sizes: .* net.3.weight is \(257, .* \(256, "):
        twin_of(get("alexnet"))


@pytest.mark.slow
def test_control_a_stride_that_small_models_do_not_have_is_seen():
    stages = tuple(stage if stage != (6, 96, 3, 1) else (6, 96, 3, 2) for stage in V2_STAGES)
    ours = with_shapes(lambda: MobileNetV2(in_channels=1, inverted_residual_setting=stages, rngs=nnx.Rngs(0)))
    with torch.device("meta"):
        theirs = reference.MobileNetV2(in_channels=1).eval()
    check_structure("V2", ours, theirs)
    with pytest.raises(InputError, match=r"features.11.conv.1.0 puts out \(2, 3, 3, 384\) in Flax, \(2, 384, 6, 6\)"):
        check_outputs("V2", ours, theirs, (2, 96, 96, 1))


def recurrent(dropout: float = 0.0) -> tuple[nnx.Module, torch.nn.Module]:
    ours = with_shapes(lambda: models.GRU(3, 4, dropout=dropout, rngs=nnx.Rngs(0)))
    return ours, reference.GRU(3, 4)


def test_numbers_that_no_tensor_shows_are_compared():
    assert differing_settings(*recurrent()) == []


def test_control_a_rate_without_effect_and_a_size_that_nobody_reads_are_seen(monkeypatch):
    assert differing_settings(*recurrent(0.5)) == ["rnn.dropout is 0.5 in Flax, 0.0 in PyTorch"]
    build = models.BiRNNScratch.__init__

    def wrong(self, *args, **kwargs):
        build(self, *args, **kwargs)
        self.num_hiddens += 1

    monkeypatch.setattr(models.BiRNNScratch, "__init__", wrong)
    with pytest.raises(
        InputError, match=r"birnn-scratch.*: the models do not correspond: num_hiddens is \d+ in Flax, \d+ in"
    ):
        twin_of(get("birnn-scratch"))
