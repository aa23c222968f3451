"""Byte pair encoding and the byte-level tokenizer: the book's numbers, and those of `tokenizers`."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from d2l_jax.data.text.bpe import UNKNOWN, learn_bpe, segment_BPE
from d2l_jax.data.text.byte_tokenizer import ByteTokenizer
from d2l_jax.data.text.pieces import pieces
from d2l_jax.data.text.subwords import number_subwords, subwords
from d2l_jax.data.text.tokenizer_json import read_tokenizer, write_tokenizer
from d2l_jax.errors import InputError

BOOK = {"fast_": 4, "faster_": 3, "tall_": 5, "taller_": 4}
SPOKEN = "low lower lowest, newer newest! It's 1895: na\u00efve caf\u00e9"
TEXTS = [
    SPOKEN,
    "we'll see:  two spaces,\n\n\ttabs \u3000 and\x1f controls; 3\u00b2 = \u2167+1 \U0001f600\u200d",
    "\u65e5\u672c\u8a9e \u0627\u0644 e\u0301 def f(x):\n    return x\n",
    "  ",
    "",
]


def triples(tokenizer: ByteTokenizer) -> list[list[int]]:
    vocab = tokenizer.vocab
    return [[vocab[left], vocab[right], vocab[left + right]] for left, right in tokenizer.merges]


def test_the_book_s_merges_and_segments():
    learned = learn_bpe(BOOK, 10)
    assert " ".join(map("+".join, learned.merges)) == "t+a ta+l tal+l f+a fa+s fas+t e+r er+_ tall+_ fast+_"
    assert learned.tokens == {"fast_": 4, "fast er_": 3, "tall_": 5, "tall er_": 4}
    assert learned.segment(["tallest_", "fatter_"]) == ["tall e s t _", "fa t t er_"]
    assert learned.symbols[26:28] == ("_", UNKNOWN) and len(learned.symbols) == 38


def test_what_no_symbol_fits_is_unknown():
    assert segment_BPE(["abc", "Xa", ""], ["a", "b"]) == ["a b [UNK]", "[UNK]", ""]
    assert learn_bpe({"ab": 1}, 5).merges == (("a", "b"),)  # then there is no pair left
    assert learn_bpe({}, 3).merges == ()


@pytest.mark.parametrize("words, merges", [({"a b": 1}, 1), ({"": 1}, 1), ({"a": -1}, 1), ({"a": 1}, -1)])
def test_no_words(words: dict[str, int], merges: int):
    with pytest.raises(InputError):
        learn_bpe(words, merges)


def test_merges_of_bytes():
    toy = ByteTokenizer.train("hug pug pun bun hugs hug hug pug", 259, pattern=False)
    assert triples(toy) == [[117, 103, 256], [104, 256, 257], [257, 32, 258]]
    assert (toy.encode("hugs"), toy.encode("bun")) == ([257, 115], [98, 117, 110])
    assert (toy.specials, len(toy)) == ({"<pad>": 259, "<bos>": 260, "<eos>": 261}, 262)
    ties = ByteTokenizer.train("aaaa bb bb", 260, pattern=False)
    assert triples(ties) == [[97, 97, 256], [32, 98, 257], [257, 98, 258], [256, 256, 259]]
    assert ties.encode("aaaaa") == [259, 97]
    exhausted = ByteTokenizer.train("ab", 300, pattern=False)
    assert (len(exhausted.vocab), exhausted.specials["<pad>"], len(exhausted)) == (257, 300, 303)


def test_pieces_and_specials():
    assert pieces("It's 1895:  caf\u00e9") == ["It", "'s", " 1895", ":", " ", " caf\u00e9"]
    tokenizer = ByteTokenizer.train(SPOKEN, 268)
    assert tokenizer.encode("lowest newer") == [257, 256, 261, 267]
    assert tokenizer.encode("<bos>low") == [60, 98, 111, 115, 62, 264]
    assert tokenizer.encode("<bos>low<eos>", allow_special=True) == [269, 264, 270]
    assert (tokenizer.decode([195]), tokenizer.decode([269, 258])) == ("\ufffd", "<bos> n")
    with pytest.raises(InputError, match="no token has the number 999"):
        tokenizer.decode([999])
    with pytest.raises(InputError, match="no text that UTF-8 holds"):
        tokenizer.encode("\ud800")
    with pytest.raises(InputError, match="no room for all bytes"):
        ByteTokenizer.train(SPOKEN, 255)


@pytest.mark.slow
def test_the_merges_of_the_time_machine():
    file = Path(os.environ.get("D2L_DATA", "")) / "text" / "timemachine.txt"
    if not file.is_file():
        pytest.skip("D2L_DATA holds no Time Machine")
    text = file.read_text()
    tokenizer = ByteTokenizer.train(text, 1024)
    merges = hashlib.sha256(json.dumps(triples(tokenizer), separators=(",", ":")).encode()).hexdigest()
    assert merges == "6fc28f7d2dd26f9374ec964554414d8b8547fff83d893a4925ee9b5743a66f72"
    numbers = tokenizer.encode(text)
    assert len(numbers) == 65741 and tokenizer.decode(numbers) == text
    ids = hashlib.sha256(json.dumps(numbers, separators=(",", ":")).encode()).hexdigest()
    assert ids == "5582545e95992af81e30307ed9b6fd4e0ef7bf4472018e774034ade6b9039d34"


@pytest.mark.parametrize("pattern", [True, False])
def test_hugging_face_reads_what_is_written(pattern: bool, tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    ours = ByteTokenizer.train(SPOKEN * 2, 290, pattern=pattern)
    write_tokenizer(ours, tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        assert theirs.encode(text + "<eos>").ids == ours.encode(text + "<eos>", allow_special=True), text
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text)) == text
    assert read_tokenizer(tmp_path / "tokenizer.json") == ours
    other = ByteTokenizer.train(SPOKEN * 2, 280, pattern=pattern)
    assert any(theirs.encode(text).ids != other.encode(text) for text in TEXTS)


@pytest.mark.parametrize("prefix, whole", [(False, False), (True, False), (False, True)])
def test_what_hugging_face_has_trained_is_read(prefix: bool, whole: bool, tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.BPE(ignore_merges=whole)
    theirs = tokenizers.Tokenizer(model)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<s>", "<s>x"], initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator(TEXTS[:3] * 3, trainer)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = read_tokenizer(tmp_path / "tokenizer.json")
    for text in [*TEXTS, "<s>low<s>x<s> newest"]:
        assert ours.encode(text, allow_special=True) == theirs.encode(text).ids, text


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path):
    file = tmp_path / "tokenizer.json"
    with pytest.raises(InputError, match="cannot read"):
        read_tokenizer(file)
    write_tokenizer(ByteTokenizer.train("ab", 257), file)
    whole = json.loads(file.read_text())
    wrong = {
        '"WordPiece"': ("model", {**whole["model"], "type": "WordPiece"}),
        "model.dropout is 0.1": ("model", {**whole["model"], "dropout": 0.1}),
        "pre_tokenizer.type is null": ("pre_tokenizer", None),
        "normalizer is": ("normalizer", {"type": "NFC"}),
        "post_processor.type is": ("post_processor", {"type": "TemplateProcessing"}),
        "<m>.lstrip is true": ("added_tokens", [{"content": "<m>", "id": 300, "lstrip": True}]),
        "no token for the byte 0": ("model", {**whole["model"], "vocab": {"b": 0}}),
        "into no token": ("model", {**whole["model"], "merges": [["b", "b"]]}),
        "is damaged": ("model", {**whole["model"], "merges": [["b"]]}),
    }
    for message, (name, value) in wrong.items():
        file.write_text(json.dumps(whole | {name: value}))
        with pytest.raises(InputError, match=message):
            read_tokenizer(file)
    twice = file.read_bytes().replace(b'"merges":', b'"merges": [], "merges":')
    damaged = ((b"[]", "is damaged"), (b"{", "is no JSON"), (b"\xff", "no UTF-8 text"), (b"[" * 100_000, "is damaged"))
    for content, message in (*damaged, (twice, "'merges' is there twice")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_tokenizer(file)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ab": 5}, "'.' and 'ab' both have the number 5"),
        ({"ab": -1}, "'ab' has the number -1, where a name and a whole number are right"),
        ({"ab": "256"}, "'ab' has the number '256'"),
        ({"ab": 256.7}, "'ab' has the number 256.7"),
        ({"ab": True}, "'ab' has the number True"),
        ({"<pad>": 300}, "'<pad>' has the numbers 257 and 300"),
        ({"": 300}, "'' has the number 300"),
    ],
)
def test_a_vocabulary_of_other_numbers_is_refused(changes: dict, message: str, tmp_path: Path):
    file = tmp_path / "tokenizer.json"
    ours = ByteTokenizer.train("ab", 257)
    write_tokenizer(ours, file)
    assert read_tokenizer(file) == ours
    whole = json.loads(file.read_text())
    whole["model"]["vocab"] |= changes
    file.write_text(json.dumps(whole))
    with pytest.raises(InputError, match=message):
        read_tokenizer(file)


@pytest.mark.parametrize(
    "added, merges, message",
    [
        (
            [{"content": "<s>", "id": 300}, {"content": "<t>", "id": 300}],
            [],
            "'<s>' and '<t>' both have the number 300",
        ),
        ([{"content": "<s>", "id": 97}], [], "both have the number 97"),
        ([{"content": "", "id": 300}], [], "'' has the number 300"),
        ([], [["a", ""]], "merges 'a' and '' into no token"),
    ],
)
def test_specials_and_merges_that_are_none_are_refused(added: list, merges: list, message: str, tmp_path: Path):
    file = tmp_path / "tokenizer.json"
    write_tokenizer(ByteTokenizer.train("ab", 257, specials=()), file)
    whole = json.loads(file.read_text())
    whole |= {"added_tokens": added, "model": whole["model"] | {"merges": merges}}
    file.write_text(json.dumps(whole))
    with pytest.raises(InputError, match=message):
        read_tokenizer(file)


def test_subwords():
    assert subwords("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>", "<where>"]
    assert subwords("a") == ["<a>"] and len(subwords("where")) == 5 + 4 + 3 + 2 + 1
    numbered = number_subwords(["ab", "abc"], 3, 3)
    assert numbered.names == ("<ab", "ab>", "<ab>", "abc", "bc>", "<abc>")
    assert numbered.ids.tolist() == [[0, 1, 2, 0], [0, 3, 4, 5]] and numbered.lengths.tolist() == [3, 4]
    for word, shortest, longest in (("", 3, 6), ("a", 0, 3), ("a", 4, 3)):
        with pytest.raises(InputError):
            subwords(word, shortest, longest)
    with pytest.raises(InputError, match="no words"):
        number_subwords([])
