"""A training run that has ended: its case, its weights, and the vocabularies of its data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from d2l_jax.case import Case
from d2l_jax.data import Vocab, kind_of
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from d2l_jax.runs.load import case_of, load
from d2l_jax.runs.texts import Trained
from d2l_jax.write import write_json

VOCABS = "vocab.json"


class Finished(NamedTuple):
    """A training run that has ended.

    case:    made for the data of the run
    vocabs:  those of its data, in the data set's order
    trained: the model with the weights of the last epoch
    """

    case: Case
    vocabs: tuple[Vocab, ...]
    trained: Trained


def finished(path: Path) -> Finished:
    """Returns the run in a folder, or at one of its checkpoints; InputError where there is none, or no vocabulary."""
    case = case_of(path)
    model = load(path)
    _, params, buffers = functional(model)
    vocabs = () if kind_of(case.data) == "ratings" else read_vocabs(path)
    return Finished(case, vocabs, Trained(model, params, buffers))


def write_vocabs(vocabs: Sequence[Vocab], out: Path) -> None:
    """Writes `vocab.json`: of each vocabulary its tokens in the order of their numbers."""
    write_json(out / VOCABS, [list(vocab) for vocab in vocabs])


def read_vocabs(path: Path) -> tuple[Vocab, ...]:
    """Returns the vocabularies of the run in a folder, or at one of its checkpoints; InputError where it has none."""
    folder = next((each for each in (path, *path.absolute().parents[:2]) if (each / VOCABS).is_file()), None)
    if folder is None:
        raise InputError(f"{path} holds no {VOCABS}; a run that `d2l-jax train` left on texts is right")
    try:
        vocabs = tuple(Vocab.in_order(tokens) for tokens in json.loads((folder / VOCABS).read_text("utf-8")))
        if not vocabs:
            raise ValueError("it is empty")
        return vocabs
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / VOCABS} is damaged ({error}); train the model again") from error
