"""Arrays whose parts stand in another order than PyTorch's: k, q, v, those of each head in turn, gates exchanged.

Which order it is the numbers decide: under the right one the layer behind is given what PyTorch's is given.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from d2l_jax.weights.leaf import Leaf, Rows
from parity.match.apart import NUMBER, owner
from parity.match.passing import Partner, Pass
from parity.match.recurrent import GATES, kind_of
from parity.match.taken import outermost
from parity.models.calls import Path
from parity.models.cutting import Cuts, Cutting, Piece

COUNTS = (3, 2, 4)  # queries, keys and values; a gate and its values; an LSTM's gates
MOST = 60  # orders that are tried for one kind of array
Widths = tuple[int, ...]
Layout = tuple[int, int, Widths, Sequence[int]]  # blocks in PyTorch, blocks in Flax, widths in PyTorch's order, order
SMALL = 16  # heads, where no module tells how many it has


def blocks_of_rows(leaves: Sequence[Leaf], model: torch.nn.Module) -> list[int]:
    """Returns into how many blocks PyTorch's fused tensors may fall that several of Flax's arrays hold, one by one."""
    parts = [leaf for leaf in leaves if leaf.rows and len(leaf.rows) == 2 and len(leaf.shape) > 1]
    return list(dict.fromkeys(n for leaf in parts for n in _blocks(model, leaf.key, [leaf.shape[0]])))


def in_other_orders(cuts: Cuts, model: torch.nn.Module) -> Iterator[Cuts]:
    """Yields the cuts with one kind of array cut otherwise: into the same pieces, in another order or in blocks."""
    kinds: dict[str, list[Path]] = {}
    for path, cutting in cuts.items():
        if any(piece.width > 1 for piece in cutting.pieces) and not any(piece.rows for piece in cutting.pieces):
            kinds.setdefault(_kind(path[:-1]), []).append(path)
    for paths in kinds.values():
        first = cuts[paths[0]]
        if len(first.pieces) not in COUNTS:
            continue
        widths = [piece.width for piece in first.pieces]
        blocks = [1, *_blocks(model, first.pieces[0].key, widths)]
        orders = itertools.product(blocks, itertools.permutations(range(len(widths))))
        for count, order in itertools.islice(orders, 1, MOST):
            yield {**cuts, **{path: _turned(cuts[path], count, order) for path in paths}}


def in_other_arrays(cuts: Cuts) -> Iterator[Cuts]:
    """Yields the cuts with the layers that two arrays of a module are cut into dealt out to them otherwise.

    A layer's bias goes where its kernel does.
    """
    kinds: dict[str, dict[Path, list[str]]] = {}
    for path, cutting in cuts.items():
        owners = kinds.setdefault(_kind(path[:-2]), {}).setdefault(path[:-2], [])
        owners += [owner(piece.key) for piece in cutting.pieces if owner(piece.key) not in owners]
    for modules in kinds.values():
        several = [path for path in cuts if path[:-2] in modules]
        arrays = {frozenset(owner(piece.key) for piece in cuts[path].pieces) for path in several}
        counts = {len(owners) for owners in modules.values()}
        if len(counts) > 1 or not len(modules) < len(arrays) or max(counts) > max(COUNTS):
            continue
        for order in itertools.islice(itertools.permutations(range(*counts)), 1, None):
            moved = {path: dict(zip(own, [own[n] for n in order], strict=True)) for path, own in modules.items()}
            yield {**cuts, **{path: _moved(cuts[path], moved[path[:-2]]) for path in several}}


def _moved(cutting: Cutting, owners: Mapping[str, str]) -> Cutting:
    keys = ((piece, piece.key.rpartition(".")[2]) for piece in cutting.pieces)
    return replace(cutting, pieces=tuple(replace(p, key=f"{owners[owner(p.key)]}.{last}") for p, last in keys))


def _turned(cutting: Cutting, blocks: int, order: Sequence[int]) -> Cutting:
    pieces = [cutting.pieces[number] for number in order]
    return replace(cutting, pieces=tuple(replace(p, width=p.width // blocks) for p in pieces), blocks=blocks)


def of_fused(run: Pass, model: torch.nn.Module) -> Iterator[Cuts]:
    """Yields cuts of the dense layers before the first that had to be guessed, which PyTorch has in one, too."""
    family = _family(run)
    leaves = [leaf for _, partner in family for leaf in partner.leaves]
    layouts = sorted(_layouts(leaves[0], model, family[0][1].layer.parts), key=_oddity) if leaves else []
    for layout in layouts[:MOST]:
        yield {leaf.path: _cutting(leaf, *layout) for leaf in leaves}


def _layouts(leaf: Leaf, model: torch.nn.Module, taken: Sequence[Rows]) -> Iterator[Layout]:
    """Yields how the rows of a fused layer may stand in both models, but for the ways in which they stand alike.

    taken: the parts that PyTorch's model is seen to take
    """
    rows = leaf.shape[0]
    if told := outermost(taken, rows):
        theirs = rows // told[0][2] if len(told[0]) > 2 else 1
        widths = tuple(theirs * (end - first) for first, end, *_ in told)
        blocks = dict.fromkeys([1, theirs, *_blocks(model, leaf.key, widths)])
        for ours, order in itertools.product(blocks, itertools.permutations(range(len(widths)))):
            if theirs != ours or order != tuple(range(len(widths))):
                yield theirs, ours, widths, order
    equal = [_equal(leaf, parts) for parts in COUNTS if not rows % parts]
    for widths in (*equal, *dict.fromkeys(_unequal(rows, _behind(leaf.key, model)))):
        of_heads = _blocks(model, leaf.key, widths) if len(widths) < 4 else []
        orders = itertools.permutations(range(len(widths)))
        for theirs, ours, order in itertools.product([1, *of_heads], [1, *of_heads], orders):
            if theirs != ours or order != tuple(range(len(widths))):
                yield theirs, ours, widths, order


def _oddity(layout: Layout) -> int:
    """Returns in how much a layout differs from parts one behind the other in both models."""
    theirs, ours, _, order = layout
    return (theirs > 1) + (ours > 1) + (list(order) != sorted(order))


def _equal(leaf: Leaf, parts: int) -> Widths:
    return (leaf.shape[0] // parts,) * parts


def _unequal(rows: int, told: Sequence[int]) -> Iterator[Widths]:
    """Yields widths of parts in PyTorch's order: two that are alike, as keys and values, beside one or two others.

    told: what others may be, as layers behind it are as wide: what is attended, an MLP's inner units
    """
    lone = sorted((width for width in told if width < rows), reverse=True)
    for others in (*((width,) for width in lone), *itertools.combinations(lone, 2)):
        pair, odd = divmod(rows - sum(others), 2)
        if pair > 0 and not odd and pair not in others:
            yield (others[0], pair, pair, *others[1:])
            yield (*others[1:], pair, pair, others[0])
    for width in (width for width in lone if 2 * width != rows):
        yield from ((width, rows - width), (rows - width, width))


def _behind(key: str, model: torch.nn.Module) -> list[int]:
    """Returns how many inputs the other dense layers of the same module have."""
    own = key.rpartition(".")[0]
    around = model.get_submodule(own.rpartition(".")[0])
    others = [module for name, module in around.named_modules() if name != own.rpartition(".")[2]]
    return list(dict.fromkeys(module.in_features for module in others if isinstance(module, torch.nn.Linear)))


def of_gates(leaves: Sequence[Leaf], model: torch.nn.Module) -> Iterator[Cuts]:
    """Yields cuts of the arrays that recurrences by hand have in place of PyTorch's recurrent layers, gate by gate."""
    kinds = {name: kind_of(module) for name, module in model.named_modules()}
    for kind, gates in GATES.items():
        held = [leaf for leaf in leaves if _is_plain(leaf) and kinds.get(leaf.key.rpartition(".")[0]) == kind]
        for order in itertools.islice(itertools.permutations(range(len(gates))), 1, None) if held else ():
            yield {leaf.path: _cutting(leaf, 1, 1, _equal(leaf, len(gates)), order) for leaf in held}


