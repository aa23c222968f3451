"""Names and shapes are compared at the book's sizes, too, though the check runs small models."""

import pytest

from d2l_jax import InputError
from d2l_jax.catalog import get
from parity.twin.pairing import twin_of
from parity.twin.structure import check_book_sizes


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "nin", "googlenet", "resnet18", "gan", "transformer"])
def test_both_sides_have_the_books_sizes(name: str):
    check_book_sizes(get(name))


def test_control_a_width_that_small_models_round_away_is_seen(monkeypatch):
    monkeypatch.setattr("d2l_jax.models.alexnet.WIDTHS", (96, 257, 384, 384, 256, 4096))
    with pytest.raises(InputError, match=r"with the book's sizes: .* net.3.weight is \(257, .* \(256, "):
        twin_of(get("alexnet"))
