"""Word pieces of a published BERT, by the package `tokenizers`."""

import json
from pathlib import Path

import pytest

from d2l_jax.data.text.word_pieces import MARKS, WordPieces
from d2l_jax.errors import InputError

needs_tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
WORDS = ("the", "bank", "play", "##ing", "##s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Writes a `tokenizer.json` of five words, which pads and cuts as published ones do."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocab = {token: number for number, token in enumerate((*MARKS, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))  # type: ignore[call-arg]
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_texts_and_pairs(folder: Path):
    pieces = WordPieces(folder)
    tokens, segments, lengths = pieces.encode(["The bank", ("playing", "banks"), ""], 9)
    assert len(pieces) == 10
    assert tokens.tolist() == [[2, 5, 6, 3, 0, 0, 0], [2, 7, 8, 3, 6, 9, 3], [2, 3, 0, 0, 0, 0, 0]]
    assert segments.tolist() == [[0] * 7, [0, 0, 0, 0, 1, 1, 1], [0] * 7]
    assert lengths.tolist() == [4, 7, 2]


def test_steps_are_padded_and_long_texts_cut_or_refused(folder: Path):
    pieces = WordPieces(folder)
    assert pieces.encode(["the bank"], 9, steps=9).tokens.shape == (1, 9)
    cut = pieces.encode([("the the the the", "bank")], 6, cut=True)
    assert cut.tokens.tolist() == [[2, 5, 5, 3, 6, 3]]
    with pytest.raises(InputError, match="text 2 of 2 has 5 tokens; 4, as many as there are positions, or fewer"):
        pieces.encode(["the", "the the the"], 4)


# Bad input
def test_another_tokenizer_is_refused(folder: Path):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"] |= {"type": "BPE", "merges": []}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="holds a tokenizer of the kind BPE; BERT's, of the kind WordPiece, is right"):
        WordPieces(folder)


def test_a_tokenizer_without_berts_marks_is_refused(folder: Path):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    del content["model"]["vocab"]["[SEP]"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"of the kind WordPiece, without \[SEP\]"):
        WordPieces(folder)


@pytest.mark.parametrize("content", ["{}", "no json", '{"model": {"type": "WordPiece", "vocab": null}}', "[1]"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="is no tokenizer.json of Hugging Face's"):
        WordPieces(tmp_path)


def test_no_text_is_refused(folder: Path):
    with pytest.raises(InputError, match="there is no text to encode"):
        WordPieces(folder).encode([], 9)
