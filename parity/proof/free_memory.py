"""The memory that this process may still take, of the machine and of the control groups that it is in."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Files(NamedTuple):
    """The files of a control group that say how much memory it may use, does use, and could give back."""

    limit: str
    usage: str
    cache: str


VERSIONS = {
    "memory": Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    "": Files("memory.max", "memory.current", "inactive_file"),
}


def free_memory(root: Path = Path("/")) -> int | None:
    """Returns the bytes that this process may still take, of the machine and of its control groups; None is not known.

    root: of the file system with /proc and /sys
    """
    return min([*_of_the_machine(root), *_of_groups(root)], default=None)


def _of_the_machine(root: Path) -> Iterator[int]:
    values = _values(root / "proc/meminfo")
    if "MemAvailable:" in values:
        yield 1024 * (values["MemAvailable:"] + values.get("SwapFree:", 0))


def _of_groups(root: Path) -> Iterator[int]:
    """Yields what the group of this process may take, and each group around it."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in VERSIONS.keys() & set(controllers.split(",")):
            top = root / "sys/fs/cgroup" / controller
            group = top / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    yield from _of_a_group(folder, VERSIONS[controller])


def _of_a_group(folder: Path, files: Files) -> Iterator[int]:
    limit = _text(folder / files.limit).strip()
    usage = _text(folder / files.usage).strip()
    if limit.isdigit() and usage.isdigit():
        yield int(limit) - int(usage) + _values(folder / "memory.stat").get(files.cache, 0)


def _values(path: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for line in _text(path).splitlines() if len(words := line.split()) > 1}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # another system, or a group of the host's that a container does not see
        return ""
