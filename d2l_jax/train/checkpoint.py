"""Checkpoints of a training run: `FOLDER/EPOCH` holds two orbax trees, `meta.json` and checksums of all.

A checkpoint appears whole or not at all, and one whose checksums are wrong is never read. Nothing in it tells on how
many devices, or in how many processes, it was made: it is one copy of the state, random keys as their numbers.
"""

import contextlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.functional import Tree
from d2l_jax.train.host import from_host, to_host
from d2l_jax.train.state import TrainState
from d2l_jax.write import UNFINISHED, replacing, write_json

WEIGHTS = "weights"
TRAINING = "training"
META = "meta.json"
CHECKSUMS = "checksums.json"
KEYS = "random_keys"  # in the meta of checkpoints that hold them as numbers
FOLDER = "checkpoints"

log = logging.getLogger(__name__)


class Resumed(NamedTuple):
    """Where a run goes on from, and the notes that were saved there."""

    path: Path
    meta: dict[str, Any]


class Checkpoint(NamedTuple):
    """The state and the notes that were saved after an epoch, and where they lie."""

    epoch: int
    state: TrainState
    meta: dict[str, Any]
    path: Path

    @property
    def resumed(self) -> Resumed:
        """Returns it without its state."""
        return Resumed(self.path, self.meta)


class Damaged(InputError):
    """A checkpoint is incomplete or was changed."""


def epochs_in(folder: Path) -> list[int]:
    """The epochs of which `folder` holds a checkpoint, good or damaged, in ascending order."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def holds_checkpoints(path: Path) -> bool:
    """Tells whether `path` is a run's folder with checkpoints, its folder of them, or one, good or damaged."""
    folders = [folder / str(epoch) for folder in (path, path / FOLDER) for epoch in epochs_in(folder)]
    # Other programs' folders are called so, too.
    return any((folder / name).exists() for folder in [path, *folders] for name in (META, CHECKSUMS))


def save(folder: Path, epoch: int, state: TrainState, meta: dict[str, Any], keep: Collection[int] = ()) -> None:
    """Writes the checkpoint of `epoch`, then deletes those of other epochs that are not in `keep`.

    Of several processes one calls it. What a save that was killed left in `folder` is deleted, too.

    Raises InputError where it cannot be written.
    """
    for torn in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(torn, ignore_errors=True)
    with replacing(folder / str(epoch)) as part:
        part.mkdir()
        part = part.absolute()  # orbax takes no relative path
        _write(part / WEIGHTS, _weights(state))
        _write(part / TRAINING, {"opt_state": state.opt_state, "step": state.step})
        write_json(part / META, {**meta, "shapes": _shapes(state), KEYS: "numbers"})
        write_json(part / CHECKSUMS, _checksums(part))
    for old in {*epochs_in(folder)} - {epoch, *keep}:
        shutil.rmtree(folder / str(old), ignore_errors=True)


def restore(folder: Path, epoch: int, like: TrainState) -> Checkpoint:
    """The checkpoint of `epoch`, with the structure and the types of `like`.

    Raises Damaged, or InputError where it was saved from another model or optimiser.
    """
    path = folder.absolute() / str(epoch)
    meta = read_meta(path)
    refuse_other("array", _shapes(like), meta["shapes"], path)
    weights = _read(path / WEIGHTS, _weights(like), meta)
    training = _read(path / TRAINING, {"opt_state": like.opt_state, "step": like.step}, meta)
    return Checkpoint(epoch, TrainState(**weights, **training), meta, folder / str(epoch))


def restore_last(folder: Path, like: TrainState, settings: dict[str, Any]) -> Checkpoint:
    """The last checkpoint that is not damaged; the log warns of those that are.

    Raises InputError if there is none, or if it was saved under other `settings`; the first one that
    differs is named.
    """
    for epoch in reversed(epochs_in(folder)):
        try:
            meta = read_meta(folder / str(epoch))
        except Damaged as error:
            log.warning("%s; going back to the one before", error)
            continue
        refuse_other("setting", settings, meta["settings"], folder / str(epoch))
        return restore(folder, epoch, like)
    content = "only damaged checkpoints" if epochs_in(folder) else "no checkpoint"
    raise InputError(f"{folder} holds {content} to resume from; start without --resume, with another --out")


