"""The book's two text files: found, refused when damaged, downloaded whole or not at all."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401

from d2l_jax.data import load, load_raw
from d2l_jax.data.text.book_texts import BOOK_TEXTS, BookText
from d2l_jax.errors import InputError

SHA1 = {
    "time_machine": "090b5e7e70c295757f55df93cb0a180b9691891a",
    "fra_eng": "94646ad1522d915e7b0f9296181140edcf86a4f5",
}
WORDS = "a long time ago " * 1000


@pytest.fixture
def toys(alone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two small files, which stand in for the book's by their hashes."""
    folder = alone / "toys"
    folder.mkdir()
    (folder / "timemachine.txt").write_text(WORDS)
    with zipfile.ZipFile(folder / "fra-eng.zip", "w") as archive:
        archive.writestr("fra-eng/fra.txt", "Go.\tVa !\n" * 700)
    for name, known in BOOK_TEXTS.items():
        sha256 = hashlib.sha256((folder / known.file).read_bytes()).hexdigest()
        monkeypatch.setitem(BOOK_TEXTS, name, BookText(known.file, sha256, known.member))
    return folder


@needs_real("text")
@pytest.mark.parametrize("name", SHA1)
def test_the_hash_is_that_of_the_file_with_the_books_sha1(name: str):
    content = (REAL / "text" / BOOK_TEXTS[name].file).read_bytes()
    assert hashlib.sha1(content).hexdigest() == SHA1[name]
    assert hashlib.sha256(content).hexdigest() == BOOK_TEXTS[name].sha256


@pytest.mark.parametrize("layout", ["mine", "mine/text", "here/data", "cache/d2l_jax/text", "home/data/text"])
@pytest.mark.parametrize("name", SHA1)
def test_layouts_and_usual_caches(toys: Path, layout: str, name: str):
    folder = toys.parent / layout
    folder.mkdir(parents=True)
    (toys / BOOK_TEXTS[name].file).rename(folder / BOOK_TEXTS[name].file)
    source = toys.parent / "mine" if "mine" in layout else None
    data = load(name, source=source)
    assert data.name == name and data.source.startswith(f"{BOOK_TEXTS[name].file} in ")
    kind = "text" if name == "time_machine" else "translation"
    assert data.kind == kind and load(kind=kind, source=source).name == name
    assert load_raw(name, source=source)[:3] in ("a l", "Go.")


@pytest.mark.parametrize("how", ["cut", "noise", "empty", "one byte"])
@pytest.mark.parametrize("name", SHA1)
def test_a_damaged_file_is_an_error_where_named_and_skipped_in_a_cache(
    toys: Path, name: str, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    path = toys / BOOK_TEXTS[name].file
    content = path.read_bytes()
    spoiled = bytes([content[0] ^ 1]) + content[1:]
    path.write_bytes({"cut": content[:-9], "noise": b"\x91" * 50, "empty": b"", "one byte": spoiled}[how])
    message = f"{path.name} is damaged or not the book's: its sha256 is"
    for look in (load, load_raw):
        with pytest.raises(InputError, match=message):
            look(name, source=toys)
    kind = "text" if name == "time_machine" else "translation"
    (toys.parent / "home").mkdir()
    toys.rename(toys.parent / "home/data")
    assert load(kind=kind).source.startswith("embedded default") and message in caplog.text
    monkeypatch.setenv("D2L_DATA", str(toys.parent / "home/data"))
    with pytest.raises(InputError, match=message):
        load(kind=kind)


@pytest.mark.parametrize("name", SHA1)
def test_downloaded_with_its_hash_checked_and_then_found(toys: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("d2l_jax.data.text.book_texts.BOOK_MIRRORS", (f"{toys.as_uri()}/",))
    with pytest.raises(InputError, match=f"{name} was not found .*--download"):
        load(name)
    assert load(name, download=True).name == name
    cached = toys.parent / "cache/d2l_jax/text" / BOOK_TEXTS[name].file
    assert cached.read_bytes() == (toys / BOOK_TEXTS[name].file).read_bytes()
    monkeypatch.setattr("d2l_jax.data.text.book_texts.BOOK_MIRRORS", ())
    assert load(name).source == f"{cached.name} in {cached.parent}"


@pytest.mark.parametrize("name", SHA1)
def test_a_wrong_download_is_refused_and_not_kept(toys: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("d2l_jax.data.text.book_texts.BOOK_MIRRORS", (f"{toys.as_uri()}/",))
    (toys / BOOK_TEXTS[name].file).write_bytes(b"another version")
    for look in (load, load_raw):
        with pytest.raises(InputError, match="could not download .*wrong hash"):
            look(name, download=True)
    assert [path for path in (toys.parent / "cache").rglob("*") if path.is_file()] == []


BAD_CALLS = {
    "unknown pair": (load, dict(name="fra-egn"), "unknown data set 'fra-egn'; did you mean fra_eng"),
    "another language": (load, dict(name="deu_eng"), "unknown data set 'deu_eng'; did you mean .*fra_eng"),
    "unknown text": (load_raw, dict(name="digits"), "unknown text 'digits'; .*time_machine"),
    "unknown kind": (load, dict(kind="texts"), "unknown kind of data 'texts'; did you mean text"),
    "nothing there": (load, dict(name="fra_eng", source="."), "holds no fra_eng; fra-eng.zip is needed"),
    "nothing of the kind": (load, dict(kind="text", source="."), "holds no time_machine; timemachine.txt is needed"),
    "no raw text": (load_raw, dict(name="fra_eng", source="."), "holds no fra_eng; fra-eng.zip is needed"),
    "resize": (load, dict(name="topics", resize=(8, 8)), "topics holds no images to resize"),
    "resize of pairs": (load, dict(name="number_words", resize=(8, 8)), "number_words holds no images to resize"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls(alone: Path, case: str):
    look, arguments, message = BAD_CALLS[case]
    with pytest.raises(InputError, match=message):
        look(**arguments)
