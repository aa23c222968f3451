"""Texts in buckets of like length: the same examples, few programs, the same results where padding is masked."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import BatchOrder, Dataset, Pair, Review, batch_order, inference_data, review_data
from d2l_jax.data.batches import by_width
from d2l_jax.data.drawn.synthetic import ohms_law
from d2l_jax.data.text.buckets import bucketed
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.learner import loop_of, named
from d2l_jax.runs.options import Options
from d2l_jax.runs.run import Listener
from d2l_jax.runs.training import trained
from d2l_jax.train import TrainState, fit
from d2l_jax.train.epoch import narrowed, take

STEPS = 12
TRAINED = 14  # pairs


def reviews(count: int, seed: int) -> list[Review]:
    random = np.random.default_rng(seed)
    return [
        Review(" ".join(random.choice(["good", "bad", "a", "film"], n)), n % 2) for n in random.integers(1, 16, count)
    ]


def texts(buckets: int | None) -> Dataset:
    data = review_data(reviews(41, 0), reviews(13, 1), STEPS, 1, corrected=True)
    return data if buckets is None else bucketed(data, buckets)


def pairs(buckets: int) -> Dataset:
    random = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(random.choice(["he", "is", "not", "here"], random.integers(1, 9)))

    some = [Pair(sentence(), sentence(), k % 3) for k in range(TRAINED + 9)]
    return bucketed(inference_data(some[:TRAINED], some[TRAINED:], 10, 1), buckets)


def test_the_same_examples_in_an_epoch_none_of_them_cut():
    data = texts(3)
    assert data.widths is not None
    widths = data.widths[0]
    assert len(np.unique(widths)) == 3 and widths.max() == STEPS
    padding = data.vocabs[0]["<pad>"]
    assert all((row[width:] == padding).all() for row, width in zip(data.train[0], widths))
    assert any((row[width - 1 :] == padding).all() for row, width in zip(data.train[0], widths))  # some are padded
    batches = by_width(batch_order(41, 4, seed=0, epoch=1), widths)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows for _, rows in batches])), np.arange(41))
    assert all((widths[rows] == width).all() and len(rows) <= 4 for width, rows in batches)
    assert sum(len(rows) < 4 for _, rows in batches) <= 3
    assert [width for width, _ in batches] != sorted(width for width, _ in batches)  # long ones among short ones
    others = by_width(batch_order(41, 4, seed=0, epoch=2), widths)
    assert [rows.tolist() for _, rows in others] != [rows.tolist() for _, rows in batches]


@pytest.mark.slow
def test_each_width_is_compiled_once():
    shapes, after = traced(pairs(2))
    assert len(shapes) == len(set(shapes)) <= 4  # full batches and a smaller one, of two widths
    assert after[0] == after[-1]  # not one more in later epochs


@pytest.mark.slow
def test_control_more_widths_are_more_programs():
    assert len(traced(pairs(10), epochs=1)[0]) > 4


def traced(data: Dataset, epochs: int = 3) -> tuple[list[tuple[int, ...]], list[int]]:
    """The shapes of the batches that a training step was traced for, and how many there were after each epoch."""
    case = of_pairs("snli-attention", data)
    model = case.build()
    loop = loop_of(case, model)
    shapes = list[tuple[int, ...]]()
    after = list[int]()

    def step(state, batch):
        shapes.append(batch["input"][0].shape)
        return loop.step(state, batch)

    train, test = (jax.tree.map(jnp.asarray, named(split)) for split in (data.train, data.test))
    counting = (lambda event: after.append(len(shapes)) if event.means else None,)
    state = TrainState.create(model, case.turns)
    several = range(1, epochs + 1)
    counted = loop._replace(step=step)
    fit(counted, state, train, test, order=order_of, epochs=several, widths=data.widths, callbacks=counting)
    return shapes, after


def of_pairs(name: str, data: Dataset) -> Case:
    case = get(name)
    args = case.args | case.probe | ({"pad": 0} if name.endswith("masked") else {})
    return fitted(replace(case, args=args, inputs=case.probe_inputs).of_batch_size(4), data)


def order_of(epoch: int) -> BatchOrder:
    return batch_order(TRAINED, 4, seed=0, epoch=epoch)


@pytest.mark.slow
def test_where_padding_is_masked_the_losses_are_the_same():
    data = pairs(3)
    case = of_pairs("snli-attention-masked", data)
    model = case.build()
    loop = loop_of(case, model)
    params = TrainState.create(model, case.turns)
    batch = jax.tree.map(jnp.asarray, named(data.test))
    for width in np.unique(data.widths[1]):  # type: ignore[index]
        some = take(batch, np.flatnonzero(data.widths[1] == width))  # type: ignore[index]
        assert narrowed(some, int(width))["input"][0].shape[1] == width
        whole, cut = (loop.evaluate(params.params, params.buffers, each) for each in (some, narrowed(some, int(width))))
        np.testing.assert_allclose(whole["loss"][0], cut["loss"][0], rtol=1e-5)


@pytest.mark.parametrize("data, buckets, wrong", [(texts(None), 0, "--buckets 0"), (ohms_law(), 2, "no padded texts")])
def test_what_does_not_fit_is_refused(data: Dataset, buckets: int, wrong: str):
    with pytest.raises(InputError, match=wrong):
        bucketed(data, buckets)


@pytest.mark.slow
def test_a_run_takes_the_option(tmp_path: Path):
    options = Options("snli-attention", data="drawn_pairs", epochs=1, batch_size=256, buckets=2, out=tmp_path)
    metrics = trained(options, Listener())
    assert metrics["records"][0]["test_loss"] > 0
