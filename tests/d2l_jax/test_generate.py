"""Completion, greedy and beam search on small models whose answers a plain loop gives too."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import eval_view, functional, models
from d2l_jax.errors import InputError
from d2l_jax.generate import make_beam_search, make_completion, make_greedy, until_eos
from d2l_jax.models import EncoderDecoder

SOURCES, VOCAB, HIDDENS, LAYERS = 7, 5, 6, 2
BOS, EOS = 1, 3


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Optimising the code would take most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def matrix(rngs: nnx.Rngs, *shape: int) -> nnx.Param:
    return nnx.Param(jax.random.normal(rngs.params(), shape, jnp.float32))


class Reader(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(SOURCES, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)

    def __call__(self, X, enc_valid_lens):
        known = jnp.arange(X.shape[1]) < enc_valid_lens[:, None]
        read = jnp.where(known[..., None], self.embedding(X), 0)
        self.sow(nnx.Intermediate, "read", read)
        return read.swapaxes(0, 1)


class Writer(nnx.Module):
    """States with the batch in front, second and nowhere, a cache among them."""

    def __init__(self, rngs: nnx.Rngs, vocab: int = VOCAB):
        self.embedding = nnx.Embed(vocab, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.W_hh = matrix(rngs, HIDDENS, HIDDENS)
        self.W_hq = matrix(rngs, 2 * HIDDENS, vocab)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def init_state(self, enc_outputs, enc_valid_lens, cache_len=None):
        context = enc_outputs.sum(0) / enc_valid_lens[:, None].astype(enc_outputs.dtype)
        cache = jnp.zeros((len(context), cache_len or 1, HIDDENS), context.dtype)
        return {"hidden": jnp.stack([context] * LAYERS), "cache": cache, "position": jnp.zeros((), jnp.int32)}

    def __call__(self, X, state):
        hidden, cache, position = state["hidden"], state["cache"], state["position"]
        Y = []
        for token in X.swapaxes(0, 1):
            hidden = jnp.tanh(hidden @ self.W_hh[...] + self.embedding(token))
            cache = jax.lax.dynamic_update_slice_in_dim(cache, hidden[-1][:, None], position, 1)
            seen = jnp.arange(cache.shape[1], dtype=position.dtype) <= position
            share = seen.astype(cache.dtype) / (position + 1).astype(cache.dtype)
            self.sow(nnx.Intermediate, "share", jnp.broadcast_to(share, cache.shape[:2]))
            features = jnp.concatenate([hidden[-1], jnp.einsum("s,bsh->bh", share, cache)], -1)
            Y.append(self.dropout(features) @ self.W_hq[...])
            position = position + 1
        return jnp.stack(Y, 1), {"hidden": hidden, "cache": cache, "position": position}


def translator(seed: int, vocab: int = VOCAB) -> EncoderDecoder:
    rngs = nnx.Rngs(seed)
    return EncoderDecoder(Reader(rngs), Writer(rngs, vocab))


def sentences(seed: int, count: int = 3, steps: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, SOURCES, (count, steps)), random.integers(1, steps + 1, count)


def logits(model: EncoderDecoder, src, valid_lens, inputs) -> jax.Array:
    """Of all steps at once, from the first state."""
    return ALL_STEPS(*trees(model), jnp.asarray(src), jnp.asarray(valid_lens), jnp.asarray(inputs))[0]


def log_probabilities(model: EncoderDecoder, src, valid_lens, ids) -> np.ndarray:
    """Of each token of `ids` (batch, steps), with all the tokens before it given at once."""
    inputs = jnp.concatenate([jnp.full((len(ids), 1), BOS, ids.dtype), ids[:, :-1]], 1)
    log_p = jax.nn.log_softmax(logits(model, src, valid_lens, inputs))
    return np.take_along_axis(np.asarray(log_p), np.asarray(ids)[..., None], -1)[..., 0]


def trees(model: nnx.Module) -> tuple[dict, dict]:
    _, params, buffers = functional(model)
    return params, buffers


def read_and_write(model: EncoderDecoder, src, valid_lens, inputs) -> jax.Array:
    state = model.decoder.init_state(model.encoder(src, valid_lens), valid_lens, cache_len=inputs.shape[1])
    return model.decoder(inputs, state)[0]


MODEL = translator(0)
ALL_STEPS = jax.jit(functional(eval_view(MODEL), read_and_write).apply)


# Greedy
def greedy_by_hand(model: EncoderDecoder, src, valid_lens, steps: int) -> np.ndarray:
    """Everything anew at each step, without a state that is carried over."""
    ids = np.full((len(src), steps + 1), BOS)
    for t in range(steps):  # what stands after a step does not matter to it
        ids[:, t + 1] = np.argmax(logits(model, src, valid_lens, ids[:, :-1])[:, t], -1)
    return ids[:, 1:]


def test_greedy_takes_the_most_probable_token_at_every_step():
    model, (src, valid_lens) = translator(0), sentences(0)
    ids, log_p = make_greedy(model, 6, BOS)(*trees(model), src, valid_lens)
    np.testing.assert_array_equal(ids, greedy_by_hand(model, jnp.asarray(src), jnp.asarray(valid_lens), 6))
    np.testing.assert_allclose(log_p, log_probabilities(model, src, jnp.asarray(valid_lens), ids), atol=1e-5)
    assert len(np.unique(ids)) > 1


def test_greedy_reads_nothing_beyond_the_valid_length():
    model, (src, _) = translator(0), sentences(0)
    greedy, other = make_greedy(model, 6, BOS), src.copy()
    other[:, 3] = (src[:, 3] + 1) % SOURCES
    valid_lens = np.full(len(src), 3)
    for ours, theirs in zip(*(greedy(*trees(model), X, valid_lens) for X in (src, other))):
        np.testing.assert_array_equal(ours, theirs)
    whole = [greedy(*trees(model), X, valid_lens + 1)[1] for X in (src, other)]
    assert not np.array_equal(*whole)


def test_what_modules_sow_is_collected_step_by_step():
    model, (src, valid_lens) = translator(0), sentences(0)
    ids, log_p, sown = make_greedy(model, 6, BOS, with_attention=True)(*trees(model), src, valid_lens)
    plain = make_greedy(model, 6, BOS)(*trees(model), src, valid_lens)
    np.testing.assert_array_equal(ids, plain[0])
    np.testing.assert_array_equal(log_p, plain[1])
    (share,), (read,) = sown["decoder"]["share"], sown["encoder"]["read"]
    expected = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]
    np.testing.assert_allclose(share, np.broadcast_to(expected[:, None], (6, 3, 6)), rtol=1e-6)
    assert read.shape == (3, 4, HIDDENS)


def test_until_eos():
    assert until_eos(jnp.array([[4, EOS, 2, EOS], [0, 1, 2, 4], [EOS, 0, 0, 0]]), EOS) == [[4], [0, 1, 2, 4], []]


# Beam search
def score(log_p: np.ndarray, alpha: float) -> float:
    return float(log_p.sum() / len(log_p) ** alpha)


def length(ids) -> int:
    """Up to the first <eos>, which counts."""
    return list(ids).index(EOS) + 1 if EOS in ids else len(ids)


def test_a_beam_of_one_is_greedy():
    search, greedy = make_beam_search(MODEL, 6, BOS, EOS, width=1), make_greedy(MODEL, 6, BOS)
    ended = 0
    for seed in range(6):
        inputs = *trees(translator(seed)), *sentences(seed, 5)
        (ids, scores), (wanted, log_p) = search(*inputs), greedy(*inputs)
        assert until_eos(ids, EOS) == until_eos(wanted, EOS)
        expected = [score(row[: length(kept)], 0.75) for row, kept in zip(log_p, np.asarray(wanted))]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        ended += sum(EOS in row for row in np.asarray(wanted))
    assert 0 < ended < 30  # both kinds of ending are among them


def best_of_all(model: EncoderDecoder, src, valid_lens, steps: int, alpha: float) -> tuple[list[int], float]:
    """By brute force: every sequence of `steps` tokens, cut at <eos>."""
    everything = jnp.array(list(itertools.product(range(VOCAB), repeat=steps)))
    sources = jnp.broadcast_to(src, (len(everything), len(src)))
    log_p = log_probabilities(model, sources, jnp.full(len(everything), valid_lens), everything)
    scores = [score(row[: length(ids)], alpha) for row, ids in zip(log_p, np.asarray(everything))]
    return until_eos(everything, EOS)[int(np.argmax(scores))], max(scores)


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.75), (1, 0.75), (2, 0.0), (3, 2.0)])
def test_a_beam_as_wide_as_all_sequences_finds_the_best(seed, alpha):
    model, (src, valid_lens) = translator(seed), sentences(seed)
    search = make_beam_search(model, 3, BOS, EOS, VOCAB**3, alpha)
    ids, scores = search(*trees(model), src, valid_lens)
    found = [best_of_all(model, X, n, 3, alpha) for X, n in zip(src, valid_lens)]
    assert until_eos(ids, EOS) == [kept for kept, _ in found]
    np.testing.assert_allclose(scores, [value for _, value in found], rtol=1e-5)


def test_a_narrow_beam_keeps_the_best_prefixes_of_each_step():
    model, (src, valid_lens) = translator(1), sentences(1)
    ids, scores = make_beam_search(MODEL, 5, BOS, EOS, width=2)(*trees(model), src, valid_lens)
    for row, (X, n) in enumerate(zip(src, valid_lens)):
        kept, value = beam_by_hand(model, X, n, 5, 2, 0.75)
        assert until_eos(ids, EOS)[row] == kept
        assert scores[row] == pytest.approx(value, rel=1e-5)


def beam_by_hand(model, src, valid_len, steps: int, width: int, alpha: float) -> tuple[list[int], float]:
    live, candidates = [((), 0.0)], []
    sources, lengths = np.tile(src, (width * VOCAB, 1)), np.full(width * VOCAB, valid_len)
    for t in range(1, steps + 1):
        longer = [(*ids, token) for ids, _ in live for token in range(VOCAB)]
        rows = np.zeros((width * VOCAB, steps), int)
        rows[: len(longer), :t] = longer  # what stands after a prefix does not matter to it
        log_p = log_probabilities(model, sources, lengths, rows)[: len(longer), :t].sum(1)
        kept = sorted(zip(longer, log_p), key=lambda pair: -pair[1])[:width]
        done = [(ids, total) for ids, total in kept if ids[-1] == EOS or t == steps]
        candidates += [(total / t**alpha, ids) for ids, total in done]
        live = [pair for pair in kept if pair not in done]
        if not live:
            break
    value, ids = max(candidates)
    return [token for token in ids if token != EOS], value


def test_a_wider_beam_finds_what_greedy_misses():
    """Otherwise the tests above would pass for a search that is greedy whatever its width."""
    narrow, wide = (make_beam_search(MODEL, 4, BOS, EOS, width) for width in (1, 25))
    inputs = [(*trees(translator(seed)), *sentences(seed, 5)) for seed in range(6)]
    gains = [np.asarray(wide(*each)[1] - narrow(*each)[1]) for each in inputs]
    assert np.max(gains) > 0.1


def test_a_larger_alpha_favours_longer_translations():
    lengths = []
    for alpha in (0.0, 3.0):
        search = make_beam_search(MODEL, 5, BOS, EOS, 25, alpha)
        found = [search(*trees(translator(seed)), *sentences(seed, 5))[0] for seed in range(4)]
        lengths.append(np.mean([length(row) for ids in found for row in np.asarray(ids)]))
    assert lengths[0] < lengths[1]


# Completion
class Speaker(nnx.Module):
    vocab_size = VOCAB

    def __init__(self, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(VOCAB, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.W_hh, self.W_hq = matrix(rngs, HIDDENS, HIDDENS), matrix(rngs, HIDDENS, VOCAB)

    def run(self, ids, state):
        H = jnp.zeros((len(ids), HIDDENS), self.W_hh.dtype) if state is None else state
        Y = []
        for token in ids.swapaxes(0, 1):
            H = jnp.tanh(H @ self.W_hh[...] + self.embedding(token))
            Y.append(H @ self.W_hq[...])
        return jnp.stack(Y, 1), H


@pytest.mark.parametrize("length", [1, 4])
def test_a_completion_continues_its_prefix_with_the_most_probable_tokens(length):
    model, prefix = Speaker(nnx.Rngs(6)), np.random.default_rng(1).integers(0, VOCAB, (3, length))
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
    model, (src, valid_lens) = nnx.view(translator(0), deterministic=False), sentences(0)
    search = make(model, 4, BOS)
    first, second = search(*trees(model), src, valid_lens), jax.jit(search)(*trees(model), src, valid_lens)
    for ours, theirs in zip(first, second):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


# Bad input
def refusing(message: str):
    return pytest.raises(InputError, match=message)


SEARCHES = {
    "greedy": lambda: make_greedy(MODEL, 3, BOS),
    "beam": lambda: make_beam_search(MODEL, 3, BOS, EOS, 2),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize(
    ("src", "valid_lens", "message"),
    [
        ([[0, 1, 2]], [0], "valid length 0 in row 0; it must lie between 1 and 3"),
        ([[0, 1, 2], [0, 1, 2]], [3, 4], "valid length 4 in row 1; it must lie between 1 and 3"),
        ([[0, 1, 2]], [2, 2], r"the valid lengths must be integers \(1,\), got int64 \(2,\)"),
        ([[0, 1, 2]], [2.0], r"the valid lengths must be integers \(1,\), got float64 \(1,\)"),
        ([[0, 1, 2], [0, 1]], [3, 2], "the source must be an array of integers; its rows differ in length"),
        ([[0, 1, SOURCES]], [3], "the source has token 7 in row 0, step 2; the vocabulary has 0 to 6"),
        ([[0, -1, 2]], [3], "the source has token -1 in row 0, step 1"),
        ([0, 1, 2], [3], r"the source must be integers \(batch, steps\), got int64 \(3,\)"),
        ([[0.0, 1.0]], [2], "the source must be integers"),
        ([[]], [1], r"the source is empty, shape \(1, 0\)"),
        ([[0, 2**40]], [2], "the source has token 1099511627776"),
    ],
)
def test_bad_sources_are_refused(search, src, valid_lens, message):
    with refusing(message):
        search()(*trees(MODEL), src, valid_lens)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_greedy(MODEL, 0, BOS), "steps must be at least 1, got 0"),
        (lambda: make_greedy(MODEL, 3, VOCAB), "bos is token 5, but the vocabulary ends at 4"),
        (lambda: make_greedy(MODEL, 3, -1), "bos is token -1"),
        (lambda: make_beam_search(MODEL, 0, BOS, EOS, 1), "steps must be at least 1, got 0"),
        (lambda: make_beam_search(MODEL, 3, BOS, 9, 1), "eos is token 9, but the vocabulary ends at 4"),
        (lambda: make_beam_search(MODEL, 3, BOS, EOS, 0), "width must be at least 1, got 0"),
        (lambda: make_beam_search(MODEL, 2, BOS, EOS, 26), "width is 26, but 5 tokens have only 25 sequences of 2"),
        (lambda: make_completion(Speaker(nnx.Rngs(0)), 0), "num_preds must be at least 1, got 0"),
    ],
)
def test_impossible_searches_are_refused(make, message):
    with refusing(message):
        make()


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ([[], []], "the prefix is empty"),
        ([[0, VOCAB]], "the prefix has token 5 in row 0, step 1; the vocabulary has 0 to 4"),
        ([0, 1], r"the prefix must be integers \(batch, steps\)"),
    ],
)
def test_bad_prefixes_are_refused(prefix, message):
    model = Speaker(nnx.Rngs(0))
    with refusing(message):
        make_completion(model, 2)(*trees(model), prefix)
