"""Ranking: losses and figures by hand and at their limits, and other items that are drawn on the device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2l_jax import metrics
from d2l_jax.errors import InputError
from d2l_jax.losses import bpr_loss, hinge_ranking_loss
from d2l_jax.metrics import better, gains, hits, shares_below
from d2l_jax.train.negatives import fresh_negatives
from parity.reference import losses as theirs
from parity.reference import metrics as their_metrics


def pattern(n: int, offset: int = 0) -> np.ndarray:
    """The facts' numbers."""
    i = np.arange(n)
    return (2 * ((13 * i**2 + 541 * i + 97 * offset + 5) % 601) / 600 - 1).astype(np.float32)


def columns() -> tuple[np.ndarray, np.ndarray]:
    return pattern(4)[:, None], pattern(4, 1)[:, None]


def test_losses_are_those_of_the_facts():
    positive, negative = columns()
    assert float(bpr_loss(jnp.array(positive), jnp.array(negative))) == pytest.approx(1.38053, abs=1e-5)
    assert float(hinge_ranking_loss(jnp.array(positive), jnp.array(negative))) == pytest.approx(1.323333, abs=1e-5)


@pytest.mark.parametrize("name", ["bpr_loss", "hinge_ranking_loss"])
def test_weights_and_several_others_are_weighed_alike_on_both_sides(name):
    positive, negative = columns()
    several, weight = np.concatenate([negative, negative[::-1]], 1), np.abs(pattern(8, 2)).reshape(4, 2)
    ours = globals()[name](jnp.array(positive), jnp.array(several), jnp.array(weight))
    same = getattr(theirs, name)(*map(torch.from_numpy, (positive, several, weight)))
    by_hand = sum(
        weight[i, j] * float(globals()[name](jnp.array(positive[i : i + 1]), jnp.array(several[i : i + 1, j : j + 1])))
        for i in range(4)
        for j in range(2)
    )
    assert float(ours) == pytest.approx(float(same), rel=1e-6) and float(ours) == pytest.approx(by_hand, rel=1e-5)


def test_bpr_is_finite_where_the_logarithm_of_a_sigmoid_is_not():
    zero, gap = jnp.zeros((1, 1), jnp.float32), jnp.full((1, 1), 200, jnp.float32)
    assert float(bpr_loss(zero, gap)) == 200 and float(jax.grad(lambda x: bpr_loss(x, gap))(zero)[0, 0]) == -1
    assert float(bpr_loss(gap, zero)) == 0
    assert torch.isinf(-torch.log(torch.sigmoid(torch.tensor(-200.0))))  # the book's form


def ranked(scores: list[float], others: list[list[float]], counts: list[int]) -> dict:
    width = np.arange(len(others[0]))
    targets = np.where(width < np.array(counts)[:, None], width, -1)
    return {"output": jnp.array(scores), "others": jnp.array(others), "targets": jnp.array(targets)}


@pytest.mark.slow
def test_figures_of_ranks_are_the_books():
    # Items 5, 3, 8, 1, 9 in the order of their scores; item 8 is the true one.
    tensors = ranked([3.0], [[5.0, 4.0, 2.0, 1.0]], [4])
    assert [int(hits(tensors, k)[0]) for k in (2, 3)] == [0, 1]  # type: ignore[index]
    assert [float(each) for each in shares_below(tensors)] == [0.5, 1]  # type: ignore[union-attr]
    assert float(gains(tensors, 3)[0]) == pytest.approx(0.5) and float(gains(tensors, 2)[0]) == 0  # type: ignore[index]


def test_padding_does_not_count_and_equal_scores_are_no_merit():
    tensors = ranked([1.0, 1.0], [[2.0, 9.0, 9.0], [1.0, 1.0, 1.0]], [1, 3])
    above, equal, count = better(tensors)  # type: ignore[misc]
    assert (above.tolist(), equal.tolist(), count.tolist()) == ([1, 0], [0, 3], [1, 3])
    assert float(shares_below(tensors)[0]) == pytest.approx(0.5)  # type: ignore[index]
    assert int(hits(tensors, 3)[0]) == 1 and int(hits(tensors, 4)[0]) == 2  # type: ignore[index]
    assert hits(ranked([1.0], [[2.0]], [1])) is None


@st.composite
def evaluations(draw):
    """Draws an evaluation of 4 users with up to 70 other items each, of scores of which many are equal."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = draw(st.integers(1, 30))  # different ones
    counts = random.integers(1, 71, 4)
    output, others = random.integers(0, scores, 4), random.integers(0, scores, (4, 70))
    return ranked(output.astype(np.float32).tolist(), others.astype(np.float32).tolist(), counts.tolist())


@settings(max_examples=50, deadline=None, derandomize=True)
@given(evaluations(), st.sampled_from([1, 49, 50, 51]))
@pytest.mark.slow
def test_figures_of_ranks_are_those_of_sorted_lists_also_among_equals_and_at_the_cut_off(tensors, k):
    lists = [
        sorted([(-score, 0) for score in others[targets >= 0]] + [(-item, 1)])  # 1: behind its equals
        for item, others, targets in zip(*(np.asarray(tensors[name]) for name in ("output", "others", "targets")))
    ]
    places = [next(place for place, (_, own) in enumerate(each) if own) for each in lists]
    by_hand = sum(place < k for place in places), sum(1 / np.log2(place + 2) for place in places if place < k)
    shares = [np.mean([1.0] * (len(each) - 1 - place) + [0.0] * place) for each, place in zip(lists, places)]
    equal = [sum(score == each[place][0] for score, _ in each) - 1 for each, place in zip(lists, places)]
    halves = [number / 2 / (len(each) - 1) for each, number in zip(lists, equal)]  # of equals, which count half
    in_torch = {name: torch.tensor(np.asarray(array)) for name, array in tensors.items()}
    for figures, given_tensors in ((metrics, tensors), (their_metrics, in_torch)):
        assert int(figures.hits(given_tensors, k)[0]) == by_hand[0]
        assert float(figures.gains(given_tensors, k)[0]) == pytest.approx(by_hand[1], rel=1e-5)
        assert float(figures.shares_below(given_tensors)[0]) == pytest.approx(sum(shares) + sum(halves), rel=1e-5)


def test_control_the_cut_off_and_equals_decide():
    tensors = ranked([1.0, 1.0], [[2.0] * 49 + [0.0], [2.0] * 49 + [1.0]], [50, 50])
    assert [int(metrics.hits(tensors, k)[0]) for k in (49, 50, 51)] == [0, 1, 2]  # type: ignore[index]


def test_others_are_drawn_from_the_users_own_items_alike_often_and_anew():
    pool = np.array([[3, 5, 7], [2, -1, -1]], np.int32)
    prepare = jax.jit(fresh_negatives(pool, seed=1))
    users = jnp.array([0] * 3000 + [1] * 100)
    batch = {"input": (users, users), "targets": jnp.zeros((3100, 1), int)}
    drawn = np.asarray(prepare(0, batch)["targets"])[:, 0]
    assert (drawn[3000:] == 2).all() and set(drawn[:3000]) == {3, 5, 7}
    counts = np.bincount(drawn[:3000])[[3, 5, 7]]
    assert (abs(counts - 1000) < 120).all()  # 4 standard deviations
    assert not np.array_equal(drawn, prepare(1, batch)["targets"][:, 0])
    assert np.array_equal(drawn, prepare(0, batch)["targets"][:, 0])
    with pytest.raises(InputError, match="user 2 has no item to draw from"):
        fresh_negatives(np.array([[1], [-1]]))
