"""The files of CIFAR-10 as its authors publish them: batches of bytes, plain or pickled (Krizhevsky 2009)."""

import codecs
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.errors import InputError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
PIXELS = 3 * 32 * 32
FOLDERS = {"cifar-10-batches-bin": ".bin", "cifar-10-batches-py": ""}


def read_cifar10(folder: Path) -> Dataset | None:
    """Reads CIFAR-10 from `cifar-10-batches-bin` or `-py` in a folder, or from that folder itself; None without one.

    Returns:
      X uint8 (N, 32, 32, 3), y int32 (N,): 50,000 images to train on, 10,000 to test on.

    Raises:
      InputError: a file is missing or damaged.
    """
    for name, end in FOLDERS.items():
        for spot in (folder / name, folder):
            if (spot / f"data_batch_1{end}").is_file():
                train = [_read(spot / f"{batch}{end}") for batch in BATCHES]
                X, y = (np.concatenate(part) for part in zip(*train))
                return Dataset("cifar10", (X, y), _read(spot / f"test_batch{end}"), f"batches in {spot}", CLASSES)
    return None


def _read(path: Path) -> Split:
    try:
        content = path.read_bytes()
        pixels, labels = _plain(content) if path.suffix else _pickled(content)
        X = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is no batch of CIFAR-10 ({error}); fetch it again") from error
    if len(X) != len(labels) or not len(X) or labels.max() > 9:
        raise InputError(f"{path} is no batch of CIFAR-10; each image has a label from 0 to 9")
    return np.ascontiguousarray(X), labels.astype(np.int32)


def _plain(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels and labels of records: a byte for the label, and the pixels of each colour."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:], records[:, 0]


def _pickled(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    batch = _Arrays(io.BytesIO(content), encoding="bytes").load()
    return np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"])


class _Arrays(pickle.Unpickler):
    """Reads arrays alone: a pickle of anything else could run a program."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what arrays are made with."""
        makers = {"_reconstruct": np._core.multiarray._reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}  # type: ignore
        if module.partition(".")[0] == "numpy" and name in makers:
            return makers[name]
        if (module, name) == ("_codecs", "encode"):  # the bytes of old pickles
            return codecs.encode
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")