def _family(run: Pass) -> list[tuple[Path, Partner]]:
    """Returns the dense layer that comes before the first guess, and all of its kind, where both models have it."""
    before = list(itertools.takewhile(lambda item: not item[1].guessed, run.partners.items()))
    if not before or not _is_dense(before[-1][1]):
        return []
    kind = _kind(before[-1][0])
    shapes = {leaf.stored for leaf in before[-1][1].leaves}
    every = [(path, partner) for path, partner in run.partners.items() if _kind(path) == kind and _is_dense(partner)]
    return [item for item in every if {leaf.stored for leaf in item[1].leaves} == shapes]


def _is_dense(partner: Partner) -> bool:
    return isinstance(partner.layer.module, torch.nn.Linear) and all(map(_is_plain, partner.leaves))


def _is_plain(leaf: Leaf) -> bool:
    return leaf.axes in ((1, 0), (0,)) and leaf.stored[-1:] == leaf.shape[:1] and not leaf.rows


def _cutting(leaf: Leaf, theirs: int, ours: int, widths: Widths, order: Sequence[int]) -> Cutting:
    """Returns the cut of a kernel's or a bias' last axis into parts of PyTorch's rows, in blocks of either's own."""
    length = leaf.shape[0] // theirs

    def rows(number: int) -> Rows:
        first, end = (sum(widths[:n]) // theirs for n in (number, number + 1))
        return (first, end) if theirs == 1 else (first, end, length)

    pieces = tuple(Piece(widths[number] // ours, leaf.key, rows(number), leaf.merged) for number in order)
    return Cutting(len(leaf.stored) - 1, pieces, ours)


def _blocks(model: torch.nn.Module, key: str, widths: Sequence[int]) -> list[int]:
    """Returns into how many blocks the parts may fall: heads, of which the module around tells, or single units."""
    names = key.split(".")
    around = [model.get_submodule(".".join(names[:end])) for end in range(len(names) - 1, -1, -1)]
    held = [value for module in around if not isinstance(module, torch.nn.Linear) for value in vars(module).values()]
    told = [n for n in held if isinstance(n, int) and not isinstance(n, bool)]
    counts = told if any(_divides(n, widths) for n in told) else range(2, SMALL + 1)
    return [n for n in dict.fromkeys([*counts, min(widths)]) if _divides(n, widths)]


def _divides(count: int, widths: Sequence[int]) -> bool:
    return count > 1 and not any(width % count for width in widths)


def _kind(path: Path) -> str:
    return NUMBER.sub("#", ".".join(map(str, path)))
