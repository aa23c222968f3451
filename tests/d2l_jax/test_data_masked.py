"""Section 15.9: pairs of sentences, masked words, and the texts that they are from."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401

from d2l_jax.data.text.masked import CLS, MASK, PAD, RESERVED, SEP, masked, sentence_pairs, tokens_and_segments
from d2l_jax.data.text.pretraining import pretraining_data, read_wikitext, topic_pairs, wiki_paragraphs
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

FACTS = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())
WORDS = [f"w{i}" for i in range(40)]
PARAGRAPHS = [[WORDS[i : i + 1 + (i + j) % 9] for j in range(4)] for i in range(30)]
VOCAB = Vocab(PARAGRAPHS, reserved_tokens=RESERVED)


def pairs(max_len: int = 16, seed: int = 0):
    return sentence_pairs(PARAGRAPHS, VOCAB, max_len, random=np.random.default_rng(seed))


def test_tokens_and_segments():
    expected = FACTS["get_tokens_and_segments"]
    assert list(tokens_and_segments(["a", "b"], ["c"])) == expected
    assert tokens_and_segments([]) == ([CLS, SEP], [0, 0])


def test_pairs_are_framed_padded_and_no_longer_than_allowed():
    made = pairs()
    for tokens, segments, length in zip(made.tokens, made.segments, made.lengths):
        words = VOCAB.to_tokens(tokens[:length])
        first = words.index(SEP)
        assert words[0] == CLS and words[-1] == SEP and words.count(SEP) == 2
        assert segments[: first + 1].sum() == 0 and segments[first + 1 : length].all()
        assert (tokens[length:] == VOCAB[PAD]).all() and not segments[length:].any()
    assert made.lengths.max() == 16 and len(made.lengths) < 90
    assert {array.dtype for array in made} == {np.dtype(np.int32)}


def test_the_next_sentence_follows_where_the_label_says_so():
    following = {(" ".join(a), " ".join(b)) for paragraph in PARAGRAPHS for a, b in zip(paragraph, paragraph[1:])}
    made = pairs()
    right = 0
    for tokens, length, is_next in zip(made.tokens, made.lengths, made.is_next):
        words = VOCAB.to_tokens(tokens[1 : length - 1])
        split = words.index(SEP)
        pair = (" ".join(words[:split]), " ".join(words[split + 1 :]))
        assert not is_next or pair in following
        right += pair in following
    assert 0.3 < made.is_next.mean() < 0.7 and right < len(made.tokens)


def test_masked_words_follow_the_rules():
    made = pairs()
    (tokens, segments, lengths, positions), (labels, weights, is_next) = masked(
        made, VOCAB, random=np.random.default_rng(1)
    )
    assert positions.shape == labels.shape == weights.shape == (len(tokens), round(0.15 * 16))
    assert segments is made.segments and lengths is made.lengths and is_next is made.is_next
    assert (weights.sum(1) == [max(1, round(0.15 * length)) for length in lengths.tolist()]).all()
    true = weights > 0
    assert not positions[~true].any() and not labels[~true].any()
    original = np.take_along_axis(made.tokens, positions, 1)
    assert (labels[true] == original[true]).all()
    assert not np.isin(labels[true], [VOCAB[CLS], VOCAB[SEP], VOCAB[PAD]]).any()
    changed = tokens != made.tokens
    rows, places = np.nonzero(true)
    changed[rows, positions[rows, places]] = False
    assert not changed.any()


def test_eight_of_ten_masked_words_become_the_mask_and_one_stays():
    made = pairs()
    shown = []
    for seed in range(30):
        (tokens, _, _, positions), (labels, weights, _) = masked(made, VOCAB, random=np.random.default_rng(seed))
        true = weights > 0
        at = np.take_along_axis(tokens, positions, 1)[true]
        shown.append([(at == VOCAB[MASK]).mean(), (at == labels[true]).mean()])
    mask, same = np.mean(shown, 0)
    assert mask == pytest.approx(0.8, abs=0.02) and same == pytest.approx(0.1, abs=0.02)


def test_one_seed_gives_the_same_and_dynamic_masks_differ_from_epoch_to_epoch():
    data, again = (pretraining_data(PARAGRAPHS, PARAGRAPHS[:9], 16, 1, dynamic=True) for _ in range(2))
    for first, second in zip((*data.train[0], *data.train[1]), (*again.train[0], *again.train[1])):
        np.testing.assert_array_equal(first, second)
    one, two, once_more = (data.of_epoch(epoch)[0] for epoch in (1, 2, 1))
    assert (one[3] != two[3]).any() and (one[2] == two[2]).all()
    np.testing.assert_array_equal(one[0], once_more[0])
    static = pretraining_data(PARAGRAPHS, PARAGRAPHS[:9], 16, 1)
    assert static.of_epoch(1) is static.of_epoch(2)


def test_the_embedded_text():
    data = topic_pairs()
    assert data.train[0][0].shape[1] == 64 and data.train[1][0].shape[1] == 10
    assert data.examples > 1000 and data.held_out > 100 and len(data.vocabs[0]) > 1000


# WikiText-2
def test_paragraphs_are_read_as_the_book_does():
    text = " = Title = \n One Two . Three . \n\n A . B . C d . \n only one . \n"
    assert wiki_paragraphs(text) == [
        [["one", "two"], ["three", "."]],
        [["a"], ["b"], ["c", "d", "."]],
        [["only", "one", "."]],
    ]


@needs_real("wikitext-2")
@pytest.mark.parametrize(("split", "count"), [("valid", 1673), ("test", 1847)])
def test_the_real_file_has_so_many_paragraphs(split: str, count: int):
    assert len(wiki_paragraphs((REAL / "wikitext-2" / f"wiki.{split}.tokens").read_text("utf-8"))) == count


TEXT = "".join(f" The {word} is here . And so is the {word} . \n" for word in WORDS)


@pytest.mark.parametrize("layout", ["folder", "folder/wikitext-2", "zip", "tar.gz"])
@pytest.mark.parametrize("splits", [("train", "valid", "test"), ("valid", "test")])
def test_wikitext_in_a_folder_or_an_archive(tmp_path: Path, layout: str, splits: tuple[str, ...]):
    names = [f"wiki.{split}.tokens" for split in splits]
    if layout == "zip":
        with zipfile.ZipFile(tmp_path / "wikitext-2-v1.zip", "w") as archive:
            for name in names:
                archive.writestr(f"wikitext-2/{name}", TEXT)
        folder = tmp_path
    else:
        folder = tmp_path / layout
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(TEXT)
        folder = tmp_path / "folder"
    if layout == "tar.gz":
        shutil.make_archive(str(tmp_path / "archive" / "wikitext-2"), "gztar", tmp_path / layout)
        folder = tmp_path / "archive"
    data = read_wikitext(folder)
    assert data is not None and data.kind == "masked" and data.examples == len(WORDS)
    assert ("in the place of wiki.train.tokens" in data.source) == ("train" not in splits)
    assert {"the", "here", *RESERVED} <= set(data.vocabs[0]) and "w3" not in data.vocabs[0]


def test_wikitext_is_missed_or_refused(tmp_path: Path):
    assert read_wikitext(tmp_path) is None
    (tmp_path / "wiki.test.tokens").write_text(TEXT)
    with pytest.raises(InputError, match="holds too little; wiki.train.tokens and wiki.test.tokens are needed"):
        read_wikitext(tmp_path)
    (tmp_path / "wiki.train.tokens").write_bytes(b"a . b \xff . \n")
    with pytest.raises(InputError, match="line 1: byte 0xff is not UTF-8"):
        read_wikitext(tmp_path)
    with zipfile.ZipFile(tmp_path / "wikitext-2-v1.zip", "w") as archive:
        archive.writestr("../wiki.train.tokens", TEXT)
    (tmp_path / "wiki.test.tokens").rename(tmp_path / "test")
    (tmp_path / "wiki.train.tokens").rename(tmp_path / "train")
    with pytest.raises(InputError, match="names a file outside of it"):
        read_wikitext(tmp_path)
    (tmp_path / "test").rename(tmp_path / "wiki.test.tokens")
    (tmp_path / "wiki.train.tokens").write_text("no sentence\n")
    with pytest.raises(InputError, match="holds no paragraph of two sentences"):
        read_wikitext(tmp_path)


@pytest.mark.parametrize("max_len", [4, 6])
def test_pairs_that_are_too_short_for_words_are_refused(max_len: int):
    long = [[WORDS[:5], WORDS[5:10]]]
    with pytest.raises(InputError, match="hold no words" if max_len < 5 else "no pair of sentences of up to 6 tokens"):
        pretraining_data(long, long, max_len, 1)
