"""Words with their contexts: counts of the book, subsampling, windows, noise words, batches; and what is refused."""

import os
import shutil
import zipfile
from codecs import BOM_UTF8
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import load
from d2l_jax.data.find.words import help_words
from d2l_jax.data.text.contexts import (
    Corpus,
    batchify,
    centers_and_contexts,
    draw_negatives,
    noise_weights,
    subsample,
)
from d2l_jax.data.text.ptb import Texts, read_ptb
from d2l_jax.data.text.word_forms import bags, cooccurrences, huffman, pairs, trees
from d2l_jax.data.text.word_sets import number, skip_grams
from d2l_jax.errors import InputError

PTB = Path(os.environ.get("D2L_DATA", "")) / "ptb"
TOY = Corpus(np.arange(10, dtype=np.int32), np.array([0] * 7 + [1] * 3, np.int32))
FEW = "the cat sat on the mat\nthe dog sat\n\nthe cat\n" * 12
# Many words that are alike frequent: of few, subsampling leaves nothing.
LINES = "\n".join(" ".join(f"word{(5 * line + i) % 200}" for i in range(8)) for line in range(480))


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def toy_texts(text: str = LINES) -> Texts:
    sentences = [line.split() for line in text.split("\n")]
    return Texts(sentences, sentences, "a toy")


@pytest.mark.skipif(not PTB.is_dir(), reason="D2L_DATA holds no Penn Treebank")
def test_the_counts_of_the_book():
    texts = read_ptb(PTB)
    assert texts and len(texts.train) == 42_069
    numbered = number(texts)
    the, join = numbered.vocab["the"], numbered.vocab["join"]
    assert len(numbered.vocab) == 6719 and len(number(texts, second_edition=True).vocab) == 6720
    assert (numbered.counts[the], numbered.counts[join]) == (50_770, 45)
    stays = subsample(numbered.train, numbered.counts, random())
    assert 1900 < (stays.words == the).sum() < 2120 and (stays.words == join).sum() == 45
    found = centers_and_contexts(stays, 5, random())
    assert 1_490_000 < found.lengths.sum() < 1_510_000
    assert huffman(numbered.counts).nodes.shape == (6719, 17)


def test_windows_stay_within_their_sentences():
    found = centers_and_contexts(TOY, 2, random())
    assert found.centers.tolist() == list(range(10)) and found.contexts.shape == (10, 4)
    for center, row, length in zip(found.centers, found.contexts, found.lengths):
        contexts = row[:length].tolist()
        first, last = (0, 6) if center < 7 else (7, 9)
        reach = max(abs(context - center) for context in contexts)
        window = [word for word in range(center - reach, center + reach + 1) if word != center]
        assert contexts == [word for word in window if first <= word <= last] and 1 <= reach <= 2
        assert not row[length:].any()
    lonely = Corpus(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32))
    with pytest.raises(InputError, match="no sentence of two"):
        centers_and_contexts(lonely, 2, random())
    with pytest.raises(InputError, match="no sentence of two"):
        centers_and_contexts(Corpus(np.zeros(0, np.int32), np.zeros(0, np.int32)), 2, random())
    with pytest.raises(InputError, match="no context"):
        centers_and_contexts(TOY, 0, random())


def test_noise_words_follow_their_weights_and_are_no_contexts():
    weights = noise_weights(np.array([9.0, 16, 1, 0]))
    np.testing.assert_allclose(weights, [0, 8 / 9, 1 / 9, 0])
    np.testing.assert_allclose(noise_weights(np.array([16.0, 1]), first=0), [8 / 9, 1 / 9])
    contexts = np.full((4000, 2), 1)
    counts = np.array([5, 0] * 2000)
    none = draw_negatives(contexts, np.zeros(4000, int), counts, weights, random())
    assert none.shape == (4000, 5) and not none[1::2].any() and abs((none[::2] == 1).mean() - 8 / 9) < 0.01
    assert (draw_negatives(contexts, np.full(4000, 2), counts, weights, random())[::2] == 2).all()
    with pytest.raises(InputError, match="hold every noise word"):
        draw_negatives(np.array([[1, 2]]), np.array([2]), np.array([1]), weights, random())
    with pytest.raises(InputError, match="no noise words"):
        noise_weights(np.array([5.0]))
    assert draw_negatives(np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0, int), weights, random()).shape == (0, 0)


def test_the_book_s_batch():
    batch = batchify(
        np.array([[2, 2, 0], [2, 2, 2]]), np.array([2, 3]), np.array([[3, 3, 3, 3], [3, 3, 0, 0]]), np.array([4, 2])
    )
    assert batch.contexts_negatives.tolist() == [[2, 2, 3, 3, 3, 3], [2, 2, 2, 3, 3, 0]]
    assert batch.masks.tolist() == [[1] * 6, [1, 1, 1, 1, 1, 0]]
    assert batch.labels.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


