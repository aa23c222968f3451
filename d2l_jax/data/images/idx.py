"""The idx format of MNIST and Fashion-MNIST, plain or gzipped.

Source: the format description at http://yann.lecun.com/exdb/mnist/: a big-endian magic number whose
last byte counts the axes, one int32 per axis, then the bytes.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from d2l_jax.errors import InputError

IMAGES = 0x0803
LABELS = 0x0801
STEMS = {"train": "train", "test": "t10k"}


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Reads an idx file as a writable uint8 array.

    Args:
      path: the file; it is gunzipped where its name ends in `.gz`.
      magic: `IMAGES` for (N, H, W) or `LABELS` for (N,).

    Raises:
      InputError: the file cannot be read, is cut off, has another magic number, holds more or fewer
        bytes than its header promises, or holds no example.
    """
    raw = read_bytes(path)
    axes = magic & 0xFF
    start = 4 + 4 * axes
    if len(raw) < start:
        raise InputError(f"{path} is cut off: {len(raw)} bytes, an idx header has {start}")
    actual = int.from_bytes(raw[:4], "big")
    if actual != magic:
        raise InputError(f"{path} has magic number 0x{actual:08x}; an idx file of this kind has 0x{magic:08x}")
    shape = [int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4)]
    promised = math.prod(shape)
    if promised != len(raw) - start:
        raise InputError(f"{path} holds {len(raw) - start} bytes of data; its header promises {promised}")
    if promised == 0:
        raise InputError(f"{path} holds no examples; its header gives the shape {tuple(shape)}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()


def read_bytes(path: Path) -> bytes:
    """Reads a file's content, gunzipped where its name ends in `.gz`; InputError if it is damaged or unreadable."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except EOFError as error:
        raise InputError(f"{path} is cut off: the gzip stream ends early; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is no sound gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def idx_files(folder: Path) -> dict[str, Path]:
    """The idx files that a folder holds: stem (`"train-images"` ...) -> path, the plain file first."""
    files = {}
    for stem in (f"{split}-{kind}" for split in STEMS.values() for kind in ("images", "labels")):
        axes = 1 if stem.endswith("labels") else 3
        names = [f"{stem}{sep}idx{axes}-ubyte{end}" for end in ("", ".gz") for sep in "-."]
        paths = [folder / name for name in names if (folder / name).is_file()]
        files |= {stem: paths[0]} if paths else {}
    return files


def read_split(files: dict[str, Path], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads X uint8 (N, H, W, 1) and y int32 (N,) of the split `"train"` or `"test"`.

    Raises:
      InputError: as `read_idx`, or a file is missing, or images and labels differ in number.
    """
    images, labels = (_need(files, f"{STEMS[split]}-{kind}") for kind in ("images", "labels"))
    X = read_idx(images, IMAGES)
    y = read_idx(labels, LABELS)
    if len(X) != len(y):
        raise InputError(f"{images} holds {len(X)} images but {labels.name} {len(y)} labels; they must agree")
    return X[..., None], y.astype(np.int32)


def _need(files: dict[str, Path], stem: str) -> Path:
    if stem not in files:
        there = next(iter(files.values()), None)
        folder = there.parent if there else "the folder"
        name = f"{stem}-idx{1 if stem.endswith('labels') else 3}-ubyte"
        raise InputError(f"{folder} lacks {name} (or .gz); four idx files make a data set")
    return files[stem]
