"""Texts as the word pieces of a published BERT: the package `tokenizers` reads its `tokenizer.json`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from d2l_jax.errors import InputError

FILE = "tokenizer.json"
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
Text = str | tuple[str, str]


class Encoded(NamedTuple):
    """Texts as a model takes them: tokens and segments int32 (N, steps), padded, and lengths int32 (N,)."""

    tokens: np.ndarray
    segments: np.ndarray
    lengths: np.ndarray


class WordPieces:
    """The tokenizer of a published BERT: word pieces between `[CLS]` and `[SEP]` (Wu et al. 2016).

    folder: of a `tokenizer.json`, or that file

    Raises InputError where the package `tokenizers` or the file is missing, or the file is of another kind.
    """

    def __init__(self, folder: Path):
        path = folder / FILE if folder.is_dir() else folder
        self.tokenizer = _read(path)
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.pad = self.tokenizer.token_to_id("[PAD]")

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, texts: Sequence[Text], max_len: int, steps: int | None = None, cut: bool = False) -> Encoded:
        """Encodes texts, or pairs of them, of which the second has segment 1.

        max_len: tokens that a model has positions for, marks included
        steps:   to which all are padded; None is the longest
        cut:     a longer text ends at `max_len`, of a pair the longer side first; else it is refused

        Raises InputError for a text that is longer, and where there is none.
        """
        if not texts:
            raise InputError("there is no text to encode; one or more are right")
        if cut:
            self.tokenizer.enable_truncation(max_len, strategy="longest_first")
        else:
            self.tokenizer.no_truncation()
        encoded = self.tokenizer.encode_batch(list(texts))
        lengths = np.array([len(each.ids) for each in encoded], np.int32)
        if lengths.max() > max_len:
            number = int(lengths.argmax())
            long = f"text {number + 1} of {len(texts)} has {lengths[number]} tokens"
            raise InputError(f"{long}; {max_len}, as many as there are positions, or fewer are right")
        width = int(lengths.max()) if steps is None else steps
        tokens = np.full((len(texts), width), self.pad, np.int32)
        segments = np.zeros((len(texts), width), np.int32)
        for row, each in enumerate(encoded):
            tokens[row, : len(each.ids)] = each.ids
            segments[row, : len(each.ids)] = each.type_ids
        return Encoded(tokens, segments, lengths)


def _read(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise InputError(f"{path} is read by the package tokenizers: pip install 'd2l-jax[bert]'") from error
    try:
        content = json.loads(path.read_text("utf-8"))
        kind = content["model"].get("type", "no")
        marks = [mark for mark in MARKS if mark not in content["model"]["vocab"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is no tokenizer.json of Hugging Face's ({error!r})") from error
    if kind != "WordPiece" or marks:
        lacks = f", without {', '.join(marks)}" if marks else ""
        raise InputError(f"{path} holds a tokenizer of the kind {kind}{lacks}; BERT's, of the kind WordPiece, is right")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise InputError(f"{path} is damaged: {error}") from error
