"""A run in buckets of like length is the same in either framework."""

from dataclasses import replace

import numpy as np
import pytest

from d2l_jax.catalog import get
from d2l_jax.data import Review, batch_order, review_data
from d2l_jax.data.text.buckets import bucketed
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.learner import JaxLearner
from parity.sides.learner import TorchLearner


@pytest.mark.slow
def test_both_learn_from_the_same_batches_of_the_same_widths():
    jax, torch = (figures(learner, 2) for learner in (JaxLearner, TorchLearner))
    assert jax == pytest.approx(torch, rel=1e-4)
    assert jax != pytest.approx(figures(TorchLearner, None), rel=1e-4)  # the control: padding is read as a word


def figures(learner: type, buckets: int | None) -> list[float]:
    """Train and test loss of an epoch of a small BiRNN, which has no dropout."""
    random = np.random.default_rng(0)
    texts = [Review(" ".join(random.choice(["good", "bad", "a"], n)), n % 2) for n in random.integers(1, 12, 18)]
    data = review_data(texts[:11], texts[11:], 10, 1)
    data = data if buckets is None else bucketed(data, buckets)
    case = get("sentiment-rnn")
    case = fitted(replace(case, args=case.args | case.probe, inputs=case.probe_inputs).of_batch_size(4), data)
    heard = []
    order = lambda epoch: batch_order(11, 4, seed=0, epoch=epoch)  # noqa: E731
    learner(case, 0).fit(data, order, range(1, 2), (heard.append,))
    means = heard[-1].means
    return [means.train["loss"], means.test["loss"]]
