"""A byte-level tokenizer: texts as numbers of merged bytes, and back (book, second edition, chapter 9)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from d2l_jax.data.text.byte_pairs import Pair, Token, learn_merges
from d2l_jax.data.text.pieces import pieces
from d2l_jax.errors import InputError

SPECIALS = ("<pad>", "<bos>", "<eos>")
BYTES = 256


@dataclass(frozen=True)
class ByteTokenizer:
    """A byte-level tokenizer, of GPT-2's kind.

    vocab:        {token: number}; every byte is a token
    merges:       pairs of tokens, the ones to be merged first come first
    specials:     {name: number}
    pattern:      whether merges stay within the pieces of GPT-2's pattern
    prefix_space: whether a text gets a space before it
    whole_pieces: whether a piece that is a token is taken whole, whatever the merges make of it
    """

    vocab: Mapping[Token, int]
    merges: tuple[Pair, ...]
    specials: Mapping[str, int] = field(default_factory=dict)
    pattern: bool = True
    prefix_space: bool = False
    whole_pieces: bool = False

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int = 1024,
        specials: Sequence[str] = SPECIALS,
        pattern: bool = True,
    ) -> "ByteTokenizer":
        """Learns from texts: 256 bytes, then merges up to `vocab_size`, and the specials from `vocab_size` on.

        Raises:
          InputError: the vocabulary is smaller than the bytes.
        """
        if vocab_size < BYTES:
            raise InputError(f"a vocabulary of {vocab_size} has no room for all bytes; give {BYTES} or more")
        texts = [texts] if isinstance(texts, str) else list(texts)
        merges = learn_merges(texts, vocab_size - BYTES, pieces if pattern else lambda text: [text])
        vocab = {bytes([byte]): byte for byte in range(BYTES)}
        for left, right in merges:
            vocab.setdefault(left + right, len(vocab))
        numbers = {name: vocab_size + place for place, name in enumerate(specials)}
        return cls(vocab, tuple(merges), numbers, pattern)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Returns the numbers of the tokens of a text.

        allow_special: names of specials become their numbers; else they are text as any other
        """
        if not (allow_special and self.specials):
            return self._of_text(text)
        names = sorted(self.specials, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, names))})", text)
        return [
            number
            for part in parts
            for number in ([self.specials[part]] if part in self.specials else self._of_text(part))
        ]

    def decode(self, numbers: Iterable[int]) -> str:
        """Returns the text of tokens; bytes that are not UTF-8 become U+FFFD.

        Raises:
          InputError: no token has the number.
        """
        tokens = []
        for number in numbers:
            if number not in self._tokens:
                raise InputError(f"no token has the number {number}; one of {len(self)} is right")
            tokens.append(self._tokens[number])
        return b"".join(tokens).decode(errors="replace")

    def __len__(self) -> int:
        """Counts the numbers, up to the largest."""
        return max(self._tokens) + 1

    @cached_property
    def _tokens(self) -> dict[int, bytes]:
        named = {number: name.encode() for name, number in self.specials.items()}
        return {number: token for token, number in self.vocab.items()} | named

    @cached_property
    def _ranks(self) -> dict[Pair, int]:
        return {pair: rank for rank, pair in reversed(list(enumerate(self.merges)))}

    def _of_text(self, text: str) -> list[int]:
        if not text:
            return []
        if self.prefix_space and not text.startswith(" "):
            text = f" {text}"
        numbers: list[int] = []
        known: dict[str, list[int]] = {}
        for piece in pieces(text) if self.pattern else [text]:
            if piece not in known:
                known[piece] = self._of_piece(piece)
            numbers += known[piece]
        return numbers

    def _of_piece(self, piece: str) -> list[int]:
        try:
            content = piece.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{piece!r} is no text that UTF-8 holds ({error.reason})") from error
        if self.whole_pieces and content in self.vocab:
            return [self.vocab[content]]
        parts = [bytes([byte]) for byte in content]
        while len(parts) > 1:
            never = len(self._ranks)
            ranks = [self._ranks.get(pair, never) for pair in zip(parts, parts[1:])]
            least = min(ranks)
            if least == never:
                break
            place = ranks.index(least)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        return [self.vocab[part] for part in parts]
