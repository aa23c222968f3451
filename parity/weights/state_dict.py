"""PyTorch's weights, wherever they stand, into an NNX model."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.train import checkpoint
from d2l_jax.weights.file import NAME
from d2l_jax.weights.leaf import Leaf
from d2l_jax.weights.rules import leaves
from d2l_jax.weights.state_dict import Values, converted, take
from d2l_jax.weights.state_dict import state_dict as state_dict
from parity.weights.choice import Choice, choices, chosen, left_out, names_of, part_of, without_prefix
from parity.weights.content import Content, content_of
from parity.weights.files import read_state_dict
from parity.weights.joined import joined
from parity.weights.kinds import kind_of
from parity.weights.parametrized import as_computed, folded, others
from parity.weights.tensors import to_numpy

log = logging.getLogger(__name__)
ADDRESS = re.compile(r"(https?|s3|gs|hf)://")
OTHER_NAMES = (
    "where names are others, parity.load_by_map(model, checkpoint, result.weights) loads by the map that a"
    " parity.check of the two models has found"
)
Source = Mapping[str, Any] | str | Path | Any


def load_state_dict(model: nnx.Module, source: Source, dtype: Any = None, *, entry: str = "") -> nnx.Module:
    """Puts PyTorch's weights into `model`, which is returned.

    source: a path, a torch.nn.Module, or torch tensors or numpy arrays by key. A path is a file of torch.save,
            .safetensors or TorchScript, whatever its suffix, an index or a folder of shards, or a run's folder
    dtype:  of the floating-point variables from now on; None keeps each variable's own
    entry:  name under which the weights stand, where several would fit: "model_ema"

    A prefix of all names, a trainer's wrapping, tied keys and folded parametrizations are told in one line of the log.
    Nothing of a file is run. Raises InputError, and changes nothing, if a key is missing or left over, a shape differs,
    a value is not finite, or a shared tensor has two values; the first ten of each kind are listed.
    """
    _refuse_other_models(model)
    expected, held, owner = leaves(model), read(source, model), type(model).__name__
    return take(model, arrays_of(expected, held, source, dtype, entry, owner, OTHER_NAMES))


def arrays_of(
    expected: list[Leaf], held: Any, source: Source, dtype: Any, entry: str, owner: str, other_names: str = ""
) -> Values:
    """Returns {path: JAX's array} of what a model expects; errors and lines of the log are those of `load_state_dict`.

    held:        what the source holds
    other_names: what is said where most names are others
    """
    content = content_of(held)
    place = str(source) if isinstance(source, str | Path) else f"the {_kind(source)}"
    if not content.tensors and expected:
        kinds = "; ".join(f"{name or 'it'} is {kind}" for name, kind in list(content.others.items())[:4])
        no_tensors = f"it holds no state_dict (a mapping of names to tensors){': ' * bool(kinds)}{kinds}"
        raise InputError(f"{place} does not fit {owner}: {no_tensors}")
    choice, notes = _chosen(expected, content, entry.rstrip("."), place)
    if not choice.fits and (kind := kind_of(content.tensors, content.others)):
        raise InputError(f"{place} does not fit {owner}: it {kind}")
    hints = _hints(expected, choice, content)
    told = any(key in hints for key in choice.missing)  # of tied tensors, which are no other part
    if not (choice.fits or told) and (part := part_of(expected, content, entry)):
        alone = f"it holds the weights of {part!r} alone, a part of the model; load them into that part"
        raise InputError(f"{place} does not fit {owner}: {alone}")
    within = f", under {choice.prefix.rstrip('.')!r}," if choice.prefix else ""
    try:
        values = converted(expected, choice.tensors, dtype, to_numpy, hints, f"{place}{within}", owner)
    except InputError as error:
        if other_names and 2 * min(len(choice.missing), len(choice.unexpected)) > len(expected):
            raise InputError(f"{error}; {other_names}") from None
        raise
    if notes:
        log.warning("%s: %s", place, "; ".join(notes))
    return values


def _kind(source: Any) -> str:
    return "state_dict" if isinstance(source, Mapping) else type(source).__name__


def _refuse_other_models(model: Any) -> None:
    if isinstance(model, type):
        raise InputError(f"{model.__name__} is a class; weights go into a model that was made of it")
    if not isinstance(model, nnx.Module):
        raise InputError(f"weights go into an nnx.Module, not into {type(model).__name__}")


def _hints(tensors: list[Leaf], choice: Choice, content: Content) -> dict[str, str]:
    """Returns what is said of missing keys: what stands in their place."""
    hints = others(choice.tensors) | joined(choice.missing, choice.tensors)
    hints |= {name.removeprefix(choice.prefix): f" ({kind})" for name, kind in content.others.items()}
    if len(choice.missing) == 1 and (twin := _alike(tensors, choice)):
        hints.setdefault(choice.missing[0], f" (was it left out as tied? {twin} has its shape)")
    return hints


def _alike(tensors: list[Leaf], choice: Choice) -> str:
    """Returns the key of a matrix of the shape of the only one that is missing; "" if there is none."""
    (shape,) = (leaf.shape for leaf in tensors if leaf.key == choice.missing[0])
    keys = [key for key, tensor in choice.tensors.items() if tuple(tensor.shape) == shape and len(shape) > 1]
    return keys[0] if keys else ""


def read(source: Any, model: nnx.Module | None = None) -> Any:
    """Returns what a source holds; `model` is that of a run, whose folder it may be."""
    if isinstance(source, str | Path):
        if ADDRESS.match(str(source)):
            raise InputError(f"{source} is an address; download the file and name it")
        path = Path(source)
        if (path / NAME).is_file():
            return read_state_dict(path / NAME)
        if model and checkpoint.holds_checkpoints(path):
            return state_dict(checkpoint.load_params(path, nnx.clone(model)))
        return read_state_dict(path)
    if isinstance(source, nnx.Module):
        return state_dict(source)
    if isinstance(source, type):
        raise InputError(f"{source.__name__} is a class; load a state_dict, an instance or a path")
    if hasattr(source, "state_dict"):
        return as_computed(source, source.state_dict())
    if not isinstance(source, Mapping):
        raise InputError(f"weights come from a path, a module or a state_dict, not from {type(source).__name__}")
    return source


def _chosen(tensors: list[Leaf], content: Content, entry: str, place: str) -> tuple[Choice, list[str]]:
    """Returns the tensors that are loaded and what is to be said of them; or those that come nearest."""
    variants = []
    # DataParallel around a part of the model puts its word into the middle of names.
    for each in filter(None, (content, content.without("module"))):
        notes = [f"{word!r} taken off its names" for word in each.taken_off]
        variants.append((each, notes, ""))
        plain, words = folded(each.tensors)
        if words:
            variants.append((each.with_tensors(plain), [*notes, *words], ""))
    if head := without_prefix(tensors):
        variants += [(variant, [*said, f"{head!r} put before its names"], head) for variant, said, _ in variants]
    nearest: list[Choice] = []
    for variant, said, head in variants:
        expected = [replace(leaf, key=leaf.key.removeprefix(head)) for leaf in tensors]
        tried = list(choices(expected, variant, entry))
        if not tried and variant is content:
            raise InputError(f"{place} has no entry {entry!r}; it has {names_of(content)}")
        try:
            # Names are not exchanged where tensors stand beside: "head." is not "embed.".
            fitting = [each for each in tried if each.fits and not (head and left_out(each, variant))]
            choice = chosen(fitting, variant, entry)
        except InputError as error:
            raise InputError(f"{place} {error}") from None
        if choice:
            named = {head + key: tensor for key, tensor in choice.tensors.items()}
            return choice._replace(tensors=named), [*_notes(choice, variant), *said]
        if not head:
            nearest += tried
    return max(nearest, key=lambda each: each.likeness), []


def _notes(choice: Choice, content: Content) -> list[str]:
    surplus = left_out(choice, content)
    prefix = choice.prefix.rstrip(".")
    if not prefix:
        return list(choice.allowed)
    more = f", {len(surplus)} beside them left out ({', '.join(surplus[:3])})" if surplus else ""
    whole = all(name.startswith(choice.prefix) for name in content.tensors)
    words = f"{choice.prefix!r} taken off its names" if whole else f"the tensors under {prefix!r} are loaded{more}"
    return [words, *choice.allowed]
