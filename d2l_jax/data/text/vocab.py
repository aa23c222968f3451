"""Tokens and their numbers (section 9.2 of the book)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from d2l_jax.errors import InputError

UNKNOWN = "<unk>"


@dataclass(frozen=True, init=False, repr=False)
class Vocab:
    """The tokens that occur often enough, `<unk>` and the reserved ones, in lexicographical order.

    Two vocabularies are equal if they give the same tokens the same indices.

    Attributes:
      idx_to_token: the tokens, in the order of their indices.
      token_freqs: (token, count), frequent ones first; those below `min_freq` too.
    """

    idx_to_token: tuple[str, ...]
    token_freqs: tuple[tuple[str, int], ...] = field(compare=False)
    _index: dict[str, int] = field(compare=False)

    def __init__(self, tokens: Iterable[Any] = (), min_freq: int = 0, reserved_tokens: Iterable[str] = ()):
        """Counts `tokens`, a list of them or lists in lists; InputError if `min_freq` is negative."""
        if min_freq < 0:
            raise InputError(f"min_freq {min_freq} is negative; give 0 or more")
        counts = Counter(_flat(tokens))
        frequent = {token for token, count in counts.items() if count >= min_freq}
        known = tuple(sorted({*frequent, UNKNOWN, *reserved_tokens}))
        object.__setattr__(self, "idx_to_token", known)
        object.__setattr__(self, "token_freqs", tuple(counts.most_common()))
        object.__setattr__(self, "_index", {token: i for i, token in enumerate(known)})

    @classmethod
    def in_order(cls, tokens: Sequence[str]) -> "Vocab":
        """Returns the vocabulary whose tokens have the numbers of their places; the last, where one is there twice.

        Raises:
          InputError: there is no `<unk>`, or a token is no text.
        """
        if not all(isinstance(token, str) for token in tokens) or UNKNOWN not in tokens:
            raise InputError(f"a vocabulary is a list of texts, with {UNKNOWN} among them")
        vocab = cls()
        object.__setattr__(vocab, "idx_to_token", tuple(tokens))
        object.__setattr__(vocab, "_index", {token: i for i, token in enumerate(tokens)})
        return vocab

    @property
    def unk(self) -> int:
        """The index of `<unk>`, which every unknown token has."""
        return self._index[UNKNOWN]

    @overload
    def __getitem__(self, tokens: str) -> int: ...
    @overload
    def __getitem__(self, tokens: list[Any] | tuple[Any, ...]) -> list[Any]: ...
    def __getitem__(self, tokens: str | list[Any] | tuple[Any, ...]) -> int | list[Any]:
        """The index of a token, or the indices of a list of tokens, however nested; `unk` for unknown tokens."""
        if isinstance(tokens, str):
            return self._index.get(tokens, self.unk)
        if isinstance(tokens, (list, tuple)):
            return [self[token] for token in tokens]
        raise InputError(f"a vocabulary is indexed by a token or a list of tokens, not by {tokens!r}")

    def lookup(self, tokens: Sequence[str]) -> list[int]:
        """The indices of `tokens`, which are a list or a string of characters.

        Raises:
          InputError: a token is not in the vocabulary.
        """
        for token in tokens:
            if token not in self:
                raise InputError(f"the vocabulary of {len(self)} tokens lacks {token!r}; vocab[...] takes <unk> for it")
        return [self._index[token] for token in tokens]

    @overload
    def to_tokens(self, indices: int) -> str: ...
    @overload
    def to_tokens(self, indices: Any) -> Any: ...
    def to_tokens(self, indices: Any) -> Any:
        """The token of an index, or the tokens of a list or array of indices; InputError outside 0 .. len - 1."""
        if hasattr(indices, "tolist"):
            indices = indices.tolist()
        if isinstance(indices, (list, tuple)):
            return [self.to_tokens(index) for index in indices]
        if not 0 <= indices < len(self):
            raise InputError(f"no token has the index {indices}; give one from 0 to {len(self) - 1}")
        return self.idx_to_token[indices]

    def __len__(self) -> int:
        return len(self.idx_to_token)

    def __iter__(self) -> Iterator[str]:
        return iter(self.idx_to_token)

    def __contains__(self, token: object) -> bool:
        return token in self._index

    def __repr__(self) -> str:
        return f"Vocab({len(self)} tokens)"


def ngram_frequencies(tokens: Sequence[str], n: int) -> list[tuple[tuple[str, ...], int]]:
    """Pairs of an n-gram and its count in `tokens`, frequent ones first (section 9.2.4 of the book).

    Raises:
      InputError: n is below 1.
    """
    if n < 1:
        raise InputError(f"there are no {n}-grams; give 1 for unigrams, 2 for bigrams, 3 for trigrams")
    return Counter(zip(*(tokens[i:] for i in range(n)))).most_common()


def _flat(tokens: Iterable[Any]) -> Iterator[str]:
    for token in tokens:
        if isinstance(token, str):
            yield token
        else:
            yield from _flat(token)
