"""Text files in a folder, a zip or a tar archive, read in place: nothing is unpacked."""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from d2l_jax.data.files import UNREADABLE, refuse_outside
from d2l_jax.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
Content = tuple[str, bytes]  # the name within the folder or archive, with "/" between folders, and the bytes
DAMAGE = (*UNREADABLE, tarfile.TarError)


def is_archive(path: Path) -> bool:
    """Tells whether a path is a zip or tar file, by the end of its name."""
    return path.name.endswith(ARCHIVES) and path.is_file()


def archives_in(folder: Path, stem: str) -> list[Path]:
    """Returns the zip and tar archives in a folder whose names begin so, by their names."""
    return [path for path in sorted(folder.glob(f"{stem}*")) if is_archive(path)]


def contents(path: Path, of_interest: Callable[[str], bool]) -> list[Content]:
    """Reads the files of a folder, a zip or a tar archive whose names are of interest, sorted by name.

    Raises:
      InputError: an archive is damaged, or any name in it is absolute or climbs out by "..".
    """
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return [(name, (path / name).read_bytes()) for name in names if of_interest(name)]
    try:
        members = _in_zip if path.suffix == ".zip" else _in_tar
        return sorted(members(path, of_interest))
    except DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise InputError(f"{path} is no sound archive ({reason}); fetch it again") from error


def lines_of(text: str) -> list[str]:
    """Splits a text at its line ends alone: other separators of Unicode are part of words in some corpora."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _in_zip(path: Path, of_interest: Callable[[str], bool]) -> Iterator[Content]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        refuse_outside(path, names)
        for name in names:
            if not name.endswith("/") and of_interest(name):
                yield name, archive.read(name)


def _in_tar(path: Path, of_interest: Callable[[str], bool]) -> Iterator[Content]:
    with tarfile.open(path) as archive:
        for member in archive:
            refuse_outside(path, [member.name])
            file = archive.extractfile(member) if member.isreg() and of_interest(member.name) else None
            if file is not None:
                yield member.name.removeprefix("./"), file.read()
