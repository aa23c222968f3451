"""Files by name, whether they lie in a folder or in a zip; and pictures among them."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)  # of a password, or an unknown packing


class Files(NamedTuple):
    """The contents of a folder or of a zip.

    Attributes:
      where: its path.
      names: of all files below it, with "/" between folders, sorted.
      read: name -> content.
    """

    where: Path
    names: tuple[str, ...]
    read: Callable[[str], bytes]


def files_in(path: Path) -> Files:
    """Lists a folder or a zip; InputError where the zip is damaged, or names a file outside of it."""
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return Files(path, tuple(names), lambda name: (path / name).read_bytes())
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is no sound zip file ({error}); fetch it again") from error
    names = sorted(name for name in archive.namelist() if not name.endswith("/"))
    refuse_outside(path, names)
    return Files(path, tuple(names), archive.read)


def refuse_outside(path: Path, names: Iterable[str]) -> None:
    """Raises InputError for an archive with an absolute name, or one that climbs out of its folder."""
    for name in names:
        plain = name.replace("\\", "/")
        if plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
            raise InputError(f"{path} names a file outside of it, {name!r}; an archive of relative names is right")


def decoded(content: bytes, where: str) -> str:
    """Returns the text of a file in UTF-8; InputError that names the line with other bytes."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{where}, line {line}: byte {content[error.start]:#04x} is not UTF-8") from error


def read_text(files: Files, name: str) -> str:
    """Reads a text in UTF-8; InputError where it is damaged, with the line where other bytes are."""
    try:
        content = files.read(name)
    except UNREADABLE as error:
        raise InputError(f"{files.where}: {name} cannot be read ({error}); fetch it again") from error
    return decoded(content, f"{files.where}: {name}")


def read_picture(files: Files, name: str, mode: str = "RGB") -> np.ndarray:
    """Reads a picture; InputError where it is damaged.

    mode: Pillow's, "RGB" for red, green and blue, uint8 (height, width, 3); "" leaves what the file has, as the numbers
          of classes, uint8 (height, width)
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(files.read(name))) as image:
            return np.asarray(image.convert(mode) if mode else image)
    except Exception as error:  # Pillow and zipfile end in many ways at a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        reason = reason if "BytesIO" not in reason else "it is in no format that Pillow knows"
        raise InputError(f"{files.where}: {name} is no whole picture ({reason}); fetch it again") from error
