"""Pretrained word vectors: reading, similar words, analogies, and what is refused (section 15.7)."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import TokenEmbedding, Vocab, find_vectors, parse_vectors, read_vectors
from d2l_jax.errors import InputError

TEXT = "the 1 0\nof 0 2\nking 1 1\n"


def test_vectors_of_known_and_unknown_words():
    vectors = parse_vectors(TEXT)
    assert (len(vectors), vectors.dimensions, vectors.idx_to_token[0]) == (4, 2, "<unk>")
    assert vectors["of"].tolist() == [0, 2] and vectors["none"].tolist() == [0, 0]
    assert vectors[["king", "none"]].tolist() == [[1, 1], [0, 0]]
    vocab = Vocab(["king", "queen"])
    assert vectors.table(vocab).tolist() == [[0, 0], [1, 1], [0, 0]] and vectors.table(vocab).dtype == np.float32
    (name, cosine), *_ = vectors.similar("the", 2)
    assert name == "king" and cosine == pytest.approx(0.5**0.5, abs=1e-6)


def test_a_header_is_left_out_and_has_to_be_true():
    assert len(parse_vectors("3 2\n" + TEXT)) == 4
    with pytest.raises(InputError, match="line 2: 2 numbers for 'the' where 5 are right"):
        parse_vectors("3 5\n" + TEXT)
    with pytest.raises(InputError, match="its header tells 400 words, and 3 are there; fetch it again"):
        parse_vectors("400 2\n" + TEXT)


@pytest.mark.parametrize(
    "text, wrong",
    [
        (TEXT + "queen 1\n", "line 4: 1 numbers for 'queen' where 2"),
        (TEXT + "new york 1 1\n", "line 4: 3 numbers for 'new'"),
        (TEXT + "the 3 4\n", "line 4: 'the' is there already, on line 1"),
        (TEXT + "queen 1 x\n", "line 4: .*numbers are right"),
        (TEXT + "queen 1 nan\n", "line 4: nan; numbers that float32 holds"),
        (TEXT + "queen 1 1e39\n", "line 4: 1e39; numbers that float32 holds"),
        (TEXT + " 1 2\n", "line 4: ' 1 2'; a word and numbers are right"),
        ("word\n", "line 1: 'word'; a word and numbers are right"),
        ("word\t1\t2\n", "line 1: .*; a word and numbers are right"),
        ("", "holds no vectors"),
    ],
)
def test_wrong_lines_are_named(text: str, wrong: str):
    with pytest.raises(InputError, match=wrong):
        parse_vectors(text)


def test_a_file_archives_and_a_folder_are_the_same(tmp_path: Path):
    (tmp_path / "glove.6B.2d").mkdir()
    (tmp_path / "glove.6B.2d" / "vec.txt").write_text(TEXT)
    with zipfile.ZipFile(tmp_path / "vectors.zip", "w") as archive:
        archive.writestr("glove/vec.txt", TEXT)
    tar = Path(shutil.make_archive(str(tmp_path / "tar" / "glove"), "gztar", tmp_path / "glove.6B.2d"))
    paths = [tmp_path / "glove.6B.2d" / "vec.txt", tmp_path / "glove.6B.2d", tmp_path / "vectors.zip", tar]
    for vectors in [*map(read_vectors, paths), find_vectors(tmp_path), find_vectors(tar.parent)]:
        assert vectors is not None and vectors.idx_to_token == ("<unk>", "the", "of", "king")
    with zipfile.ZipFile(tmp_path / "climbs.zip", "w") as archive:
        archive.writestr("../vec.txt", TEXT)
    (tmp_path / "bytes.txt").write_bytes(b"the 1 0\n\xe9t\xe9 1 0\n")
    (tmp_path / "empty").mkdir()
    for name, wrong in (
        ("climbs.zip", "names a file outside of it"),
        ("bytes.txt", "line 2: byte 0xe9"),
        ("none", "does not exist"),
        ("empty", "no vec.txt"),
    ):
        with pytest.raises(InputError, match=wrong):
            read_vectors(tmp_path / name)
    assert find_vectors(tmp_path / "empty") is None


def test_wrong_calls():
    vectors = parse_vectors(TEXT)
    for k in (0, 4):
        with pytest.raises(InputError, match="1 to 3 can be had"):
            vectors.similar("the", k)
    with pytest.raises(InputError, match="'none' is not among the 4 tokens"):
        vectors.analogy("the", "none", "of")
    with pytest.raises(InputError, match="token 'a' is there twice"):
        TokenEmbedding(["a", "a"], np.ones((2, 1)))
    with pytest.raises(InputError, match="for 1 tokens"):
        TokenEmbedding(["a"], np.ones((2, 1)))


@pytest.mark.skipif("D2L_DATA" not in os.environ, reason="needs GloVe's vectors")
def test_the_books_neighbours_and_analogies():
    vectors = find_vectors()
    if vectors is None or vectors.dimensions != 50:
        pytest.skip("needs GloVe 6B with 50 dimensions")
    book = {
        "chip": {"chips": 0.856, "intel": 0.749, "electronics": 0.749},
        "baby": {"babies": 0.839, "boy": 0.800, "girl": 0.792},
        "beautiful": {"lovely": 0.921, "gorgeous": 0.893, "wonderful": 0.830},
    }
    for word, neighbours in book.items():
        assert {other: round(cosine, 3) for other, cosine in vectors.similar(word)} == neighbours
    analogies = ["man woman son daughter", "beijing china tokyo japan", "bad worst big biggest", "do did go went"]
    for a, b, c, d in map(str.split, analogies):
        assert vectors.analogy(a, b, c) == d
