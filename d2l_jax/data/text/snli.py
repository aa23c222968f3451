"""Pairs of sentences, and whether the first entails the second: SNLI (section 16.4 of the book)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.files import decoded
from d2l_jax.data.text.archives import archives_in, contents, lines_of
from d2l_jax.data.text.reviews import fixed_length
from d2l_jax.data.text.translation import PAD
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

SNLI = ("snli", "snli_corrected")
STEM = "snli_1.0"
LABELS = ("entailment", "contradiction", "neutral")
UNDECIDED = "-"  # the annotators did not agree
KIND = "inference"


class Pair(NamedTuple):
    """A premise and a hypothesis, tokens with single spaces between them, and the number of their label in `LABELS`."""

    premise: str
    hypothesis: str
    label: int


def sentence_words(sentence: str, corrected: bool = False) -> list[str]:
    """Splits a parsed sentence into tokens without its parentheses; `corrected` puts it in lower case."""
    plain = re.sub(r"[()]", "", sentence)
    return (plain.lower() if corrected else plain).split()


def parse_snli(text: str, where: str = "the text") -> list[Pair]:
    """Reads label, premise and hypothesis, between tabs, from each line behind the header; undecided ones are left out.

    Raises:
      InputError: a line has fewer columns, or a label of its own; the message has the line's number. Or the first line
        is a pair, which would be taken for the header.
    """
    pairs = []
    header, *lines = lines_of(text) or [""]
    if header.split("\t")[0] in (*LABELS, UNDECIDED):
        raise InputError(f"{where}, line 1 is a pair; the names of the columns, gold_label first, are right")
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        label, *sentences = line.split("\t")[:3]
        if len(sentences) < 2:
            raise InputError(f"{where}, line {number}: a label, a premise and a hypothesis between tabs are right")
        if label == UNDECIDED:
            continue
        if label not in LABELS:
            raise InputError(f"{where}, line {number}: label {label!r} where {', '.join(LABELS)} or - is right")
        premise, hypothesis = (" ".join(sentence_words(sentence)) for sentence in sentences)
        pairs.append(Pair(premise, hypothesis, LABELS.index(label)))
    return pairs


def inference_data(
    train: Sequence[Pair],
    test: Sequence[Pair],
    steps: int = 50,
    min_freq: int = 5,
    *,
    corrected: bool = False,
    name: str = "snli",
    source: str = "the given pairs",
) -> Dataset:
    """Encodes pairs with the vocabulary of those to train on, sentences cut or padded to `steps` tokens.

    Args:
      train: pairs to train on.
      test: pairs to test on.
      steps: tokens in a sentence.
      min_freq: rarer tokens become `<unk>`.
      corrected: words in lower case, as GloVe has them; the book keeps the case.
      name: name of the result.
      source: where the pairs are from, for the log.

    Returns:
      X = (premises int32 (N, steps), hypotheses int32 (N, steps)), y int32 (N,), the numbers of `LABELS`; the
      vocabulary, in which `<pad>` is reserved.

    Raises:
      InputError: there is no pair to train or to test on, or `steps` is below 1.
    """
    if not train or not test:
        raise InputError(f"{source}: {len(train)} pairs to train and {len(test)} to test on; give 1 or more of each")
    words, held_out = (_sides(part, corrected) for part in (train, test))
    vocab = Vocab(words, min_freq, (PAD,))
    X, X_test = (
        tuple(fixed_length([vocab[row] for row in side], steps, vocab[PAD]) for side in part)
        for part in (words, held_out)
    )
    y, y_test = (np.array([each.label for each in part], np.int32) for part in (train, test))
    return Dataset(name, (X, y), (X_test, y_test), source, LABELS, vocabs=(vocab,), form=KIND)


def _sides(pairs: Sequence[Pair], corrected: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Returns the words of the premises, and those of the hypotheses."""
    premises = [sentence_words(pair.premise, corrected) for pair in pairs]
    return premises, [sentence_words(pair.hypothesis, corrected) for pair in pairs]


def read_pairs_of(path: Path) -> dict[str, list[Pair]]:
    """Reads the splits in a `snli_1.0` folder or archive: {"train": pairs, "dev": pairs, "test": pairs}, as there are.

    Raises:
      InputError: as `parse_snli`, an archive is damaged or climbs, or a file is not in UTF-8.
    """
    pattern = re.compile(rf"(?:.*/)?{re.escape(STEM)}_(train|dev|test)\.txt")
    files = contents(path, lambda name: pattern.fullmatch(name) is not None and "__MACOSX" not in name)
    splits = {}
    for name, content in files:
        where = f"{name} in {path}"
        splits[pattern.fullmatch(name)[1]] = parse_snli(decoded(content, where), where)  # type: ignore[index]
    return splits


def read_snli(folder: Path, name: str = "snli") -> Dataset | None:
    """Reads SNLI from a folder, from its `snli` folder, or from a `snli_1.0` folder or zip in either; None without.

    Where the split to train on is missing, the one for development takes its place. "snli_corrected" is in lower case.

    Raises:
      InputError: as `read_pairs_of`, or one of two splits is missing.
    """
    for path in _spots(folder):
        splits = read_pairs_of(path)
        training = "train" if "train" in splits else "dev"
        if training not in splits or "test" not in splits:
            raise InputError(f"{path} holds {', '.join(splits)} of {STEM}; a split to train on and test are needed")
        source = f"{STEM} in {path}, trained on {training}"
        corrected = name == "snli_corrected"
        return inference_data(splits[training], splits["test"], corrected=corrected, name=name, source=source)
    return None


def no_snli(folder: Path) -> InputError:
    """The error for a folder in which `read_snli` finds nothing."""
    return InputError(f"{folder} holds no {STEM}; {STEM}_train.txt and {STEM}_test.txt, or {STEM}.zip, are needed")


def fetch_snli() -> Path:
    """Raises InputError: the archive is not fetched by this program."""
    raise InputError(f"SNLI is not fetched by this program; put {STEM}.zip into a folder, and name that")


def _spots(folder: Path) -> list[Path]:
    """Lists folders that hold the files themselves before archives of them."""
    near = [each for each in (folder, folder / "snli") if each.is_dir()]
    below = [path for place in near for path in (place, place / STEM)]
    whole = [path for path in below if any(path.glob(f"{STEM}_*.txt"))]
    return [*whole, *(path for place in near for path in archives_in(place, STEM))]
