"""Finding data that is not built in: folder by folder, then on the network, else an error that says what to do."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from d2l_jax.data.find.places import Place, places
from d2l_jax.errors import InputError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reader(NamedTuple, Generic[T]):
    """Functions that read, download and miss one data set.

    Attributes:
      read: returns the data of a place, or None where it has none; InputError where the data is damaged.
      fetch: downloads the data and returns the folder.
      missing: returns the error for a folder that the user named and that does not hold the data.
    """

    read: Callable[[Place], T | None]
    fetch: Callable[[], Path]
    missing: Callable[[Path], InputError]


def look_up(
    name: str, reader: Reader[T], source: Path | str | None, download: bool, default: Callable[[], T] | None = None
) -> T:
    """Returns the data of `source`, or else of the first place that has it, of a download, or of `default`.

    Args:
      name: name of the data set, for messages.
      reader: the functions that read and download it.
      source: the only folder to look into; None looks into all `places`.
      download: fetch the data where no folder holds it.
      default: makes the data that stands in where no place has it; None makes that an error.

    Raises:
      InputError: no place has the data, or the data is damaged.
    """
    data, looked = _first(source, reader.read)
    if data is not None:
        return data
    if source is not None:
        raise reader.missing(Path(source))
    if download:
        return look_up(name, reader, reader.fetch(), False)
    where = ", ".join(looked) or "no folder: none of the usual ones exists"
    if default is not None:
        log.info("%s was not found (looked in %s); taking the embedded default", name, where)
        return default()
    raise InputError(
        f"{name} was not found (looked in {where}); "
        f"pass --download, or name a folder that holds it, or set D2L_DATA to one"
    )


def _first(source: Path | str | None, read: Callable[[Place], T | None]) -> tuple[T | None, list[str]]:
    """The data of the first place that has it, and the places before it, each with its error if it had one."""
    looked = []
    for place in places(source):
        note = ""
        try:
            data = _read(read, place)
        except InputError as error:
            if place.named:
                raise
            data = None
            note = f" ({error})"
            log.warning("skipped %s: %s", place.folder, error)
        if data is not None:
            return data, looked
        looked.append(f"{place.folder}{note}")
    return None, looked


def _read(read: Callable[[Place], T | None], place: Place) -> T | None:
    try:
        return read(place)
    except OSError as error:
        raise InputError(f"cannot look into {place.folder}: {error.strerror or error}") from error
