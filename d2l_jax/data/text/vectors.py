"""Pretrained word vectors in text files, with similar words and analogies (section 15.7 of the book)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from d2l_jax.data.files import decoded
from d2l_jax.data.find.places import places
from d2l_jax.data.text.archives import contents, is_archive, lines_of
from d2l_jax.data.text.vocab import UNKNOWN, Vocab
from d2l_jax.errors import InputError

FILE = "vec.txt"
EPS = 1e-9
GLOVE = re.compile(r"(?:.*/)?(?:vec|glove\..*)\.txt")


class TokenEmbedding:
    """Tokens and their vectors; `<unk>` has the number 0 and a vector of zeros (section 15.7).

    Attributes:
      idx_to_token: the tokens, `<unk>` first.
      idx_to_vec: their vectors, float32 (tokens, dimensions).
      source: where they are from, in words for the log.
    """

    def __init__(self, tokens: Sequence[str], vectors: np.ndarray, source: str = "the given vectors"):
        """Takes tokens without `<unk>`, and a row of `vectors` for each.

        Raises:
          InputError: the numbers differ, there is no vector, or a token is there twice.
        """
        if vectors.ndim != 2 or len(vectors) != len(tokens) or not vectors.size:
            raise InputError(f"{source}: vectors of shape {vectors.shape} for {len(tokens)} tokens")
        self.idx_to_token = (UNKNOWN, *tokens)
        self.idx_to_vec = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors.astype(np.float32)])
        self.source = source
        self._index: dict[str, int] = {}
        for place, token in enumerate(self.idx_to_token):
            if self._index.setdefault(token, place) != place:
                raise InputError(f"{source}: token {token!r} is there twice, numbers {self._index[token]} and {place}")

    def __len__(self) -> int:
        return len(self.idx_to_token)

    def __contains__(self, token: object) -> bool:
        return token in self._index

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.idx_to_vec.shape[1]

    @overload
    def __getitem__(self, tokens: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, tokens: Sequence[str]) -> np.ndarray: ...
    def __getitem__(self, tokens: str | Sequence[str]) -> np.ndarray:
        """The vector of a token, float32 (dimensions,), or of each, (tokens, dimensions); zeros for unknown ones."""
        if isinstance(tokens, str):
            return self.idx_to_vec[self._index.get(tokens, 0)]
        return self.idx_to_vec[[self._index.get(token, 0) for token in tokens]]

    def similar(self, token: str, k: int = 3) -> list[tuple[str, float]]:
        """Returns the k tokens nearest to a token by cosine, with their cosines, nearest first.

        Raises:
          InputError: the token is unknown, or k does not lie between 1 and the number of other tokens.
        """
        self._refuse_unknown(token)
        return self._nearest(self[token], k + 1, 1)

    def analogy(self, a: str, b: str, c: str) -> str:
        """Returns the token that is to c as b is to a: the nearest to b - a + c, which may be one of the three.

        Raises:
          InputError: one of them is unknown.
        """
        self._refuse_unknown(a, b, c)
        return self._nearest(self[b] - self[a] + self[c], 1)[0][0]

    def table(self, vocab: Vocab) -> np.ndarray:
        """Returns the vectors of a vocabulary, float32 (len(vocab), dimensions); zeros for words that have none."""
        return self[list(vocab)]

    def _nearest(self, vector: np.ndarray, k: int, skipped: int = 0) -> list[tuple[str, float]]:
        if not skipped < k <= len(self):
            raise InputError(f"{k - skipped} similar tokens where 1 to {len(self) - skipped} can be had")
        norms = np.sqrt((self.idx_to_vec**2).sum(1) + EPS) * np.sqrt((vector**2).sum())
        cosines = self.idx_to_vec @ vector / np.maximum(norms, EPS)
        order = np.argsort(-cosines, kind="stable")[skipped:k]
        return [(self.idx_to_token[i], float(cosines[i])) for i in order]

    def _refuse_unknown(self, *tokens: str) -> None:
        for token in tokens:
            if token not in self:
                raise InputError(f"{token!r} is not among the {len(self):,} tokens of {self.source}")


def parse_vectors(text: str, where: str = "the text") -> TokenEmbedding:
    """Reads a token and its numbers, between spaces, from each line; a header (tokens, dimensions) is left out.

    Raises:
      InputError: a line has another length than the first, holds what is no finite number, or repeats a token; the
        message has the line's number. Or a header tells another length or number of words, or there is no vector.
    """
    lines = list(enumerate((line.rstrip().split(" ") for line in lines_of(text)), 1))
    dimensions = told = None
    if lines and len(lines[0][1]) == 2 and all(part.isdecimal() for part in lines[0][1]):
        told, dimensions = map(int, lines[0][1])
        lines = lines[1:]
    first_at: dict[str, int] = {}
    rows = []
    for number, (token, *numbers) in lines:
        if token == "" and not numbers:
            continue
        dimensions = len(numbers) if dimensions is None else dimensions
        if token == "" or not numbers:
            raise InputError(
                f"{where}, line {number}: {' '.join([token, *numbers])[:40]!r}; a word and numbers are right"
            )
        if len(numbers) != dimensions:
            raise InputError(
                f"{where}, line {number}: {len(numbers)} numbers for {token[:40]!r} where {dimensions} are right"
            )
        if first_at.setdefault(token, number) != number:
            raise InputError(f"{where}, line {number}: {token[:40]!r} is there already, on line {first_at[token]}")
        rows.append(_numbers(numbers, f"{where}, line {number}"))
    if not rows:
        raise InputError(f"{where} holds no vectors; lines of a word and its numbers are right")
    if told is not None and told != len(rows):
        raise InputError(f"{where}: its header tells {told} words, and {len(rows)} are there; fetch it again")
    return TokenEmbedding(list(first_at), np.stack(rows), where)


def read_vectors(path: Path | str) -> TokenEmbedding:
    """Reads the vectors in a text file, in a zip or tar archive, or in a folder that holds `vec.txt`.

    Raises:
      InputError: as `parse_vectors`, or there is no such file, an archive climbs, or bytes are not in UTF-8.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; a file of word vectors is needed")
    if path.is_file() and not is_archive(path):
        return parse_vectors(decoded(path.read_bytes(), str(path)), str(path))
    files = contents(path, lambda name: GLOVE.fullmatch(name) is not None)
    if not files:
        raise InputError(f"{path} holds no {FILE}")
    name, content = files[0]
    return parse_vectors(decoded(content, f"{name} in {path}"), f"{name} in {path}")


def find_vectors(source: Path | str | None = None) -> TokenEmbedding | None:
    """Returns the vectors of the first place of `d2l_jax.data.load` that has any, the smallest file first; else None.

    Raises:
      InputError: as `read_vectors`, or a folder that is named does not exist.
    """
    for place in places(source):
        for path in _spots(place.folder):
            return read_vectors(path)
    return None


def _numbers(numbers: list[str], where: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            row = np.array(numbers, np.float32)
    except ValueError as error:
        raise InputError(f"{where}: {error}; numbers are right") from error
    if not np.isfinite(row).all():
        raise InputError(f"{where}: {numbers[int(np.isfinite(row).argmin())]}; numbers that float32 holds are right")
    return row


def _spots(folder: Path) -> Iterator[Path]:
    """Lists files and archives of vectors in a folder, in its `glove` folder and in folders of that name."""
    near = [folder, *(path for path in sorted(folder.glob("glove*")) if path.is_dir())]
    inside = [path for place in near for path in (*place.glob(FILE), *place.glob("glove*"))]
    yield from sorted(
        (path for path in inside if path.is_file() and (path.suffix == ".txt" or is_archive(path))),
        key=lambda path: path.stat().st_size,
    )
