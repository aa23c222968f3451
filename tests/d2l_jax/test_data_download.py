"""Downloads over a real server on this machine: whole and right, or refused and not kept."""

import functools
import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data_toy import alone_fixture, same, toy_images  # noqa: F401

from d2l_jax.data import load
from d2l_jax.data.find.download import fetch
from d2l_jax.data.images.image_sets import FILES, IMAGE_SETS
from d2l_jax.errors import InputError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_plain_and_gzipped(tmp_path: Path, served: tuple[Path, str]):
    folder, url = served
    (folder / "a.csv").write_bytes(b"content")
    (folder / "a.gz").write_bytes(gzip.compress(b"content"))
    for name in ("a.csv", "a.gz"):
        path = fetch(name, [url], sha256(b"content"), tmp_path / "new" / "cache")
        assert path.read_bytes() == (folder / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "new/cache").iterdir()) == ["a.csv", "a.gz"]


@pytest.mark.parametrize("name, content", [("a.csv", b"other"), ("a.gz", b"no gzip"), ("a.gz", b"")])
def test_wrong_content_is_refused_and_not_kept(tmp_path: Path, served: tuple[Path, str], name: str, content: bytes):
    folder, url = served
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="could not download .*wrong hash"):
        fetch(name, [url], sha256(b"content"), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_next_mirror_is_tried(tmp_path: Path, served: tuple[Path, str]):
    folder, url = served
    (folder / "good").mkdir()
    (folder / "good/a.csv").write_bytes(b"content")
    (folder / "bad").mkdir()
    (folder / "bad/a.csv").write_bytes(b"other")
    dead = "http://127.0.0.1:9/"
    mirrors = [dead, "nonsense", f"{url}none/", f"{url}bad/", f"{url}good/"]
    assert fetch("a.csv", mirrors, sha256(b"content"), tmp_path / "cache").read_bytes() == b"content"
    with pytest.raises(InputError, match="127.0.0.1:9/: .*refused.*none/: .*not found.*bad/: wrong hash"):
        fetch("a.csv", [dead, f"{url}none/", f"{url}bad/"], sha256(b"more"), tmp_path / "other")


def test_right_file_is_not_fetched_again_and_wrong_one_is_replaced(tmp_path: Path, served: tuple[Path, str]):
    folder, url = served
    (folder / "a.csv").write_bytes(b"content")
    (tmp_path / "a.csv").write_bytes(b"torn")
    fetch("a.csv", [url], sha256(b"content"), tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == b"content"
    assert fetch("a.csv", [], sha256(b"content"), tmp_path) == tmp_path / "a.csv"


def test_cache_that_cannot_be_written(tmp_path: Path, served: tuple[Path, str]):
    folder, url = served
    (folder / "a.csv").write_bytes(b"content")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        fetch("a.csv", [url], sha256(b"content"), tmp_path / "taken")


def test_load_downloads_and_then_finds(alone: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch):
    folder, url = served
    arrays = toy_images(folder)
    hashes = tuple(sha256(gzip.decompress((folder / name).read_bytes())) for name in FILES)
    toy = IMAGE_SETS["mnist"]._replace(mirrors=(url,), sha256=hashes)
    monkeypatch.setitem(IMAGE_SETS, "mnist", toy)
    with pytest.raises(InputError, match="not found"):
        load("mnist")
    assert same(load("mnist", download=True), arrays)
    monkeypatch.setitem(IMAGE_SETS, "mnist", toy._replace(mirrors=()))
    assert same(load("mnist"), arrays)
    assert load("mnist").source == f"idx files in {alone / 'cache/d2l_jax/mnist'}"


def test_load_refuses_a_wrong_download(alone: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch):
    folder, url = served
    toy_images(folder)
    monkeypatch.setitem(IMAGE_SETS, "mnist", IMAGE_SETS["mnist"]._replace(mirrors=(url,)))
    with pytest.raises(InputError, match="wrong hash"):
        load("mnist", download=True)
    assert [p for p in (alone / "cache").rglob("*") if p.is_file()] == []
