"""Beam search on a small model whose answers a plain loop gives too."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from toy_translator import BOS, EOS, MODEL, VOCAB, log_probabilities, sentences, translator, trees

from d2l_jax.generate import make_beam_search, make_greedy, until_eos
from d2l_jax.models import EncoderDecoder

pytestmark = pytest.mark.usefixtures("quick_compilation")


# Beam search
def score(log_p: np.ndarray, alpha: float) -> float:
    return float(log_p.sum() / len(log_p) ** alpha)


def length(ids) -> int:
    """The number of tokens up to the first <eos>, which counts."""
    return list(ids).index(EOS) + 1 if EOS in ids else len(ids)


def test_a_beam_of_one_is_greedy():
    search = make_beam_search(MODEL, 6, BOS, EOS, width=1)
    greedy = make_greedy(MODEL, 6, BOS)
    ended = 0
    for seed in range(6):
        inputs = *trees(translator(seed)), *sentences(seed, 5)
        ids, scores = search(*inputs)
        greedy_ids, log_p = greedy(*inputs)
        assert until_eos(ids, EOS) == until_eos(greedy_ids, EOS)
        expected = [score(row[: length(sentence)], 0.75) for row, sentence in zip(log_p, np.asarray(greedy_ids))]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        ended += sum(EOS in row for row in np.asarray(greedy_ids))
    assert 0 < ended < 30  # both kinds of ending are among them


def best_of_all(model: EncoderDecoder, src, valid_lens, steps: int, alpha: float) -> tuple[list[int], float]:
    """The best translation and its score by brute force: every sequence of `steps` tokens, cut at <eos>."""
    everything = jnp.array(list(itertools.product(range(VOCAB), repeat=steps)))
    sources = jnp.broadcast_to(src, (len(everything), len(src)))
    log_p = log_probabilities(model, sources, jnp.full(len(everything), valid_lens), everything)
    scores = [score(row[: length(ids)], alpha) for row, ids in zip(log_p, np.asarray(everything))]
    return until_eos(everything, EOS)[int(np.argmax(scores))], max(scores)


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.75), (1, 0.75), (2, 0.0), (3, 2.0)])
def test_a_beam_as_wide_as_all_sequences_finds_the_best(seed, alpha):
    model = translator(seed)
    src, valid_lens = sentences(seed)
    search = make_beam_search(model, 3, BOS, EOS, VOCAB**3, alpha)
    ids, scores = search(*trees(model), src, valid_lens)
    best = [best_of_all(model, X, n, 3, alpha) for X, n in zip(src, valid_lens)]
    assert until_eos(ids, EOS) == [sentence for sentence, _ in best]
    np.testing.assert_allclose(scores, [value for _, value in best], rtol=1e-5)


def test_a_narrow_beam_keeps_the_best_prefixes_of_each_step():
    model = translator(1)
    src, valid_lens = sentences(1)
    ids, scores = make_beam_search(MODEL, 5, BOS, EOS, width=2)(*trees(model), src, valid_lens)
    for row, (X, n) in enumerate(zip(src, valid_lens)):
        sentence, value = beam_by_hand(model, X, n, 5, 2, 0.75)
        assert until_eos(ids, EOS)[row] == sentence
        assert scores[row] == pytest.approx(value, rel=1e-5)


def beam_by_hand(model, src, valid_len, steps: int, width: int, alpha: float) -> tuple[list[int], float]:
    live = [((), 0.0)]
    candidates = []
    sources = np.tile(src, (width * VOCAB, 1))
    lengths = np.full(width * VOCAB, valid_len)
    for t in range(1, steps + 1):
        longer = [(*ids, token) for ids, _ in live for token in range(VOCAB)]
        rows = np.zeros((width * VOCAB, steps), int)
        rows[: len(longer), :t] = longer  # what stands after a prefix does not matter to it
        log_p = log_probabilities(model, sources, lengths, rows)[: len(longer), :t].sum(1)
        best = sorted(zip(longer, log_p), key=lambda pair: -pair[1])[:width]
        done = [(ids, total) for ids, total in best if ids[-1] == EOS or t == steps]
        candidates += [(total / t**alpha, ids) for ids, total in done]
        live = [pair for pair in best if pair not in done]
        if not live:
            break
    value, ids = max(candidates)
    return [token for token in ids if token != EOS], value


def test_a_wider_beam_finds_what_greedy_misses():
    """A wider beam finds more: else the tests above would pass for a search that is greedy whatever its width."""
    narrow, wide = (make_beam_search(MODEL, 4, BOS, EOS, width) for width in (1, 25))
    inputs = [(*trees(translator(seed)), *sentences(seed, 5)) for seed in range(6)]
    gains = [np.asarray(wide(*each)[1] - narrow(*each)[1]) for each in inputs]
    assert np.max(gains) > 0.1


def test_a_larger_alpha_favours_longer_translations():
    lengths = []
    for alpha in (0.0, 3.0):
        search = make_beam_search(MODEL, 5, BOS, EOS, 25, alpha)
        translations = [search(*trees(translator(seed)), *sentences(seed, 5))[0] for seed in range(4)]
        lengths.append(np.mean([length(row) for ids in translations for row in np.asarray(ids)]))
    assert lengths[0] < lengths[1]
