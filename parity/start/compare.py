"""Draws of both sides compared, tensor by tensor: constants exactly, distributions by their probability."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from parity.arrays.key import Arrays, Key
from parity.compare.chance import log_chance, part
from parity.compare.rows import Row, failure, row
from parity.start.naming import Fans, is_orthogonal, named

LIMIT = 9.0  # one verdict in 10^9 may be chance
CERTAIN = 300.0
ROUNDING = 1e-6  # of a constant that both compute, as positions


@dataclass(frozen=True)
class Started:
    """A tensor as both sides start it.

    flax, torch: in words
    row:         its verdict; the gap is log10 of 1 / the probability that equal starts differ so, or of a constant
                 the difference relative to its root mean square
    one_draw:    one draw is random on either side: that it seems alike is no proof
    """

    name: str
    flax: str
    torch: str
    row: Row
    one_draw: bool = False

    @property
    def same(self) -> bool:
        """Tells whether both start it alike, as far as the numbers tell."""
        return self.row.passed

    @property
    def told(self) -> bool | None:
        """Returns whether both start it alike; None where one draw of random numbers cannot tell."""
        return None if self.same and self.one_draw else self.same

    def __str__(self) -> str:
        if self.flax == self.torch:
            return f"{self.name}: both start {self.flax}" + ("" if self.same else ", but not alike")
        return f"{self.name}: Flax starts {self.flax}; PyTorch {self.torch}"


def compared(ours: Sequence[Arrays], theirs: Sequence[Arrays], fans: dict[str, Fans]) -> list[Started]:
    """Returns every tensor that both have; several draws tell constants from random numbers, one tells less."""
    ours = _varying(ours)
    theirs = _varying(theirs)
    names = [name for name in ours[0] if name in theirs[0] and ours[0][name].size]
    return [
        _tensor(name, np.stack([draw[name] for draw in ours]), np.stack([draw[name] for draw in theirs]), fans)
        for name in names
    ]


def _varying(draws: Sequence[Arrays]) -> Sequence[Arrays]:
    """Returns the draws, or one of them where a maker gives the same model whenever it is called."""
    differ = any(not np.array_equal(draw[name], draws[0][name]) for draw in draws[1:] for name in draw)
    return draws if differ or len(draws) == 1 else draws[:1]


def _tensor(name: str, ours: np.ndarray, theirs: np.ndarray, fans: dict[str, Fans]) -> Started:
    key = Key(1, "start", name)
    if ours.shape[1:] != theirs.shape[1:]:
        return Started(name, "", "", failure(key, f"shape {ours.shape[1:]} in Flax, {theirs.shape[1:]} in PyTorch"))
    alone = min(len(ours), len(theirs)) == 1
    flax, torch = (_Side.of(draws.astype(np.float64), alone) for draws in (ours, theirs))
    verdict = _judged(key, flax, torch)
    one_draw = alone and (flax.still.size == 1 or bool(flax.random.size))
    started = Started(name, flax.words(name, fans), torch.words(name, fans), verdict, one_draw)
    return started if started.same else replace(started, row=replace(verdict, because=str(started)))


@dataclass(frozen=True)
class _Side:
    """A tensor of one side, drawn several times.

    still:      which elements are the same in all draws; of one draw, whether all are equal
    orthogonal: the matrix is
    """

    draws: np.ndarray
    still: np.ndarray
    orthogonal: bool

    @classmethod
    def of(cls, draws: np.ndarray, alone: bool) -> "_Side":
        equal = np.all(draws[:1] == draws.flat[0]) if alone else np.all(draws == draws[0], axis=0)
        return cls(draws, np.broadcast_to(equal, draws.shape[1:]), is_orthogonal(draws[0]))

    @property
    def random(self) -> np.ndarray:
        """Returns the numbers of all draws that are no constants."""
        return self.draws[:, ~self.still].ravel()

    def words(self, name: str, fans: dict[str, Fans]) -> str:
        """Returns the distribution in words."""
        draws = self.draws
        still = self.still
        if self.orthogonal:
            return f"orthogonal, std {np.std(draws):.2g}"
        layer = name.split(" + ")[0].rpartition(".")[0]
        bias = name not in fans
        layer_fans = fans.get(name) or fans.get(f"{layer}.weight" if layer else "weight") or Fans()
        if np.all(still):
            values = draws[0]
            return (
                named(values, layer_fans, bias) if np.all(values == values.flat[0]) else "numbers that are never drawn"
            )
        text = named(part(self.random), layer_fans, bias)
        if not np.any(still):
            return text
        constants = draws[0][still]
        value = f"{constants.flat[0]:.3g}" if np.all(constants == constants.flat[0]) else "constant"
        return f"{text}, but {constants.size} of {still.size} numbers {value}{_rows(still)}"


def _judged(key: Key, ours: _Side, theirs: _Side) -> Row:
    if min(len(ours.draws), len(theirs.draws)) == 1 and ours.still.size == 1:
        return row(key, 0.0, LIMIT, "one draw of one number: nothing can be told")
    if not np.array_equal(ours.still, theirs.still):
        return row(key, CERTAIN, LIMIT, "constant on one side, random on the other")
    first = ours.draws[0][ours.still]
    second = theirs.draws[0][ours.still]
    scale = float(np.sqrt(np.mean(second**2))) if second.size else 0.0
    difference = float(np.max(np.abs(first - second), initial=0.0)) / (scale or 1.0)
    if difference > ROUNDING or np.all(ours.still):
        return row(key, difference, ROUNDING, "a constant")
    if ours.orthogonal != theirs.orthogonal:
        return row(key, CERTAIN, LIMIT, "orthogonal on one side alone")
    return row(key, abs(log_chance(ours.random, theirs.random)), LIMIT, "chance, 1 in 10^9")


def _rows(still: np.ndarray) -> str:
    """Names the rows that hold the constants, where these are whole rows."""
    whole = [number for number, one in enumerate(still) if np.all(one)]
    if still.ndim < 2 or len(whole) > 3 or np.sum(still) != len(whole) * still[0].size:
        return ""
    return f" (row {', '.join(map(str, whole))})"
