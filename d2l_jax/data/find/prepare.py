"""Making a tensorflow-datasets folder from idx files, without TensorFlow.

The builder that tfds ships downloads, unpacks and encodes with TensorFlow. This one starts from arrays in
memory and hands over Pillow images, which tfds encodes without TensorFlow.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.names import spelled
from d2l_jax.data.find.tfds_folder import import_tfds
from d2l_jax.data.images.folder import nothing_in, read_images
from d2l_jax.data.images.image_sets import IMAGE_SETS
from d2l_jax.errors import InputError

# The version of mnist and fashion_mnist, so that `tfds.data_source(name)` finds the folder.
VERSION = "3.0.1"
Progress = Callable[[int, int], None]


def prepare(source: Path | str, target: Path | str, name: str | None = None, progress: Progress | None = None) -> Path:
    """Writes `target/NAME/3.0.1`, which `tfds.data_source(NAME, data_dir=target)` and `load` read.

    The examples keep their order. The folder appears whole or not at all.

    Args:
      source: a folder of idx files, as `load` takes it.
      target: the tfds data_dir; created where missing.
      name: the data set's name in tfds; None takes it from the content or the folder.
      progress: called with (examples done, examples in all), about a hundred times.

    Returns:
      The folder of the new version.

    Raises:
      InputError: the source is damaged, the target cannot be written or exists already, the disk is
        full, or the extra `tfds` is missing.
    """
    tfds = import_tfds()
    known = spelled(name, IMAGE_SETS) if name else None
    data = read_images(Path(source), known)
    if data is None:
        raise nothing_in(Path(source), known)
    name = _tfds_name(known or name or data.name)
    final = Path(target) / name / VERSION
    if final.exists():
        raise InputError(f"{final} exists already; remove it or give another target")
    try:
        Path(target).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".preparing-") as part:
            _build(tfds, data, name, part, progress)
            final.parent.mkdir(exist_ok=True)
            os.replace(Path(part) / name / VERSION, final)
    except (OSError, RuntimeError, ValueError) as error:  # array_record reports a full disk as any of these
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"cannot write {final}: {reason}") from error
    return final


def _build(tfds: ModuleType, data: Dataset, name: str, folder: str, progress: Progress | None) -> None:
    """Runs a tfds builder on the arrays of `data`, without the messages that tfds prints."""
    out = sys.stdout
    err = sys.stderr
    total = len(data.train[0]) + len(data.test[0])

    def report(done: int) -> None:
        if progress and (done % max(1, total // 100) == 0 or done == total):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                progress(done, total)

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        builder = _builder_class(tfds, data, name, report)(data_dir=folder, file_format="array_record")
        builder.download_and_prepare()


def _builder_class(tfds: ModuleType, data: Dataset, name: str, report: Callable[[int], None]) -> type:
    """A tfds builder whose examples are the arrays of `data`."""
    called = name
    splits = {"train": (0, data.train), "test": (len(data.train[0]), data.test)}

    # Registering the class would shadow the mnist that tfds ships for the rest of the process.
    with tfds.core.registered.skip_registration():

        class FromArrays(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version(VERSION)
            name = called
            pkg_dir_path = None

            def _info(self) -> object:
                features = tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=data.train[0].shape[1:]),
                        "label": tfds.features.ClassLabel(names=list(data.classes)),
                    }
                )
                keys = ("image", "label")
                return tfds.core.DatasetInfo(
                    builder=self, features=features, supervised_keys=keys, disable_shuffling=True
                )

            def _split_generators(self, dl_manager: object) -> dict[str, Iterator]:
                return {split: self._generate_examples(*part) for split, part in splits.items()}

            def _generate_examples(self, done: int, part: tuple[np.ndarray, np.ndarray]) -> Iterator:
                yield from _examples(*part, lambda i: report(done + i))

    return FromArrays


def _examples(X: np.ndarray, y: np.ndarray, report: Callable[[int], None]) -> Iterator[tuple[int, dict]]:
    from PIL import Image

    X = X[..., 0] if X.shape[-1] == 1 else X
    for i, (image, label) in enumerate(zip(X, y, strict=True)):
        yield i, {"image": Image.fromarray(image), "label": int(label)}
        report(i + 1)


def _tfds_name(name: str) -> str:
    plain = name.lower().replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", plain):
        raise InputError(f"{name!r} is no name for a tfds data set; use letters, digits and underscores")
    return plain
