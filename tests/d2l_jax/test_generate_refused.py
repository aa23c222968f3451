"""Searches and completions refuse sources, prefixes and options that cannot be right."""

import pytest
from flax import nnx
from toy_translator import BOS, EOS, MODEL, SOURCES, VOCAB, Speaker, trees

from d2l_jax.errors import InputError
from d2l_jax.generate import make_beam_search, make_completion, make_greedy

pytestmark = pytest.mark.usefixtures("quick_compilation")


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
