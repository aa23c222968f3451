"""Film reviews and pairs of sentences: reading, cutting, padding, and what is refused."""

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import Pair, Review, inference_data, load, parse_snli, review_data, review_tokens, sentence_words
from d2l_jax.data.text.reviews import read_imdb
from d2l_jax.data.text.snli import read_snli
from d2l_jax.errors import InputError

REVIEWS = {
    "train/pos/1_9.txt": "A great film\nindeed so Great",
    "train/neg/0_2.txt": "a bad film",
    "train/unsup/5_0.txt": "not read",
    "test/pos/0_10.txt": "great",
    "test/neg/3_1.txt": "bad bad film indeed",
}
SNLI_TEXT = (
    "gold_label\tsentence1\tsentence2\nneutral\t( A ( man sleeps ) )\t( A dog )\n-\tx\ty\nentailment\ta b\ta\textra\n"
)


def imdb_folder(folder: Path) -> Path:
    for name, text in REVIEWS.items():
        (folder / "aclImdb" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "aclImdb" / name).write_text(text)
    return folder


def imdb_tar(folder: Path, names: tuple[str, ...] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "aclImdb_v1.tar.gz", "w:gz") as archive:
        for name, text in {
            **{f"aclImdb/{name}": text for name, text in REVIEWS.items()},
            **dict.fromkeys(names, "x"),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return folder


def test_reviews_are_cut_and_padded_as_in_the_book():
    data = review_data([Review("a b\nc A a", 1), Review("b", 0)], [Review("c d", 0)], steps=3, min_freq=1)
    (vocab,) = data.vocabs
    assert list(vocab) == sorted(["<unk>", "a", "bc", "b", "A"])  # the line's end is left out, not split at
    assert data.train[0].tolist() == [vocab[["a", "bc", "A"]], [vocab["b"], vocab.unk, vocab.unk]]
    assert data.test[0].tolist() == [[vocab.unk] * 3] and data.test[1].tolist() == [0]
    assert (data.kind, data.classes, data.train[1].tolist()) == ("reviews", ("negative", "positive"), [1, 0])
    corrected = review_data([Review("a A", 1)], [Review("a", 0)], 4, 2, corrected=True)
    assert list(corrected.vocabs[0]) == ["<pad>", "<unk>", "a"]
    assert corrected.train[0].tolist() == [[2, 2, 0, 0]]
    assert review_tokens("It IS\n") == ["It", "IS"] and review_tokens("It", corrected=True) == ["it"]
    with pytest.raises(InputError, match="0 steps"):
        review_data([Review("a", 1)], [Review("a", 0)], 0)
    with pytest.raises(InputError, match="0 reviews to train"):
        review_data([], [Review("a", 0)])


def test_imdb_is_the_same_from_a_folder_and_an_archive(tmp_path: Path):
    folder = load("imdb", source=imdb_folder(tmp_path / "one"))
    archive = load("imdb", source=imdb_tar(tmp_path / "two"))
    itself = load("IMDb", source=tmp_path / "one" / "aclImdb")
    for data in (folder, archive, itself):
        assert data.train[0].shape == (2, 500) and data.train[1].tolist() == [1, 0]
        assert data.test[1].tolist() == [1, 0]
        np.testing.assert_array_equal(data.train[0], folder.train[0])
    assert read_imdb(tmp_path) is None
    with pytest.raises(InputError, match="holds no aclImdb"):
        load("imdb", source=tmp_path)


@pytest.mark.parametrize("name", ["../outside.txt", "/absolute.txt", "aclImdb/../../x.txt"])
def test_an_archive_that_climbs_is_refused_and_nothing_is_written(tmp_path: Path, name: str):
    imdb_tar(tmp_path / "in", (name,))
    with zipfile.ZipFile(tmp_path / "in" / "snli_1.0.zip", "w") as archive:
        archive.writestr(name, "x")
    before = sorted(tmp_path.rglob("*"))
    for read in (read_imdb, read_snli):
        with pytest.raises(InputError, match="names a file outside of it"):
            read(tmp_path / "in")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_archive_and_bytes_that_are_not_utf8_are_named(tmp_path: Path):
    (tmp_path / "aclImdb.tar.gz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"aclImdb.tar.gz is no sound archive"):
        read_imdb(tmp_path)
    imdb_folder(tmp_path)
    (tmp_path / "aclImdb/test/pos/0_10.txt").write_bytes(b"one\ntwo \xff")
    with pytest.raises(InputError, match=r"0_10.txt in .*, line 2: byte 0xff is not UTF-8"):
        read_imdb(tmp_path)


def test_pairs_are_read_without_parentheses_and_undecided_ones_are_left_out():
    assert parse_snli(SNLI_TEXT) == [Pair("A man sleeps", "A dog", 2), Pair("a b", "a", 0)]
    assert sentence_words("( A ( man ) )", corrected=True) == ["a", "man"]
    data = inference_data(parse_snli(SNLI_TEXT), [Pair("a cat", "A", 1)], steps=2, min_freq=1)
    (vocab,) = data.vocabs
    assert list(vocab) == sorted(["<unk>", "<pad>", "A", "man", "sleeps", "dog", "a", "b"])
    premises, hypotheses = data.train[0]
    assert premises.tolist() == vocab[[["A", "man"], ["a", "b"]]]
    assert hypotheses.tolist() == vocab[[["A", "dog"], ["a", "<pad>"]]]
    assert (data.kind, data.train[1].tolist(), data.examples, data.held_out) == ("inference", [2, 0], 2, 1)


@pytest.mark.parametrize(
    "line, wrong",
    [
        ("maybe\ta\tb", "line 3: label 'maybe'"),
        ("neutral\ta", "line 3: a label, a premise"),
        ("Neutral\ta\tb", "Neutral"),
    ],
)
def test_a_label_outside_the_set_and_a_short_line_are_named(line: str, wrong: str):
    with pytest.raises(InputError, match=wrong):
        parse_snli(f"header\nneutral\ta\tb\n{line}\n")
    with pytest.raises(InputError, match="the text, line 1 is a pair; the names of the columns, gold_label first, are"):
        parse_snli("neutral\ta\tb\n" * 2)


def test_snli_is_the_same_from_files_a_folder_and_a_zip(tmp_path: Path):
    places = [tmp_path / "files", tmp_path / "folder" / "snli_1.0"]
    for place in places:
        place.mkdir(parents=True)
        (place / "snli_1.0_train.txt").write_text(SNLI_TEXT)
        (place / "snli_1.0_test.txt").write_text(SNLI_TEXT)
    (tmp_path / "zip").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "snli_1.0.zip", "w") as archive:
        for split in ("dev", "test"):
            archive.writestr(f"snli_1.0/snli_1.0_{split}.txt", SNLI_TEXT)
            archive.writestr(f"__MACOSX/snli_1.0/snli_1.0_{split}.txt", "\0")
    shutil.make_archive(str(tmp_path / "tar" / "snli_1.0"), "gztar", tmp_path / "folder", "snli_1.0")
    sets = [load("snli", source=tmp_path / place) for place in ("files", "folder", "zip", "tar")]
    for data in sets:
        np.testing.assert_array_equal(data.train[0], sets[0].train[0])
    assert "trained on dev" in sets[2].source and "trained on train" in sets[0].source
    (tmp_path / "files" / "snli_1.0_test.txt").unlink()
    with pytest.raises(InputError, match="holds train of snli_1.0"):
        load("snli", source=tmp_path / "files")


def test_the_embedded_sets_need_no_network_and_hold_every_label():
    for name, classes in (("drawn_reviews", 2), ("drawn_pairs", 3), ("drawn_pairs_corrected", 3)):
        data = load(name)
        assert set(data.train[1]) == set(data.test[1]) == set(range(classes)) == set(range(len(data.classes)))
        np.testing.assert_array_equal(load(name).train[1], data.train[1])


@pytest.mark.slow
@pytest.mark.skipif("D2L_DATA" not in os.environ, reason="needs the real files")
def test_the_real_files_have_the_known_numbers():
    snli = load("snli")
    assert (snli.examples, snli.held_out) in [(9842, 9824), (549367, 9824)]
    assert np.bincount(snli.test[1]).tolist() == [3368, 3237, 3219]
    assert load("imdb").train[0].shape[1] == 500
