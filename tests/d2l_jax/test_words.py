"""Word vectors: the book's worked loss, nearest words, a run in both frameworks, and tables that are not copied."""

import json
import math
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import TrainState, losses, make_train_step
from d2l_jax.algorithms import analogy, cosines, cosines_of_rows, knn, nearest
from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.data.text.word_forms import huffman
from d2l_jax.errors import InputError
from d2l_jax.models import SubwordEmbedding
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, train

VECTORS = jnp.array([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [-1.0, 0.1]])


def test_the_book_s_worked_loss():
    logits = jnp.array([[[1.1, -2.2, 3.3, -4.4]], [[-1.1, 2.2, -3.3, 4.4]]])
    labels = jnp.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    masks = jnp.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    each = [losses.negative_sampling_loss(logits[i : i + 1], (labels[i : i + 1], masks[i : i + 1])) for i in (0, 1)]
    assert abs(float(each[0]) - 0.9352) < 5e-5
    by_hand = (math.log1p(math.exp(-1.1)) + math.log1p(math.exp(-2.2))) / 2
    assert abs(float(each[1]) - by_hand) < 1e-6
    nothing = losses.negative_sampling_loss(logits[:1], (labels[:1], 0 * masks[:1]))
    assert float(nothing) == 0


def test_probabilities_of_a_tree_add_up_to_one():
    paths = huffman(np.array([5.0, 1, 1, 2, 9]))
    at_nodes = jnp.array([0.3, -2.0, 1.1, 0.4])
    scores = at_nodes[paths.nodes][:, None]
    rows = [jax.tree.map(lambda a, i=i: jnp.asarray(a[i : i + 1]), (paths.left, paths.masks)) for i in range(5)]
    log_p = [-losses.hierarchical_softmax_loss(scores[i : i + 1], rows[i]) for i in range(5)]
    assert abs(sum(math.exp(float(each)) for each in log_p) - 1) < 1e-6


def test_rare_pairs_weigh_less():
    counts = jnp.array([1.0, 16.0, 100.0, 400.0])
    loss = losses.glove_loss(jnp.log(counts) + 2, counts)
    assert abs(float(loss) - 4 * (0.01**0.75 + 0.16**0.75 + 2)) < 1e-5


def test_nearest_words_and_analogies():
    assert nearest(VECTORS, 0, 3).rows.tolist() == [1, 2, 3]
    assert knn(VECTORS, VECTORS[2], 2).rows.tolist() == [2, 1] and analogy(VECTORS, 0, 1, 2).rows.tolist() == [2]
    np.testing.assert_allclose(cosines(VECTORS, VECTORS[0]), [1, 1 / math.sqrt(1.04), 0, -1 / math.sqrt(1.01)], 1e-6)
    nothing = jnp.zeros((2, 2))
    assert cosines(nothing, VECTORS[0]).tolist() == cosines_of_rows(nothing, VECTORS[0]).tolist() == [0, 0]
    for k in (0, 4):
        with pytest.raises(InputError, match="cannot be the nearest"):
            nearest(VECTORS, 0, k)
    for call in (lambda: nearest(VECTORS, 4, 1), lambda: nearest(VECTORS, -1, 1), lambda: analogy(VECTORS, 0, 1, 9)):
        with pytest.raises(InputError, match=r"row (4|-1|9) of 4 word vectors; one from 0 to 3 is right"):
            call()
    with pytest.raises(InputError, match=r"a vector of shape \(3,\) among rows of 2 numbers"):
        knn(VECTORS, jnp.ones(3), 1)


def test_a_word_is_the_sum_of_its_subwords():
    model = SubwordEmbedding(5, 3, rngs=nnx.Rngs(0))
    table = model.subwords.embedding[...]
    summed = model(jnp.array([[1, 2, 0], [3, 3, 4]]), jnp.array([2, 3]))
    np.testing.assert_allclose(summed, [table[1] + table[2], 2 * table[3] + table[4]], rtol=1e-6)


def few() -> tuple:
    data = load("help_words")
    (centers, rows), (labels, masks) = data.train
    data = replace(data, train=((centers[:96], rows[:96]), (labels[:96], masks[:96])))
    (centers, rows), (labels, masks) = data.test
    data = replace(data, test=((centers[:20], rows[:20]), (labels[:20], masks[:20])))
    case = replace(get("word2vec-ptb").of_batch_size(32), epochs=2)
    return fitted(replace(case, args=case.args | {"embed_size": 6}), data), data


@pytest.mark.slow
def test_both_frameworks_learn_the_same(tmp_path: Path):
    case, data = few()
    for framework in ("jax", "torch"):
        train(Job(case, data, tmp_path / framework, framework=framework))
    ours, theirs = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("jax", "torch"))
    for a, b in zip(ours["records"], theirs["records"], strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    assert ours["texts"][0]["given"] == "class" and ours["final"]["train_loss"] < 0.694
    lines = predict(tmp_path / "jax", ["list"])
    assert lines[0].startswith("list -> ") and lines[0].count(",") == 2
    (line,) = predict(tmp_path / "jax", ["class list string"])
    assert line.startswith("class list string -> ") and "," not in line
    for text, wrong in (
        ("zyx", "lacks 'zyx'"),
        ("Class", "lacks 'Class'; .*class.* is there"),
        ("class list", "'class list' has 2 words; one, or the three"),
    ):
        with pytest.raises(InputError, match=wrong):
            predict(tmp_path / "torch", [text])


def test_the_step_does_not_copy_its_tables():
    case = replace(get("word2vec-ptb").of_batch_size(8), args={"vocab_size": 50_000, "embed_size": 16})
    model = case.build()
    state = TrainState.create(model, case.turns)
    batch = {
        "input": (jnp.zeros((8, 1), jnp.int32), jnp.zeros((8, 12), jnp.int32)),
        "targets": (jnp.ones((8, 12), jnp.int8), jnp.ones((8, 12), jnp.int8)),
    }
    step = make_train_step(model, case.turns, case.metrics)
    memory = step.lower(state, batch).compile().memory_analysis()  # type: ignore[attr-defined]
    table = 50_000 * 16 * 4
    assert memory.alias_size_in_bytes >= 6 * table  # both tables and Adam's two moments of each, where they were
    assert memory.temp_size_in_bytes < 3.1 * table  # the gradients of both, and the zeros that these begin with
    kept = jax.jit(lambda state, batch: step(state, batch)).lower(state, batch).compile().memory_analysis()
    assert kept.alias_size_in_bytes == 0  # control: the same step where the state is not given away
