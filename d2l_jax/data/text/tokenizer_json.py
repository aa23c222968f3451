"""Byte-level tokenizers in files of Hugging Face's `tokenizers`, `tokenizer.json`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from d2l_jax.data.text.byte_tokenizer import BYTES, ByteTokenizer
from d2l_jax.errors import InputError
from d2l_jax.write import write_json

RIGHT = "a BPE model with a ByteLevel pre_tokenizer and no normalizer is right"


def read_tokenizer(path: Path | str) -> ByteTokenizer:
    """Reads a `tokenizer.json` of byte pair encoding over bytes, as of GPT-2, RoBERTa or Llama 3's forebears.

    Raises:
      InputError: the file is missing or damaged, or of another kind, of which the first option that differs is named;
        or a name or a number is there twice.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
        _refuse_other(path, content)
        return _tokenizer(path, content)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON ({error})") from error
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); {RIGHT}") from error


def write_tokenizer(tokenizer: ByteTokenizer, path: Path | str) -> None:
    """Writes a `tokenizer.json` that `tokenizers` and `read_tokenizer` read; InputError where that fails."""
    added = [
        {
            "id": number,
            "content": name,
            **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
            "special": True,
        }
        for name, number in sorted(tokenizer.specials.items(), key=lambda item: item[1])
    ]
    by_bytes = {"type": "ByteLevel", "trim_offsets": True, "use_regex": tokenizer.pattern}
    model = {
        "type": "BPE",
        **dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")),
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": tokenizer.whole_pieces,
        # `tokenizers` gives a special that is not in the vocabulary the next free number, whatever its "id" says.
        "vocab": {_shown(token): number for token, number in tokenizer.vocab.items()} | dict(tokenizer.specials),
        "merges": [[_shown(left), _shown(right)] for left, right in tokenizer.merges],
    }
    content = {
        "version": "1.0",
        **dict.fromkeys(("truncation", "padding")),
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**by_bytes, "add_prefix_space": tokenizer.prefix_space},
        "post_processor": None,
        "decoder": {**by_bytes, "add_prefix_space": True},
        "model": model,
    }
    write_json(Path(path), content)


def _refuse_other(path: Path, content: Any) -> None:
    """Raises InputError for what would make other numbers of a text than `ByteTokenizer` makes."""
    model = content["model"]
    before = content.get("pre_tokenizer") or {}
    after = (content.get("post_processor") or {}).get("type")
    options = {
        "model.type": (model.get("type", "BPE"), "BPE"),
        "pre_tokenizer.type": (before.get("type"), "ByteLevel"),
        "normalizer": (content.get("normalizer"), None),
        "post_processor.type": (None if after == "ByteLevel" else after, None),
        **{
            f"model.{name}": (model.get(name) or None, None)
            for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
        },
    }
    for token in content.get("added_tokens") or []:
        for name in ("single_word", "lstrip", "rstrip"):
            options[f"{token['content']}.{name}"] = (token.get(name, False), False)
    for name, (there, right) in options.items():
        if there != right:
            raise InputError(f"{path} is a tokenizer of another kind: {name} is {json.dumps(there)}; {RIGHT}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes a dict of the names and values of an object of JSON; of a name that is there twice one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _tokenizer(path: Path, content: dict[str, Any]) -> ByteTokenizer:
    model = content["model"]
    added = [(token["content"], token["id"]) for token in content.get("added_tokens") or []]
    numbered = _numbered(added, model["vocab"])
    specials = dict(added)
    vocab = {_content(name): number for name, number in numbered.items() if name not in specials}
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    merges = tuple((_content(left), _content(right)) for left, right in pairs)
    if missing := [byte for byte in range(BYTES) if bytes([byte]) not in vocab]:
        raise InputError(f"{path} has no token for the byte {missing[0]}; a vocabulary with all 256 is right")
    for left, right in merges:
        if not left or not right or left + right not in vocab:
            raise InputError(f"{path} merges {_shown(left)!r} and {_shown(right)!r} into no token of its vocabulary")
    before = content["pre_tokenizer"]
    switches = before.get("use_regex", True), before.get("add_prefix_space", True), model.get("ignore_merges", False)
    if any(type(switch) is not bool for switch in switches):
        raise TypeError(f"use_regex, add_prefix_space and ignore_merges are {switches}, not true or false")
    pattern, prefix_space, whole_pieces = switches
    return ByteTokenizer(vocab, merges, specials, pattern=pattern, prefix_space=prefix_space, whole_pieces=whole_pieces)


def _numbered(specials: list[tuple[str, Any]], vocab: dict[str, Any]) -> dict[str, int]:
    """Returns the number of each token; a special may stand in the vocabulary, too, with its own number."""
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    for name, number in [*specials, *vocab.items()]:
        if type(number) is not int or number < 0 or not name:
            raise ValueError(f"token {name!r} has the number {number!r}, where a name and a whole number are right")
        if numbers.setdefault(name, number) != number:
            raise ValueError(f"token {name!r} has the numbers {numbers[name]} and {number}")
        if names.setdefault(number, name) != name:
            raise ValueError(f"tokens {names[number]!r} and {name!r} both have the number {number}")
    return numbers


@cache
def _letters() -> dict[int, str]:
    """Returns the visible character that stands for each byte in these files: itself, or one from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


@cache
def _bytes() -> dict[str, int]:
    return {letter: byte for byte, letter in _letters().items()}


def _shown(token: bytes) -> str:
    return "".join(_letters()[byte] for byte in token)


def _content(name: str) -> bytes:
    return bytes(_bytes()[letter] for letter in name)
