"""Texts for BERT's pretraining: WikiText-2 where it lies on this machine, and the embedded one (section 15.9)."""

import platform
import re
from functools import partial
from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.files import decoded
from d2l_jax.data.text.archives import archives_in, contents, lines_of
from d2l_jax.data.text.masked import RESERVED, Paragraphs, SentencePairs, masked, sentence_pairs
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

WIKITEXT = ("wikitext2", "wikitext2_dynamic")  # the second with other masks in each epoch
FOLDER = "wikitext-2"
ARCHIVE = "wikitext-2-v1.zip"
FILES = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")
MIN_FREQ = 5
HELD_OUT = 10  # every tenth paragraph, of a text that comes in one piece


def wiki_paragraphs(text: str) -> list[list[list[str]]]:
    """Reads the paragraphs of at least two sentences, which " . " parts; each is a list of sentences in lower case."""
    lines = [line for line in lines_of(text) if " . " in line]
    return [[sentence.split() for sentence in line.strip().lower().split(" . ")] for line in lines]


def pretraining_data(
    train: Paragraphs,
    test: Paragraphs,
    max_len: int = 64,
    min_freq: int = MIN_FREQ,
    *,
    dynamic: bool = False,
    seed: int = 0,
    name: str = "pairs",
    source: str = "the given paragraphs",
) -> Dataset:
    """Makes masked pairs of sentences from paragraphs, and a vocabulary of the tokens to train on.

    Args:
      train: paragraphs to train on; their order is shuffled.
      test: paragraphs to test on.
      max_len: tokens of a pair, its marks included; longer ones are left out, shorter ones padded.
      min_freq: rarer tokens become `<unk>`.
      dynamic: other words are masked in each epoch; else the same, as in the book.
      seed: of the pairs and masks.
      name: name of the result.
      source: where the text is from, for the log.

    Returns:
      X and y of `masked`, and one vocabulary, in which `<pad>`, `<mask>`, `<cls>` and `<sep>` are reserved.

    Raises:
      InputError: as `sentence_pairs`, or `max_len` is below 5.
    """
    if max_len < 5:
        raise InputError(f"pairs of {max_len} tokens hold no words; 5 or more are right")
    random = np.random.default_rng(seed)
    vocab = Vocab((sentence for paragraph in train for sentence in paragraph), min_freq, RESERVED)
    shuffled = [train[i] for i in random.permutation(len(train))]
    pairs = sentence_pairs(shuffled, vocab, max_len, random=random)
    first = masked(pairs, vocab, random=random)
    held_out = masked(sentence_pairs(test, vocab, max_len, random=random), vocab, random=random)
    redraw = partial(_of_epoch, pairs, vocab, seed) if dynamic else None
    return Dataset(name, first, held_out, source, vocabs=(vocab,), form="masked", redraw=redraw)


def read_wikitext(folder: Path, name: str = "wikitext2") -> Dataset | None:
    """Reads one of `WIKITEXT` from a folder or its `wikitext-2`: from files or an archive; None where neither is there.

    The book trains on `wiki.train.tokens`. Where that file is missing, `wiki.valid.tokens` takes its place, and the
    source says so.

    Raises:
      InputError: a file is damaged, or holds no paragraph of two sentences.
    """
    place = _place(folder)
    if place is None:
        return None
    texts = {Path(file).name: decoded(content, f"{file} in {place}") for file, content in contents(place, _is_split)}
    training = "wiki.train.tokens" if "wiki.train.tokens" in texts else "wiki.valid.tokens"
    if training not in texts or "wiki.test.tokens" not in texts:
        raise InputError(f"{place} holds too little; wiki.train.tokens and wiki.test.tokens are needed")
    note = "" if training == "wiki.train.tokens" else ", in the place of wiki.train.tokens"
    source = f"{training} in {place}{note}"
    train, test = (_paragraphs(texts[file], f"{file} in {place}") for file in (training, "wiki.test.tokens"))
    return pretraining_data(train, test, dynamic=name.endswith("dynamic"), name=name, source=source)


def no_wikitext(folder: Path) -> InputError:
    """The error for a folder in which `read_wikitext` finds nothing."""
    return InputError(f"{folder} holds no WikiText-2; wiki.train.tokens or {ARCHIVE} is needed")


def fetch_wikitext() -> Path:
    """Raises InputError: its archive is fetched by hand."""
    raise InputError(f"wikitext2 is not fetched by this program; fetch {ARCHIVE} by hand, and name its folder")


def topic_pairs(max_len: int = 64, dynamic: bool = False, seed: int = 0) -> Dataset:
    """The embedded pairs of sentences: Python's help topics, of whose paragraphs every tenth is held out.

    The text is not the same in every version of Python; `source` names the version. Shapes and errors are those of
    `pretraining_data`.
    """
    from pydoc_data.topics import topics

    blocks = (block for text in topics.values() for block in re.split(r"\n\s*\n", text))
    sentences = ([re.findall("[a-z]+", each) for each in re.split(r"[.:;]\s", block.lower())] for block in blocks)
    paragraphs = [full for each in sentences if len(full := [words for words in each if words]) > 1]
    train = [paragraph for i, paragraph in enumerate(paragraphs) if i % HELD_OUT]
    source = f"embedded default (help topics of Python {platform.python_version()})"
    name = "topic_pairs_dynamic" if dynamic else "topic_pairs"
    return pretraining_data(
        train, paragraphs[::HELD_OUT], max_len, dynamic=dynamic, seed=seed, name=name, source=source
    )


def _of_epoch(pairs: SentencePairs, vocab: Vocab, seed: int, epoch: int) -> Split:
    return masked(pairs, vocab, random=np.random.default_rng([seed, epoch]))


def _is_split(name: str) -> bool:
    return Path(name).name in FILES and "__MACOSX" not in name


def _place(folder: Path) -> Path | None:
    for place in (folder, folder / FOLDER):
        if any((place / name).is_file() for name in FILES):
            return place
        for path in archives_in(place, FOLDER):
            return path
    return None


def _paragraphs(text: str, where: str) -> Paragraphs:
    paragraphs = wiki_paragraphs(text)
    if not paragraphs:
        raise InputError(f'{where} holds no paragraph of two sentences, which " . " parts')
    return paragraphs
