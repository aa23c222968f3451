"""Finding what is not built in: folder by folder, then on the network, else what to say."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from d2l_jax.data.find.places import Place, places
from d2l_jax.errors import InputError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reader(NamedTuple, Generic[T]):
    """How data of one kind is read.

    Attributes:
      read: what a place holds, or None; InputError where it is damaged.
      fetch: downloads it and returns the folder.
      missing: the error for a folder that the user named and that does not hold it.
    """

    read: Callable[[Place], T | None]
    fetch: Callable[[], Path]
    missing: Callable[[Path], InputError]


def look_up(
    name: str, reader: Reader[T], source: Path | str | None, download: bool, default: Callable[[], T] | None = None
) -> T:
    """What `reader` reads from `source`; else from the first place that has it, the network, or `default`.

    Args:
      name: of what is looked for, for messages.
      reader: how it is read.
      source: the only folder to look into; None looks into all `places`.
      download: whether to fetch what is not found.
      default: makes what is taken where nothing is found; None makes that an error.

    Raises:
      InputError: nothing was found, or what was found is damaged.
    """
    found, looked = _first(source, reader.read)
    if found is not None:
        return found
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
    """The data of the first place that has it, and the places looked at, with what was wrong there."""
    looked = []
    for place in places(source):
        note = ""
        try:
            data = _read(read, place)
        except InputError as error:
            if place.named:
                raise
            data, note = None, f" ({error})"
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