def test_a_seed_gives_the_same_examples():
    data, again, other = (help_words(seed) for seed in (0, 0, 1))
    assert data.kind == "words" and data.held_out > 100
    for a, b in zip((*data.train[0], *data.train[1]), (*again.train[0], *again.train[1])):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(data.train[0][0], other.train[0][0])
    (_, rows), (labels, masks) = data.train
    assert (masks.sum(1) == 6 * labels.sum(1)).all() and not rows[masks == 0].any()
    assert not (rows[masks == 1] == data.vocabs[0].unk).any()


def test_the_second_edition_s_order():
    text = FEW.replace("dog", "<unk>")
    first = number(toy_texts(text)).vocab
    second = number(toy_texts(text), second_edition=True).vocab
    assert list(first) == sorted(first) == ["<unk>", "cat", "mat", "on", "sat", "the"]
    assert list(second)[:3] == ["<unk>", "the", "cat"] and second.unk == list(second).index("<unk>", 1)
    assert len(second) == len(first) + 1


def test_bags_trees_and_pairs():
    bag = bags(toy_texts(), "toy")
    (contexts, lengths, candidates), (labels, masks) = bag.train
    assert contexts.shape[1] == 10 and lengths.min() >= 1 and candidates.shape[1] == 6
    assert labels.sum(1).tolist() == [1] * len(labels) and masks.all()
    assert (candidates[:, 1:] != candidates[:, :1]).all()
    (centers, nodes), (left, masks) = trees(toy_texts(), "toy").train
    words = len(bag.vocabs[0])
    assert centers.shape == (len(nodes), 1) and (nodes[:, 0] == words - 2).all() and (left <= masks).all()
    (i, j), counts = pairs(toy_texts(), "toy").train
    assert len(set(zip(i.tolist(), j.tolist()))) == len(i) and counts.min() >= 1
    (i, j), counts = cooccurrences(Corpus(np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1])), 2, window=2)
    assert (i.tolist(), j.tolist(), counts.tolist()) == ([0, 0, 1], [0, 1, 0], [2, 2, 2])


def test_the_shortest_paths():
    counts = np.array([5.0, 1, 1, 2])
    paths = huffman(counts)
    lengths = paths.masks.sum(1)
    assert lengths.tolist() == [1, 3, 3, 2] and (paths.nodes[:, 0] == 2).all()
    assert (
        len({(*row[:n].tolist(), *turns[:n].tolist()) for row, turns, n in zip(paths.nodes, paths.left, lengths)}) == 4
    )
    assert sum(2.0**-n for n in lengths) == 1
    assert huffman(np.array([3.0, 1])).left.tolist() == [[0], [1]]


def write_zip(folder: Path, **texts: bytes) -> Path:
    with zipfile.ZipFile(folder / "ptb.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return folder


def test_folders_and_archives(tmp_path: Path):
    text = LINES.encode()
    (tmp_path / "ptb").mkdir()
    for part in ("train", "valid"):
        (tmp_path / "ptb" / f"ptb.{part}.txt").write_bytes(text)
    folder = load("ptb", source=tmp_path)
    zipped = load(
        "ptb", source=write_zip(tmp_path / "ptb", ptb__ptb_train_txt=BOM_UTF8 + text, ptb__ptb_valid_txt=text)
    )
    (tmp_path / "ptb" / "ptb.zip").unlink()
    (tmp_path / "tar").mkdir()
    shutil.make_archive(str(tmp_path / "tar" / "ptb"), "gztar", tmp_path / "ptb")
    for data in (zipped, load("ptb", source=tmp_path / "tar")):
        np.testing.assert_array_equal(folder.train[0][1], data.train[0][1])
    assert load(source=tmp_path, kind="words").name == "ptb"
    assert load("ptb_tree", source=tmp_path).train[0][1].shape[1] > 1


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"ptb_train_txt": b"\xff\xfe a"}, "ptb.train.txt, line 1: byte 0xff is not UTF-8"),
        ({"ptb_train_txt": b" \n\n"}, "holds no sentence"),
        ({"ptb_train_txt": b"a b c"}, "no word occurs 10 times"),
        ({"ptb_train_txt": b"a\n" * 20 + b"b\n" * 20}, "no sentence of two"),
        ({"ptb_valid_txt": None}, "lacks ptb.valid.txt"),
        ({"/etc/x": b""}, "names a file outside of it, '/etc/x'"),
        ({"a__.__b": b"", "../b": b""}, "names a file outside of it, '../b'"),
    ],
)
def test_bad_archives_are_refused_and_nothing_is_written(texts: dict, message: str, tmp_path: Path):
    whole = {"ptb_train_txt": LINES.encode(), "ptb_valid_txt": LINES.encode()} | texts
    with zipfile.ZipFile(tmp_path / "ptb.zip", "w") as archive:
        for name, text in whole.items():
            if text is not None:
                archive.writestr(name.replace("_", "."), text)
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(InputError, match=message):
        load("ptb", source=tmp_path)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_what_is_no_treebank(tmp_path: Path):
    with pytest.raises(InputError, match="holds no Penn Treebank; ptb.zip"):
        load("ptb", source=tmp_path)
    (tmp_path / "ptb.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match="no sound archive"):
        load("ptb", source=tmp_path)
    assert skip_grams(toy_texts(), "toy").source == "a toy"
