"""Cutting sequences into windows: every offset, random, and sequential."""

import numpy as np
import pytest

from d2l_jax.data import cut, every_window, random_windows, sequential_windows
from d2l_jax.errors import InputError

SIZES = [(35, 5), (36, 5), (39, 5), (11, 5), (6, 5), (50, 1), (100, 7)]


def covered(starts: np.ndarray, steps: int) -> np.ndarray:
    """All positions that are in a window, sorted."""
    return np.sort((starts[..., None] + np.arange(steps)).ravel())


def test_every_window_starts_at_every_offset():
    X, y = cut(np.arange(35), every_window(35, 5), 5)
    assert X.shape == y.shape == (30, 5)
    assert X[7].tolist() == [7, 8, 9, 10, 11] and np.array_equal(y, X + 1)
    assert y[-1, -1] == 34


@pytest.mark.parametrize("n, steps", SIZES)
def test_random_windows_do_not_overlap_and_waste_less_than_two(n: int, steps: int):
    firsts = set()
    for epoch in range(50):
        starts = random_windows(n, steps, seed=0, epoch=epoch)
        places = covered(starts, steps)
        assert starts.dtype == np.int32 and len(starts) >= 1
        assert np.array_equal(places, np.arange(places[0], places[0] + len(places)))
        assert 0 <= places[0] < steps and n - 1 - steps <= places[-1] < n - 1
        firsts.add(int(places[0]))
    assert firsts == set(range(min(steps, n - steps)))


def test_random_windows_are_shuffled_and_follow_from_seed_and_epoch():
    starts = {(s, e): random_windows(1000, 8, seed=s, epoch=e).tobytes() for s in range(3) for e in range(3)}
    assert len(set(starts.values())) == 9
    assert random_windows(1000, 8, seed=1, epoch=2).tobytes() == starts[1, 2]
    assert not (np.diff(random_windows(1000, 8, seed=0, epoch=0)) > 0).all()


@pytest.mark.parametrize("n, steps, batch", [(35, 5, 2), (36, 5, 3), (16, 5, 3), (1000, 32, 4), (50, 1, 7)])
def test_sequential_batches_continue_each_other(n: int, steps: int, batch: int):
    for epoch in range(10):
        starts = sequential_windows(n, steps, batch, seed=0, epoch=epoch)
        assert starts.shape[1] == batch and starts.dtype == np.int32 and len(starts) >= 1
        X, y = cut(np.arange(n), starts, steps)
        assert np.array_equal(y[:-1, :, -1], X[1:, :, 0])  # the target of a row's last step is the next one's first
        places = covered(starts, steps)
        assert len(set(places)) == len(places)
        rest = (n - 1) % batch + batch * (steps - 1) + steps
        assert len(places) >= n - 1 - rest


def test_sequential_windows_differ_between_epochs():
    assert len({sequential_windows(1000, 32, 2, seed=0, epoch=e).tobytes() for e in range(5)}) > 1


def test_control_random_windows_do_not_continue_each_other():
    X, y = cut(np.arange(1000), random_windows(1000, 8, seed=0, epoch=0), 8)
    assert not np.array_equal(y[:-1, -1], X[1:, 0])


@pytest.mark.parametrize("n, steps", [(5, 5), (0, 1), (1, 1), (31, 32)])
def test_too_few_tokens_for_a_window(n: int, steps: int):
    for starts in (lambda: every_window(n, steps), lambda: random_windows(n, steps, seed=0, epoch=0)):
        with pytest.raises(InputError, match=f"{n} tokens are too few: 1 x {steps} steps .* need {steps + 1}"):
            starts()


def test_too_few_tokens_for_a_batch():
    with pytest.raises(InputError, match="15 tokens are too few: 3 x 5 steps and the last target need 16"):
        sequential_windows(15, 5, 3, seed=0, epoch=0)


@pytest.mark.parametrize("steps", [0, -3])
def test_windows_without_steps(steps: int):
    with pytest.raises(InputError, match=f"windows of {steps} steps are empty"):
        every_window(10, steps)


def test_negative_seed_epoch_or_batch():
    with pytest.raises(InputError, match="seed -1 and epoch 0 must both be 0 or more"):
        random_windows(10, 2, seed=-1, epoch=0)
    with pytest.raises(InputError, match="seed 0 and epoch -1"):
        sequential_windows(10, 2, 2, seed=0, epoch=-1)
    with pytest.raises(InputError, match="batch size 0 is too small"):
        sequential_windows(10, 2, 0, seed=0, epoch=0)
