"""One door to every data set: where to look, in which order, and what to take when nothing is found."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.diabetes import diabetes
from d2l_jax.data.digits import digits
from d2l_jax.data.houses import fetch_houses, read_houses
from d2l_jax.data.image_sets import IMAGE_SETS
from d2l_jax.data.images import fetch_images, nothing_in, read_images
from d2l_jax.data.names import spelled
from d2l_jax.data.places import Place, places
from d2l_jax.data.resize import resize_images
from d2l_jax.data.synthetic import ohms_law, synthetic_regression, weight_decay_data
from d2l_jax.errors import InputError, one_of

BUILT_IN: dict[str, Callable[[int], Dataset]] = {
    "digits": lambda seed: digits(),
    "diabetes": lambda seed: diabetes(),
    "synthetic": lambda seed: synthetic_regression([2, -3.4], 4.2, seed=seed),
    "weight_decay": lambda seed: weight_decay_data(seed=seed),
    "ohms_law": lambda seed: ohms_law(seed=seed),
}
KNOWN = (*IMAGE_SETS, "houses", *BUILT_IN)
KINDS = {"image": ("fashion_mnist", digits), "tabular": ("houses", diabetes)}

log = logging.getLogger(__name__)


def load(
    name: str | None = None,
    *,
    source: Path | str | None = None,
    resize: tuple[int, int] | None = None,
    download: bool = False,
    kind: str = "image",
    seed: int = 0,
) -> Dataset:
    """A data set, looked up in this order; the log says which was taken.

    `source`, and nothing else where it is given; the folder in the variable D2L_DATA; the usual caches
    of torchvision, tensorflow-datasets and Debian, and our own; a download, where `download` allows it;
    and, where no `name` asks for a certain set, the embedded default of `kind`.

    Args:
      name: one of `KNOWN`, in any spelling; None takes fashion_mnist (or houses) where it is found
        without network, and with `source` whatever that folder holds.
      source: a folder of idx files, csv files, or a prepared tfds folder, or a parent of such.
      resize: (height, width) for the images; None leaves them as they are.
      download: fetch what is not found, with its hash checked.
      kind: `"image"` or `"tabular"`: what to take where `name` is None.
      seed: for the data that is drawn (synthetic, weight_decay, ohms_law).

    Raises:
      InputError: the name or kind is unknown, nothing was found, or what was found is damaged.
    """
    if kind not in KINDS:
        raise one_of("kind of data", kind, list(KINDS))
    name = None if name is None else canonical(name)
    if name in BUILT_IN:
        if source is not None:
            raise InputError(f"{name} is built in and read from no folder; leave out {source} or the name")
        data = BUILT_IN[name](seed)
    else:
        data = _look_up(name, source, download, kind)
    log.info("data %s: %s", data.name, data.source)
    return data if resize is None else _resized(data, resize)


def canonical(name: str) -> str:
    """The name in `KNOWN` that is meant, e.g. `"fashion_mnist"` for `"FashionMNIST"`.

    Raises:
      InputError: there is none; the message tells the nearest.
    """
    known = spelled(name, KNOWN)
    if known is None:
        raise one_of("data set", name, list(KNOWN))
    return known


def _look_up(name: str | None, source: Path | str | None, download: bool, kind: str) -> Dataset:
    wanted, default = (name, None) if name else KINDS[kind]
    found, looked = _first(source, partial(_read, name if source is not None else wanted, kind))
    if found is not None:
        return found
    if source is not None:
        raise _not_in(Path(source), name, kind)
    if download:
        folder = fetch_houses() if wanted == "houses" else fetch_images(wanted)
        return _look_up(wanted, folder, False, kind)
    where = ", ".join(looked) or "no folder: none of the usual ones exists"
    if default is not None:
        log.info("%s was not found (looked in %s); taking the embedded default", wanted, where)
        return default()
    raise InputError(
        f"{name} was not found (looked in {where}); "
        f"pass --download, or name a folder that holds it, or set D2L_DATA to one"
    )


def _read(name: str | None, kind: str, place: Place) -> Dataset | None:
    try:
        if _is_houses(name, kind):
            return read_houses(place.folder)
        return read_images(place.folder, name, itself=place.named)
    except OSError as error:
        raise InputError(f"cannot look into {place.folder}: {error.strerror or error}") from error


def _first(source: Path | str | None, read: Callable[[Place], Dataset | None]) -> tuple[Dataset | None, list[str]]:
    """The data of the first place that has it, and the places looked at, with what was wrong there."""
    looked = []
    for place in places(source):
        note = ""
        try:
            data = read(place)
        except InputError as error:
            if place.named:
                raise
            data, note = None, f" ({error})"
            log.warning("skipped %s: %s", place.folder, error)
        if data is not None:
            return data, looked
        looked.append(f"{place.folder}{note}")
    return None, looked


def _not_in(folder: Path, name: str | None, kind: str) -> InputError:
    if _is_houses(name, kind):
        return InputError(f"{folder} holds no houses; kaggle_house_train.csv and _test.csv are needed")
    return nothing_in(folder, name)


def _is_houses(name: str | None, kind: str) -> bool:
    return name == "houses" or (name is None and kind == "tabular")


def _resized(data: Dataset, size: tuple[int, int]) -> Dataset:
    if data.train[0].ndim != 4:
        raise InputError(f"{data.name} holds no images to resize; leave out the size")
    (X, y), (X_test, y_test) = data.train, data.test
    return replace(data, train=(resize_images(X, size), y), test=(resize_images(X_test, size), y_test))
