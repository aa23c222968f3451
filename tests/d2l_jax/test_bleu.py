"""BLEU against the values that the book's formula gives."""

import math

import pytest

from d2l_jax.errors import InputError
from d2l_jax.generate import bleu

GOLDEN = {  # k = 2
    ("va !", "va !"): 1.0,
    ("je perdu .", "j'ai perdu ."): 0.686589,
    ("il est mouillé .", "il est calme ."): 0.658037,
    ("elle court .", "il est calme ."): 0.0,
    ("A B", "A B C D E F"): 0.135335,
}


@pytest.mark.parametrize(("pred", "label"), GOLDEN)
def test_golden_values(pred, label):
    assert bleu(pred, label, k=2) == pytest.approx(GOLDEN[pred, label], abs=5e-7)


def test_a_match_counts_as_often_as_the_label_has_it():
    assert bleu("the the the the", "the cat sat down", k=1) == pytest.approx(0.5)  # (1/4) ** (1/2)


def test_longer_matches_weigh_more():
    expected = (3 / 4) ** (1 / 2) * (2 / 3) ** (1 / 4) * (1 / 2) ** (1 / 8)
    assert bleu("a b c d", "a b c e", k=3) == pytest.approx(expected, rel=1e-12)


def test_only_a_short_prediction_is_penalised():
    assert bleu("a b", "a b c", k=1) == pytest.approx(math.exp(-0.5))
    assert bleu("a b c", "a b", k=1) == pytest.approx((2 / 3) ** 0.5)


def test_n_grams_longer_than_the_prediction_count_nothing():
    assert bleu("go .", "go .", k=9) == 1.0
    assert bleu("go", "stop", k=9) == 0.0


@pytest.mark.parametrize("label", ["", "go ."])
def test_an_empty_prediction_scores_nothing(label):
    assert bleu("", label, k=2) == bleu("  ", label, k=2) == 0.0
    assert bleu("go .", "", k=2) == 0.0


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(k):
    with pytest.raises(InputError, match=f"at least 1 token, got k = {k}"):
        bleu("go .", "go .", k)
