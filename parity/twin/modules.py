"""Which submodule of the one model is which of the other: those that hold the same tensors, or have one name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from d2l_jax.weights.leaf import Leaf
from parity.models.calls import Path
from parity.models.cutting import names_rows


def correspondence(tensors: Iterable[Leaf], torch_model: torch.nn.Module, paths: Iterable[Path]) -> dict[str, Path]:
    """{PyTorch's name: Flax's path}, the root included.

    Where several nested modules hold just the same tensors, the innermost of either side are partners, and so on
    outwards: a layer is a layer on both sides, what stands around it may differ. A layer whose units stand in another
    order than its partner's has none: what it gives is compared in the layers behind.
    """
    leaves = list(tensors)
    paths = list(paths)
    theirs = _by_content((name, _keys_under(name, leaves)) for name, _ in torch_model.named_modules())
    ours = _by_content((path, _keys_at(path, leaves, paths)) for path in paths)
    paths_by_name: dict[str, Path] = {"": ()}
    for content, names in theirs.items():
        paths_by_name |= dict(zip(reversed(names), reversed(ours.get(content, [])), strict=False))
    dotted = {_dotted(path): path for path in paths} | {".".join(map(str, path)): path for path in paths}
    for name in {leaf.key.rpartition(".")[0] for leaf in leaves if names_rows(leaf.path)}:
        if all(names_rows(leaf.path) for leaf in leaves if leaf.key.startswith(f"{name}.")):
            paths_by_name.pop(name, None)
    free = {name for name, _ in torch_model.named_modules() if not _keys_under(name, leaves)}
    return paths_by_name | {
        name: dotted[name] for name in free if name in dotted and not _keys_at(dotted[name], leaves, paths)
    }


def nested(
    tensors: Iterable[Leaf], torch_model: torch.nn.Module, paths: Iterable[Path]
) -> list[tuple[list[str], list[Path]]]:
    """Lists nested modules of either side that hold just the same tensors, where one side has more of them."""
    leaves = list(tensors)
    paths = list(paths)
    theirs = _by_content((name, _keys_under(name, leaves)) for name, _ in torch_model.named_modules() if name)
    ours = _by_content((path, _keys_at(path, leaves, paths)) for path in paths if path)
    return [(names, ours[content]) for content, names in theirs.items() if len(names) != len(ours.get(content, names))]


def site_of(stack: Sequence[Any], names: Mapping[Any, str]) -> str:
    """The innermost module of a stack of calls that both models have."""
    return next((names[module] for module in reversed(stack) if module in names), "")


def _by_content(modules: Iterable[tuple[Any, frozenset]]) -> dict[frozenset, list]:
    by_content: dict[frozenset, list] = {}
    for module, content in modules:
        if content:
            by_content.setdefault(content, []).append(module)
    return by_content


def _keys_under(name: str, tensors: list[Leaf]) -> frozenset:
    start = f"{name}." if name else ""
    return frozenset(leaf.path for leaf in tensors if leaf.key.startswith(start))


def _keys_at(path: Path, tensors: list[Leaf], paths: list[Path]) -> frozenset:
    return frozenset(leaf.path for leaf in tensors if _place(leaf.path, paths)[: len(path)] == path)


def _place(path: Path, paths: list[Path]) -> Path:
    """Returns where a tensor stands among the modules: a buffer of Linen's has the name of its collection in front."""
    return path if len(path) == 1 or any(module[:1] == path[:1] for module in paths) else path[1:]


def _dotted(path: Path) -> str:
    """Flax's path as PyTorch would write it: without the list that `nnx.Sequential` keeps."""
    return ".".join(str(name) for name in path if name != "layers")
