"""Completion and greedy search on small models whose answers a plain loop gives too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toy_translator import (
    BOS,
    EOS,
    HIDDENS,
    SOURCES,
    VOCAB,
    Speaker,
    log_probabilities,
    logits,
    sentences,
    translator,
    trees,
)

from d2l_jax import eval_view, functional, models
from d2l_jax.generate import make_beam_search, make_completion, make_greedy, until_eos
from d2l_jax.models import EncoderDecoder

pytestmark = pytest.mark.usefixtures("quick_compilation")


# Greedy
def greedy_by_hand(model: EncoderDecoder, src, valid_lens, steps: int) -> np.ndarray:
    """Computes everything anew at each step, without a state that is carried over."""
    ids = np.full((len(src), steps + 1), BOS)
    for t in range(steps):  # what stands after a step does not matter to it
        ids[:, t + 1] = np.argmax(logits(model, src, valid_lens, ids[:, :-1])[:, t], -1)
    return ids[:, 1:]


def test_greedy_takes_the_most_probable_token_at_every_step():
    model = translator(0)
    src, valid_lens = sentences(0)
    ids, log_p = make_greedy(model, 6, BOS)(*trees(model), src, valid_lens)
    np.testing.assert_array_equal(ids, greedy_by_hand(model, jnp.asarray(src), jnp.asarray(valid_lens), 6))
    np.testing.assert_allclose(log_p, log_probabilities(model, src, jnp.asarray(valid_lens), ids), atol=1e-5)
    assert len(np.unique(ids)) > 1


def test_greedy_reads_nothing_beyond_the_valid_length():
    model = translator(0)
    src, _ = sentences(0)
    greedy = make_greedy(model, 6, BOS)
    other = src.copy()
    other[:, 3] = (src[:, 3] + 1) % SOURCES
    valid_lens = np.full(len(src), 3)
    for ours, theirs in zip(*(greedy(*trees(model), X, valid_lens) for X in (src, other))):
        np.testing.assert_array_equal(ours, theirs)
    whole = [greedy(*trees(model), X, valid_lens + 1)[1] for X in (src, other)]
    assert not np.array_equal(*whole)


def test_what_modules_sow_is_collected_step_by_step():
    model = translator(0)
    src, valid_lens = sentences(0)
    ids, log_p, sown = make_greedy(model, 6, BOS, with_attention=True)(*trees(model), src, valid_lens)
    plain = make_greedy(model, 6, BOS)(*trees(model), src, valid_lens)
    np.testing.assert_array_equal(ids, plain[0])
    np.testing.assert_array_equal(log_p, plain[1])
    (share,) = sown["decoder"]["share"]
    (read,) = sown["encoder"]["read"]
    expected = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]
    np.testing.assert_allclose(share, np.broadcast_to(expected[:, None], (6, 3, 6)), rtol=1e-6)
    assert read.shape == (3, 4, HIDDENS)


def test_until_eos():
    assert until_eos(jnp.array([[4, EOS, 2, EOS], [0, 1, 2, 4], [EOS, 0, 0, 0]]), EOS) == [[4], [0, 1, 2, 4], []]


@pytest.mark.parametrize("length", [1, 4])
def test_a_completion_continues_its_prefix_with_the_most_probable_tokens(length):
    model = Speaker(nnx.Rngs(6))
    prefix = np.random.default_rng(1).integers(0, VOCAB, (3, length))
    whole = make_completion(model, 6)(*trees(model), prefix)
    expected = jnp.asarray(prefix)
    for _ in range(6):  # everything anew at each step
        expected = jnp.concatenate([expected, jnp.argmax(model.run(expected, None)[0][:, -1:], -1)], 1)
    np.testing.assert_array_equal(whole, expected)
    assert len(np.unique(whole[:, length:])) > 1


LANGUAGE_MODELS = (models.rnn_lm_scratch, models.lstm_lm_scratch, models.stacked_rnn_lm_scratch, models.lstm_lm)


@pytest.mark.parametrize("build", LANGUAGE_MODELS)
def test_a_completion_by_the_books_models(build):
    model = build(9, 7, rngs=nnx.Rngs(0))
    params, buffers = jax.tree.map(lambda p: 20 * p, trees(model))  # from 0.01: the state would hardly matter
    whole = make_completion(model, 5)(params, buffers, [[1, 2, 3], [4, 5, 6]])
    scores, _ = jax.jit(functional(model).apply)(params, buffers, whole[:, :-1])
    np.testing.assert_array_equal(whole[:, 3:], jnp.argmax(scores, -1)[:, 2:])
    assert whole[:, :3].tolist() == [[1, 2, 3], [4, 5, 6]]


# The Transformer, whose decoder keeps keys and values
@pytest.mark.slow
@pytest.mark.parametrize("corrected", [False, True])
def test_searches_with_the_transformers_cache(corrected):
    sizes = {"src_vocab": SOURCES, "tgt_vocab": 11, "num_hiddens": 12, "ffn_num_hiddens": 7, "num_heads": 3}
    model = models.transformer(**sizes, corrected=corrected, rngs=nnx.Rngs(0))
    inputs = src, valid_lens = sentences(0, 5, 6)
    ids, log_p, sown = make_greedy(model, 4, BOS, with_attention=True)(*trees(model), *inputs)
    narrow, _ = make_beam_search(model, 4, BOS, EOS, 1)(*trees(model), *inputs)
    assert until_eos(narrow, EOS) == until_eos(ids, EOS)
    assert len(np.unique(ids)) > 2
    (weights,) = sown["decoder"]["blks"]["block1"]["attention2"]["attention"]["attention_weights"]
    np.testing.assert_allclose(jnp.sum(weights, -1), 1, rtol=1e-5)
    behind = np.repeat(np.arange(6) >= valid_lens[:, None], 3, 0)
    assert weights.shape == (4, 15, 1, 6) and not np.any(weights[:, behind[:, None]])
    if corrected:  # else a step has no positions of its own, and the whole call sees what comes later
        targets = jnp.concatenate([jnp.full((5, 1), BOS, ids.dtype), ids[:, :-1]], 1)
        scores, _ = jax.jit(functional(eval_view(model)).apply)(*trees(model), src, targets, jnp.asarray(valid_lens))
        np.testing.assert_array_equal(ids, jnp.argmax(scores, -1))
        np.testing.assert_allclose(log_p, jnp.max(jax.nn.log_softmax(scores), -1), atol=1e-5)


# Purity
@pytest.mark.parametrize("make", [make_greedy, lambda *args: make_beam_search(*args, EOS, 2)])
def test_searches_compose_with_jit_and_draw_no_random_numbers(make):
    model = nnx.view(translator(0), deterministic=False)
    src, valid_lens = sentences(0)
    search = make(model, 4, BOS)
    first = search(*trees(model), src, valid_lens)
    second = jax.jit(search)(*trees(model), src, valid_lens)
    for ours, theirs in zip(first, second):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
