"""Small data sets for the tests of `d2l_jax.data`, and where the real ones lie."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import Dataset

REAL = Path(os.environ.get("D2L_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve()


def needs_real(folder: str) -> pytest.MarkDecorator:
    """Skips a test, with the reason, where the real data is not there."""
    there = (REAL / folder).is_dir()
    return pytest.mark.skipif(not there, reason=f"no real data in {REAL / folder}; set D2L_DATA")


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file's content: magic number 0x0000080N, the N sizes, the bytes."""
    head = [0x0800 + array.ndim, *array.shape]
    return b"".join(int(n).to_bytes(4, "big") for n in head) + array.astype(np.uint8).tobytes()


def write_idx(path: Path, array: np.ndarray) -> Path:
    """Writes an idx file, gzipped where the name ends in `.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = idx_bytes(array)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def toy_images(folder: Path, seed: int = 0, end: str = ".gz", train: int = 30, test: int = 12) -> dict:
    """Four idx files of random 6x5 images; returns {stem: array}."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for stem, n in (("train", train), ("t10k", test)):
        arrays[f"{stem}-images"] = rng.integers(0, 256, (n, 6, 5), np.uint8)
        arrays[f"{stem}-labels"] = (np.arange(n) % 10).astype(np.uint8)
        write_idx(folder / f"{stem}-images-idx3-ubyte{end}", arrays[f"{stem}-images"])
        write_idx(folder / f"{stem}-labels-idx1-ubyte{end}", arrays[f"{stem}-labels"])
    return arrays


def same(data: Dataset, arrays: dict) -> bool:
    """Tells whether a Dataset holds just the toy's arrays, in their order and with the promised types."""
    pairs = [(data.train, "train"), (data.test, "t10k")]
    return all(
        X.dtype == np.uint8
        and y.dtype == np.int32
        and np.array_equal(X[..., 0], arrays[f"{stem}-images"])
        and np.array_equal(y, arrays[f"{stem}-labels"])
        for (X, y), stem in pairs
    )


@pytest.fixture(name="alone")
def alone_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, cache and current folder, so that a test finds only what it puts there."""
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("d2l_jax.data.find.places.SYSTEM", tmp_path / "system")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path
