"""The optimiser's part of one step again, under another gradient or other options."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from parity.arrays.key import Arrays, Key
from parity.blame.diagnosis.cause import Pieces, distance, rms
from parity.training_step.judged import Outcome
from parity.training_step.pair import StepPair

EPS = 1e-6  # of torch.nn.utils.clip_grad_norm_
ROUNDING = 1e-12  # relative to the largest gradient
SMALL = 1e-6  # relative to the largest update
Alter = Callable[[torch.optim.Optimizer], None]


@dataclass(frozen=True)
class Replay:
    """A step in float64, whose optimiser can be run once more from the same state.

    backward: the gradient of each backward pass since the last update, the last step's last, without a scaler's scale
    """

    pair: StepPair
    outcome: Outcome
    backward: list[Arrays]

    @cached_property
    def keys(self) -> list[Key]:
        """Returns the updates and slots that both sides have."""
        both = [key for key in self.outcome.oracle if key in self.outcome.flax]
        return [key for key in both if key.phase == "update" or (key.phase == "optimizer" and key.slot != "step")]

    @property
    def oracle(self) -> Pieces:
        """Returns PyTorch's updates and slots."""
        return self._settled([self.outcome.oracle[key] for key in self.keys])

    @property
    def flax(self) -> Pieces:
        """Returns Flax's."""
        return self._settled([self.outcome.flax[key] for key in self.keys])

    @cached_property
    def rounding(self) -> set[str]:
        """Returns the tensors whose gradient is rounding alone, as that of a bias before a batch norm."""
        sizes = {name: rms(array) for name, array in self.applied.items()}
        return {name for name, size in sizes.items() if size <= ROUNDING * max(sizes.values())}

    def _settled(self, pieces: Pieces) -> Pieces:
        """Returns the pieces with zeros in the place of what an optimiser makes of rounding alone.

        Adam divides a gradient by its own size, so that each side has other numbers there, far below the others'.
        """
        updates = [np.abs(piece).max(initial=0.0) for key, piece in zip(self.keys, pieces) if key.phase == "update"]
        small = SMALL * max(updates, default=0.0)
        made = [key.phase == "update" and key.tensor in self.rounding for key in self.keys]
        return [x * 0 if of and np.abs(x).max(initial=0.0) <= small else x for of, x in zip(made, pieces)]

    @cached_property
    def applied(self) -> Arrays:
        """Returns the gradient that PyTorch's optimiser met; {} where there was no update."""
        return self.outcome.seen.applied[-1] if self.outcome.seen.applied else {}

    @cached_property
    def met(self) -> list[Arrays]:
        """Returns the gradients of the passes that PyTorch's update is made of: the last alone where others are not."""
        last = self.backward[-1:]
        return last if self._from(last) and not self._from(self.backward) else self.backward

    def _from(self, passes: list[Arrays]) -> bool:
        """Tells whether PyTorch's optimiser has met the sum of these, up to a factor."""
        whole = {name: array for name, array in added(passes).items() if name in self.applied}
        sizes = norm(whole), norm(self.applied)
        if not all(sizes) or whole.keys() != self.applied.keys():
            return False
        theirs = list(self.applied.values())
        ours = scaled({name: whole[name] for name in self.applied}, sizes[1] / sizes[0])
        return distance(list(ours.values()), theirs, theirs) <= 1e-6

    @cached_property
    def passes(self) -> list[Arrays]:
        """Returns these gradients, divided as PyTorch's step divides their sum: by a whole number."""
        sizes = [norm(arrays) for arrays in (added(self.met), self.applied)]
        number = sizes[0] / sizes[1] if all(sizes) else 1.0
        whole = number > 1.5 and abs(number - round(number)) <= 1e-9 * number
        return [scaled(one, 1 / round(number)) for one in self.met] if whole else self.met

    @cached_property
    def raw(self) -> Arrays:
        """Returns the sum of all passes: the gradient before it was clipped."""
        whole = added(self.passes)
        return {name: whole[name] for name in self.applied if name in whole}

    @cached_property
    def max_norm(self) -> float:
        """Returns the norm to which PyTorch's step has clipped the gradient; 0 where it has not."""
        whole = norm(self.raw)
        clipped = norm(self.applied)
        if not self._from(self.met) or not clipped < whole * (1 - 1e-9):
            return 0.0
        limit = clipped * (1 + self.clip_eps / whole)
        return float(f"{limit:.9g}")

    @cached_property
    def clip_eps(self) -> float:
        """Returns what PyTorch's step adds to the norm that it divides by: nothing, where that gives a round limit."""
        clipped = norm(self.applied)
        return 0.0 if abs(clipped - float(f"{clipped:.4g}")) <= 1e-9 * clipped else EPS

    @cached_property
    def linear(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns of each tensor what is linear in the gradient, Flax's and PyTorch's.

        The linear slot, or the step of plain SGD; {} where neither is there.
        """
        zero = dict(zip(self.keys, self.pieces(scaled(self.applied, 0.0)), strict=True))
        once = dict(zip(self.keys, self.oracle, strict=True))
        keys = [key for key in self.keys if key.slot in ("exp_avg", "momentum_buffer")]
        keys = keys or [key for key in self.keys if isinstance(self.pair.torch.optimizer, torch.optim.SGD)]
        both = {key: (self.outcome.flax[key] - zero[key], once[key] - zero[key]) for key in keys}
        return {key.tensor: (ours.ravel(), theirs.ravel()) for key, (ours, theirs) in both.items()}

    @cached_property
    def factors(self) -> dict[str, float]:
        """Returns the factor of Flax's gradient to PyTorch's, of each tensor, and under "" that which fits all best."""
        if not self.linear:
            return {}
        every = [np.concatenate(pieces) for pieces in zip(*self.linear.values(), strict=True)]
        return {"": slope(*every)} | {name: slope(*pieces) for name, pieces in self.linear.items()}

    @cached_property
    def given_to_flax(self) -> Arrays:
        """Returns the gradient that Flax's optimiser was given, where something linear in it shows it."""
        names = [name for name in self.linear if name in self.raw and name in self.applied]
        if not names:
            return {}
        ours, theirs = ([self.linear[name][side] for name in names] for side in (0, 1))
        factor = slope(np.concatenate([self.applied[name].ravel() for name in names]), np.concatenate(theirs))
        return {name: factor * array.reshape(self.raw[name].shape) for name, array in zip(names, ours)}

    def clipped(self, gradients: Arrays) -> Arrays:
        """Returns the gradients clipped as PyTorch's step does."""
        return clip(gradients, self.max_norm, self.clip_eps) if self.max_norm else gradients

    def pieces(self, gradients: Arrays, alter: Alter = lambda optimizer: None) -> Pieces:
        """Returns updates and slots of PyTorch's optimiser for other gradients, or with other options."""
        side = self.pair.torch
        side.put(self.outcome.start, "float64")
        before = side.parameters()
        for name, parameter in side.model.named_parameters():
            array = gradients.get(name)
            parameter.grad = None if array is None else torch.tensor(array, dtype=parameter.dtype)
        for group, options in zip(side.optimizer.param_groups, self.outcome.seen.options[-1], strict=True):
            group.update(options)
        alter(side.optimizer)
        type(side.optimizer).step(side.optimizer)
        after = side.parameters()
        updates = self.pair.compared({name: after[name] - before[name] for name in after})
        slots = side.state().slots
        named = {key: slots.get(key.tensor, {}).get(key.slot, np.zeros(())) for key in self.keys}
        return self._settled([updates[key.tensor] if key.phase == "update" else named[key] for key in self.keys])


def added(passes: list[Arrays]) -> Arrays:
    """Returns the sum of gradients by name."""
    names = dict.fromkeys(name for each in passes for name in each)
    return {name: np.sum([each[name] for each in passes if name in each], 0) for name in names}


def scaled(gradients: Arrays, factor: float) -> Arrays:
    """Returns the gradients times a factor."""
    return {name: factor * array for name, array in gradients.items()}


def norm(gradients: Arrays) -> float:
    """Returns the norm over all gradients."""
    return float(np.sqrt(sum(float(np.sum(array**2)) for array in gradients.values())))


def clip(gradients: Arrays, most: float, eps: float) -> Arrays:
    """Returns the gradients with a norm of at most that; `eps` is added to the norm, as PyTorch does."""
    return scaled(gradients, min(1.0, most / (norm(gradients) + eps or 1.0)))


def slope(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns the factor of the one to the other that fits best."""
    size = float(theirs @ theirs)
    return float(ours @ theirs) / size if size else 0.0
