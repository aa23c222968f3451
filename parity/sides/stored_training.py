"""What a run of the twin goes on from: one file beside its weights, replaced whole after every epoch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from d2l_jax.errors import InputError
from d2l_jax.train.checkpoint import Resumed, refuse_other
from d2l_jax.write import replacing

NAME = "training.pt"


class Stateful(Protocol):
    """A model, an optimiser or a scheduler of PyTorch's."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


def stateful(**parts: Stateful | None) -> dict[str, Stateful]:
    """Returns the parts that are there, by name."""
    return {name: part for name, part in parts.items() if part is not None}


def save(path: Path, content: Any) -> None:
    """Writes what `torch.load` reads. Raises InputError where it cannot be written."""
    with replacing(path) as part:
        try:
            torch.save(content, part)
        except RuntimeError as error:  # what PyTorch's writer makes of a full disk
            raise OSError(str(error).split("\n")[0]) from error


def save_training(out: Path, parts: Mapping[str, Stateful], steps: int, meta: dict[str, Any]) -> None:
    """Saves the states of all parts, of PyTorch's random numbers, and `meta`, which names the settings."""
    states = {name: part.state_dict() for name, part in parts.items()}
    save(out / NAME, {"states": states, "random": torch.get_rng_state(), "steps": steps, "meta": meta})


def resume_training(out: Path, parts: Mapping[str, Stateful], settings: dict[str, Any]) -> tuple[int, Resumed]:
    """Puts all parts, and PyTorch's random numbers, where they were; returns the steps taken until then.

    Raises InputError where there is no such file, where it is damaged, or where it was saved under other settings.
    """
    path = out / NAME
    if not path.is_file():
        raise InputError(f"{out} holds no {NAME} to resume from; start without --resume, with another --out")
    try:
        content = torch.load(path, weights_only=True)
        states, random, steps, meta = (content[name] for name in ("states", "random", "steps", "meta"))
    except Exception as error:  # whatever a reader of archives and pickles meets in a damaged one
        raise InputError(f"{path} is damaged; start without --resume, with another --out") from error
    refuse_other("setting", settings, meta["settings"], path)
    for name, part in parts.items():
        part.load_state_dict(states[name])
    torch.set_rng_state(random)
    return steps, Resumed(path, meta)
