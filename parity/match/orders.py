"""Arrays whose parts stand in another order than PyTorch's: k, q, v, those of each head in turn, gates exchanged.

Which order it is the numbers decide: under the right one the layer behind is given what PyTorch's is given.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from d2l_jax.weights.leaf import Leaf, Rows
from parity.match.apart import NUMBER
from parity.match.passing import Partner, Pass
from parity.match.recurrent import GATES, kind_of
from parity.models.calls import Path
from parity.models.cutting import Cuts, Cutting, Piece

COUNTS = (3, 2, 4)  # queries, keys and values; a gate and its values; an LSTM's gates
MOST = 60  # orders that are tried for one kind of array
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


def _turned(cutting: Cutting, blocks: int, order: Sequence[int]) -> Cutting:
    pieces = [cutting.pieces[number] for number in order]
    return replace(cutting, pieces=tuple(replace(p, width=p.width // blocks) for p in pieces), blocks=blocks)


def of_fused(run: Pass, model: torch.nn.Module) -> Iterator[Cuts]:
    """Yields cuts of the dense layers before the first that had to be guessed, which PyTorch has in one, too."""
    family = _family(run)
    leaves = [leaf for _, partner in family for leaf in partner.leaves]
    rows = leaves[0].shape[0] if leaves else 1
    layouts = []
    for parts in (count for count in COUNTS if rows % count == 0):
        of_heads = _blocks(model, leaves[0].key, [rows // parts]) if parts < 4 else []
        orders = itertools.product([1, *of_heads], [1, *of_heads], itertools.permutations(range(parts)))
        layouts += [(a, b, order) for a, b, order in orders if a != b or order != tuple(range(parts))]
    layouts.sort(key=lambda layout: (layout[0] > 1) + (layout[1] > 1))  # the usual first
    for theirs, ours, order in layouts[:MOST]:
        yield {leaf.path: _cutting(leaf, theirs, ours, order) for leaf in leaves}


def of_gates(leaves: Sequence[Leaf], model: torch.nn.Module) -> Iterator[Cuts]:
    """Yields cuts of the arrays that recurrences by hand have in place of PyTorch's recurrent layers, gate by gate."""
    kinds = {name: kind_of(module) for name, module in model.named_modules()}
    for kind, gates in GATES.items():
        held = [leaf for leaf in leaves if _is_plain(leaf) and kinds.get(leaf.key.rpartition(".")[0]) == kind]
        for order in itertools.islice(itertools.permutations(range(len(gates))), 1, None) if held else ():
            yield {leaf.path: _cutting(leaf, 1, 1, order) for leaf in held}


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
    return leaf.axes in ((1, 0), (0,)) and not leaf.rows


def _cutting(leaf: Leaf, theirs: int, ours: int, order: Sequence[int]) -> Cutting:
    """Returns the cut of a kernel's or a bias' last axis; each part has as many rows, in blocks of PyTorch's own."""
    width = leaf.shape[0] // len(order)
    each = width // theirs
    length = each * len(order)

    def rows(number: int) -> Rows:
        first = number * each
        return (first, first + each) if theirs == 1 else (first, first + each, length)

    pieces = tuple(Piece(width // ours, leaf.key, rows(number), leaf.merged) for number in order)
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