def load_params(path: Path | str, model: nnx.Module) -> nnx.Module:
    """Puts the parameters and buffers of a saved state into `model`, which is returned.

    path: a run's folder or its `checkpoints`, of which the last good one is taken, or one checkpoint

    Raises InputError, and changes nothing, where there is none or where it does not fit `model`.
    """
    path = last_good(Path(path).absolute())
    _, *states = nnx.split(model, nnx.Param, ...)
    fresh = dict(zip(("params", "buffers"), map(nnx.to_pure_dict, states)))
    meta = read_meta(path)
    saved = {name: shape for name, shape in meta["shapes"].items() if name.split(".")[0] in fresh}
    refuse_other("array", _shapes(fresh), saved, path)
    weights = _read(path / WEIGHTS, fresh, meta)
    for state, name in zip(states, fresh):
        nnx.replace_by_pure_dict(state, weights[name])
        nnx.update(model, state)
    return model


def last_good(path: Path) -> Path:
    """Returns `path` itself, or the last good one of the checkpoints in it. Raises InputError if there is none."""
    if (path / META).exists():
        return path
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    for epoch in reversed(epochs_in(folder)):
        with contextlib.suppress(Damaged):
            read_meta(folder / str(epoch))
            return folder / str(epoch)
    raise InputError(f"{path} holds no good checkpoint; name a run's folder, or one of its checkpoints")


def read_meta(path: Path) -> dict[str, Any]:
    """Returns what was saved beside the state at `path`; Damaged if the checksum of any file is wrong."""
    try:
        expected = json.loads((path / CHECKSUMS).read_text())
        if wrong := [name for name, value in _checksums(path).items() if expected.pop(name, None) != value]:
            raise Damaged(f"the checkpoint {path} is damaged: {wrong[0]} was changed")
        if expected:
            raise Damaged(f"the checkpoint {path} is damaged: {next(iter(expected))} is missing")
        return json.loads((path / META).read_text())
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(f"the checkpoint {path} is damaged: {CHECKSUMS} is missing or garbled") from error


def _weights(state: TrainState) -> dict[str, Tree]:
    return {"params": state.params, "buffers": state.buffers}


def _write(path: Path, tree: Any) -> None:
    from orbax import checkpoint as ocp

    _reserve(path.parent / "space", sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
    try:
        with _orbax() as orbax:
            orbax.save(path, args=ocp.args.StandardSave(to_host(tree)))
    except ValueError as error:  # what tensorstore makes of an OSError
        raise OSError(str(error).split("\n")[0]) from error


def _reserve(path: Path, size: int) -> None:
    """Raises OSError where `size` bytes have no room: orbax would find out in its threads, with tracebacks."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(file.fileno(), 0, max(1, size))
    path.unlink()


def _read(path: Path, like: Any, meta: dict[str, Any]) -> Any:
    from orbax import checkpoint as ocp

    if KEYS in meta:
        with _orbax() as orbax:
            return from_host(orbax.restore(path, args=ocp.args.StandardRestore(to_host(like))), like)
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    with _orbax() as orbax:
        return orbax.restore(path, args=ocp.args.StandardRestore(target))


def _orbax() -> Any:
    """Returns orbax's checkpointer for this process alone: it would wait for the others."""
    from orbax import checkpoint as ocp

    number = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(number, {number}, f"process-{number}")
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _checksums(path: Path) -> dict[str, int]:
    files = (file for file in path.rglob("*") if file.is_file() and file.name != CHECKSUMS)
    return {str(file.relative_to(path)): zlib.crc32(file.read_bytes()) for file in sorted(files)}


def _shapes(tree: Any) -> dict[str, list]:
    """{name: [dtype, *shape]} of every array."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    return {name: [str(leaf.dtype), *leaf.shape] for name, (_, leaf) in zip(names, leaves)}


def refuse_other(what: str, here: dict[str, Any], saved: dict[str, Any], path: Path) -> None:
    """Raises InputError if two descriptions differ; it names the first difference."""
    for name in [*here, *(name for name in saved if name not in here)]:
        if here.get(name) != saved.get(name):
            ours, theirs = (json.dumps(each.get(name)) for each in (here, saved))
            raise InputError(
                f"{path} does not fit: the {what} {name!r} is {theirs} there and {ours} here; the same is right"
            )
