"""A torch.save file opened without running anything of it, though it names classes of a user's own.

PyTorch's weights-only unpickler does the reading. Each class that it does not know gets an inert stand-in, so that a
trainer's settings, or a whole pickled module, are no obstacle to the weights beside or in them.
"""

import _compat_pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError

# Whatever names these was not written by torch.save of a model.
PROGRAMS = {"os", "posix", "nt", "sys", "subprocess", "pty", "socket", "shutil", "runpy", "importlib", "ctypes"}
CODE = {f"builtins.{name}" for name in ("eval", "exec", "compile", "open", "__import__")}
LEGACY_PICKLES = 4  # magic number, protocol, system, content


class StandIn(list):
    """An object of a class that is not imported: it does nothing, and keeps what it was saved with."""

    name = ""
    state: Any = None
    arguments: tuple = ()

    def __init__(self, *args: Any, **options: Any):
        super().__init__()
        self.arguments = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return id(self)

    @property
    def attributes(self) -> dict[str, Any]:
        """Returns what the object's attributes were."""
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return state if isinstance(state, dict) else {}


def load(path: Path, names: list[str]) -> Any:
    """Returns what the file holds; where PyTorch refuses one of `names`, with stand-ins for all that it does not know.

    Raises InputError for a file that names programs, and whatever PyTorch raises.
    """
    import torch

    if programs := [name for name in names if name.partition(".")[0] in PROGRAMS or name in CODE]:
        raise InputError(f"{path} holds more than weights: it names {programs[0]}, which runs programs; not opened")
    mappings: set[str] = set()
    classes: dict[str, type] = {}
    while True:
        try:
            with torch.serialization.safe_globals([(kind, name) for name, kind in classes.items()]):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
        except Exception as error:
            if names and not classes:
                classes = {name: _class(name, mapping=False) for name in names}
                continue
            # An item was to be set in a class that is derived from dict.
            more = {name for name, kind in classes.items() if repr(kind) in str(error)} - mappings
            if not more:
                raise
            mappings |= more
            classes = {name: _class(name, name in mappings) for name in names}


def _class(name: str, mapping: bool) -> type:
    if name == "builtins.set":
        return set
    if mapping:
        return type(f"Mapping of {name}", (), {"__new__": lambda cls, *args, **options: OrderedDict()})
    return type(f"StandIn of {name}", (StandIn,), {"name": name})


def names_in(path: Path) -> list[str]:
    """Returns every class and function that the file names, without running anything.

    Raises InputError for a file of pickle's own, or of a protocol that cannot be read in safety.
    """
    names: dict[str, None] = {}
    for opcode, argument in _opcodes(path):
        if opcode == "STACK_GLOBAL":
            raise InputError(
                f"{path} was saved with pickle's protocol 4 or later, which PyTorch cannot read without running it; "
                "save it again with torch.save(model.state_dict(), path)"
            )
        if opcode == "GLOBAL":
            names[_of_python_3(*argument.split(" ", 1))] = None
    return list(names)


def _of_python_3(module: str, name: str) -> str:
    """The protocol of torch.save writes the names of Python 2: "__builtin__ set", "commands Popen"."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    return f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{name}"


def _opcodes(path: Path) -> Iterator[tuple[str, Any]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            for member in map(archive.getinfo, data):
                member.CRC = None  # pyright: ignore[reportAttributeAccessIssue]  # a file may be saved without sums
                with archive.open(member) as file:
                    yield from ((code.name, argument) for code, argument, _ in pickletools.genops(file))
        return
    with path.open("rb") as file:
        for _ in range(LEGACY_PICKLES):
            yield from ((code.name, argument) for code, argument, _ in pickletools.genops(file))
