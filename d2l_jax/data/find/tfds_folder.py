"""Reading a folder that tensorflow-datasets prepared, without TensorFlow."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError

AT_ONCE = 1000


def import_tfds() -> ModuleType:
    """Imports and returns the module `tensorflow_datasets`; InputError where the extra `tfds` is not installed."""
    try:
        importlib.import_module("array_record")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise InputError(
            f"a tensorflow-datasets folder needs a package that is missing here ({error}); "
            f"install it with: pip install 'd2l-jax[tfds]'"
        ) from error


def find_prepared(folder: Path, name: str | None = None) -> Path | None:
    """The folder of the newest prepared version of a tfds data set at or below `folder`, or None where there is none.

    Args:
      folder: a version's folder (with `dataset_info.json`), its parent (the data set's), or the parent's
        parent (the data_dir).
      name: the data set's tfds name; None accepts any, if there is only one.

    Raises:
      InputError: `name` is None and there are several data sets, or a `dataset_info.json` is damaged.
    """
    for pattern in ("dataset_info.json", "*/dataset_info.json", "*/*/dataset_info.json"):
        named = {path.parent: str(_info(path).get("name")) for path in folder.glob(pattern)}
        fitting = {spot: known for spot, known in named.items() if name in (None, known)}
        if len(set(fitting.values())) > 1:
            names = ", ".join(sorted(set(fitting.values())))
            raise InputError(f"{folder} holds several data sets; name one of {names}")
        if fitting:
            return max(fitting, key=_version)
    return None


def read_tfds(folder: Path) -> Dataset:
    """Reads the images and labels of a prepared tfds folder in the array_record format.

    Args:
      folder: a version's folder, as `find_prepared` returns it.

    Returns:
      The first two of the splits train, test and validation: X uint8 (N, H, W, C), y int32 (N,).

    Raises:
      InputError: the extra `tfds` is missing, the format is another, the folder is damaged, or its
        features are not `image` (uint8, one size) and `label`.
    """
    info = _info(folder / "dataset_info.json")
    if info.get("fileFormat") != "array_record":
        raise InputError(
            f"{folder} is in the format {info.get('fileFormat', 'tfrecord')}, which needs TensorFlow; "
            f"only array_record can be read here"
        )
    tfds = import_tfds()
    try:
        builder = tfds.builder_from_directory(str(folder))
        splits = [s for s in ("train", "test", "validation") if s in builder.info.splits][:2]
        parts = [_read_split(builder, split) for split in splits]
        names = tuple(builder.info.features["label"].names)
    except Exception as error:  # a damaged folder fails in json, protobuf, array_record or the decoder
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"cannot read the tfds folder {folder} ({type(error).__name__}: {first}); "
            f"it must hold images under 'image' and classes under 'label', undamaged"
        ) from error
    if len(parts) < 2 or any(X.ndim != 4 or X.dtype != np.uint8 for X, _ in parts):
        raise InputError(f"{folder} must hold uint8 images of one size in the splits train and test")
    return Dataset(str(info["name"]), parts[0], parts[1], f"tfds folder {folder}", names)


def _read_split(builder: object, split: str) -> tuple[np.ndarray, np.ndarray]:
    """X uint8 (N, H, W, C) and y int32 (N,), in the order of the files."""
    source = builder.as_data_source(split=split)  # pyright: ignore[reportAttributeAccessIssue]
    X: list[np.ndarray] = []
    y: list[np.ndarray] = []
    for start in range(0, len(source), AT_ONCE):
        examples = source.__getitems__(list(range(start, min(start + AT_ONCE, len(source)))))
        X.append(np.stack([example["image"] for example in examples]))
        y.append(np.array([example["label"] for example in examples], np.int32))
    return np.concatenate(X), np.concatenate(y)


def _version(folder: Path) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in folder.name.split(".")]


def _info(path: Path) -> dict:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged or unreadable ({error}); prepare the folder again") from error
    if not isinstance(info, dict) or "name" not in info:
        raise InputError(f"{path} names no data set; prepare the folder again")
    return info
