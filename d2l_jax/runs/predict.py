"""Answers of a trained model to texts: `d2l-jax predict RUN TEXT ...`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from d2l_jax.data import encode, kind_of, text_tokens
from d2l_jax.data.ratings.ratings import check_numbers
from d2l_jax.errors import InputError
from d2l_jax.generate import make_greedy, until_eos
from d2l_jax.runs.classed import felt, inferred
from d2l_jax.runs.finished import Finished, finished
from d2l_jax.runs.load import case_of
from d2l_jax.runs.masked_words import guessed
from d2l_jax.runs.pair_labels import classified
from d2l_jax.runs.recommended import outputs
from d2l_jax.runs.texts import Text, continuations
from d2l_jax.runs.words import completed, neighbours

Answer = Callable[[Finished, Sequence[str]], list[str]]


def predict(run: Path, texts: Sequence[str]) -> list[str]:
    """Returns what the model of a run answers to texts, in lines.

    Raises InputError where there is no run, or no text, or where the model takes no texts.
    """
    case = case_of(run)
    answer = ANSWERS.get(kind_of(case.data))
    if answer is None:
        raise InputError(
            f"{case.name} takes no texts; a run on texts is right, or the model: d2l_jax.load({str(run)!r})"
        )
    if not texts or not all(text.strip() for text in texts):
        raise InputError('predict needs a text that is not empty, as in: d2l-jax predict RUN "it has"')
    return answer(finished(run), texts)


def continued(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every text with its continuation by a language model of characters."""
    prefixes = ["".join(text_tokens(text)) for text in texts]
    return [str(text) for text in continuations(run.vocabs[0], run.trained, prefixes)]


def translated(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every sentence with its translation; marks may stand at words."""
    source, target = run.vocabs
    steps = run.case.arrays[0].shape[1]
    ids, lengths = encode(texts, source, steps)
    greedy = make_greedy(run.trained.model, steps, target["<bos>"])
    best, *_ = greedy(*run.trained[1:], jnp.asarray(ids), jnp.asarray(lengths))
    rows = until_eos(best, target["<eos>"])
    return [str(Text(text, " ".join(target.to_tokens(row)))) for text, row in zip(texts, rows)]


def similar(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every word with the words nearest to it, and three words of one text with the fourth of the analogy."""
    return [str(_about(run, text.split())) for text in texts]


def _about(run: Finished, words: list[str]) -> Text:
    vocab = run.vocabs[0]
    match len(words):
        case 1:
            return neighbours(vocab, run.trained, words)[0]
        case 3:
            return completed(vocab, run.trained, words)
    raise InputError(f"{' '.join(words)!r} has {len(words)} words; one, or the three of an analogy, are right")


def rated(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every "user item", numbers from 1, with the rating of a trained model of section 21.3.

    Raises InputError for a text that is no such pair, and for a user or an item outside of the tables.
    """
    lines = []
    for text in texts:
        numbers = text.split()
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise InputError(f"{text!r} is no user and item; two numbers from 1, as '20 30', are right")
        user, item = (np.array([int(number) - 1]) for number in numbers)
        check_numbers(user, item, run.case.args["num_users"], run.case.args["num_items"])
        lines.append(str(Text(text, f"{outputs(run.trained, user, item)[0]:.2f}")))
    return lines


# The kind of data that a case learns from -> what its model answers.
ANSWERS: dict[str, Answer] = {
    "text": continued,
    "translation": translated,
    "masked": guessed,
    "words": similar,
    "labelled_pairs": classified,
    "reviews": felt,
    "inference": inferred,
    "ratings": rated,
}
