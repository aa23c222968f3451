"""One run of Flax's model in which each layer finds its partner."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.match.arrangement import EXACT, NEAR, arrangement
from parity.match.as_one import as_one
from parity.match.candidates import (
    Candidate,
    available,
    begun,
    guessed,
    kind_of_path,
    likeliest_first,
    may_be_partners,
    nearest,
    same_call,
    sees_less,
    sees_more,
    split,
    together,
    used_up,
)
from parity.match.draws import AnswersOfPyTorch
from parity.match.fitting import Fit, fit
from parity.match.flax_layers import NORMALISING, FlaxLayer, Variables
from parity.match.handing import CONVOLUTIONS, backward, corrected, handed, known, main_input
from parity.match.loading import in_jax, loaded
from parity.match.torch_layers import Recorded, TorchLayer, arrays_of
from parity.match.whole import as_whole
from parity.match.windows import has_other_axes
from parity.models.answering import answering
from parity.models.calls import Path
from parity.models.flax_model import FlaxModel

STEALS = 30  # runs that are given up for it


class Unchanged(Exception):
    """Raised where a layer has to be guessed again: what was tried changes nothing before it."""


class Stolen(Exception):
    """Raised where a layer's true partner went to another layer for want of a better one."""


@dataclass(frozen=True)
class Partner:
    """The layer of PyTorch's that one of Flax's was paired with, and how."""

    layer: TorchLayer
    leaves: list[Leaf]
    guessed: bool


@dataclass
class Pass:
    """A run; `prefix` says which candidate to take where several saw the same input; later ones take the first.

    until:    the layer at which it ends if this has to be guessed
    wide:     parts of other blocks' fused layers are candidates, too; else the run was narrowed where any were
    choices:  (which candidate, how many there were) of each such place
    guesses:  how many choices came before each layer whose input no layer of PyTorch's saw
    fits, shapes, proofs: what earlier runs have found
    """

    model: FlaxModel
    recorded: Recorded
    variables: Variables
    start: tuple[dict, dict]
    prefix: tuple[int, ...]
    excluded: set[tuple[Path, TorchLayer]]
    loaded: list[Leaf]
    fits: dict[tuple[Path, TorchLayer], Fit | None]
    shapes: dict[tuple, tuple[int, ...]]
    proofs: dict[tuple[Path, TorchLayer], list[Leaf] | None]
    until: Path | None = None
    wide: bool = False
    narrowed: bool = False
    choices: list[tuple[int, int]] = field(default_factory=list)
    guesses: list[int] = field(default_factory=list)
    partners: dict[Path, Partner] = field(default_factory=dict)
    layers: dict[Path, FlaxLayer] = field(default_factory=dict)
    output: Any = None
    error: Exception | None = None
    _busy: bool = False
    met: int = 0
    _counts: dict[Path, int] = field(default_factory=dict)

    def run(self, inputs: tuple) -> "Pass":
        """Runs the model. Raises Stolen if it should be run again, with another entry in `excluded`."""
        self.params, self.buffers = loaded(self.loaded, self.recorded, self.start)
        arguments = in_jax(inputs)
        try:
            with answering(AnswersOfPyTorch(self.recorded.drawn)):
                output, _ = self.model.apply(self.params, self.buffers, arguments, train=False, around=self._around)
            self.output = output
        except Stolen:
            raise
        except Exception as error:  # the caller decides whether missing partners explain it
            self.error = error
        return self

    def _around(self, path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        if self._busy:
            return call(*args, **kwargs)
        if path == ():
            self.variables.enter(module)
        flax = self.variables.layer(path, module)
        if not flax.variables:
            return as_one(self, path, module, call, args, kwargs)
        self.met += 1
        x = main_input(flax, args, kwargs)
        own = not flax.whole and not isinstance(module, NORMALISING)
        if own and x is not None and (whole := as_whole(self, flax, x, args, kwargs)):
            return whole.output
        if flax.holds and not flax.whole or x is None or isinstance(module, NORMALISING):
            self.layers[path] = flax
            return call(*args, **kwargs)
        number = self._counts[path] = self._counts.get(path, -1) + 1
        if path in self.partners:
            partner = self.partners[path]
            arranged, seen = same_call(partner.layer, x, number)
        else:
            chosen = self.choose(flax, x, kwargs)
            if chosen is None and flax.whole and flax.holds:
                return call(*args, **kwargs)  # its parts may have partners
            self.layers[path] = flax
            if chosen is None:
                return call(*args, **kwargs)
            candidate, guessed = chosen
            leaves, output = self.settled(candidate, flax, args, kwargs)
            partner = self.partners[path] = Partner(candidate.fit.layer, leaves, guessed)
            if output is not None:
                return output
            arranged = candidate.arrangement
            seen = candidate.call
        if seen is None or not known(partner.layer, flax) or seen.inputs[0].size != x.size:
            return self.computed(flax, partner.leaves, args, kwargs)  # of experts, say, that see some tokens alone
        output = handed(partner.layer, seen, arranged, flax, x, kwargs)
        if issubclass(flax.kind, CONVOLUTIONS) and output.shape != self._own_shape(flax, partner.leaves, args, kwargs):
            return self.computed(flax, partner.leaves, args, kwargs)  # padded otherwise, which PyTorch cuts behind it
        return output

    def _own_shape(self, flax: FlaxLayer, leaves: list[Leaf], args: tuple, kwargs: dict) -> tuple[int, ...]:
        """Returns the shape of what a convolution puts out, which no other run has to trace again."""
        key = flax.path, tuple(np.shape(x) for x in jax.tree.leaves((args, kwargs)))
        if key not in self.shapes:
            self.shapes[key] = jax.eval_shape(lambda: self.computed(flax, leaves, args, kwargs)).shape
        return self.shapes[key]

    def pair(self, path: Path, candidate: Candidate, leaves: list[Leaf], guessed: bool) -> None:
        """Writes down the partner of a layer."""
        self.partners[path] = Partner(candidate.fit.layer, leaves, guessed)

    @cached_property
    def layers_to_choose(self) -> list[TorchLayer]:
        """The layers that may be partners; which, is known once Flax's model has been entered."""
        return may_be_partners(self.recorded.layers, self.variables.attentions)

    def choose(self, flax: FlaxLayer, x: np.ndarray, kwargs: dict) -> tuple[Candidate, bool] | None:
        """The candidate, and whether it was guessed."""
        fits = [fitting for layer in self.layers_to_choose if (fitting := self.fitting(layer, flax))]
        paired = {partner.layer: path for path, partner in self.partners.items()}
        candidates = [nearest(fitting, x) for fitting in fits]
        open_ones = [c for c in candidates if available(c.fit.layer, paired)]
        limit = max(2 * min((c.gap for c in open_ones), default=np.inf), EXACT)
        same = [c for c in open_ones if c.gap <= min(limit, NEAR)]
        if same:
            complete = [c for c in same if not c.fit.missing]
            partly = [c for c in open_ones if c.gap > NEAR and not c.fit.missing and sees_less(c, x)]
            return self.among([*(complete or same), *partly], flax, kwargs), False
        same_input = [c for c in candidates if c.gap < EXACT and not c.fit.missing and c.fit.layer in paired]
        for layer in (c.fit.layer for c in same_input):
            if self.partners[paired[layer]].guessed and len(self.excluded) < STEALS:
                self.excluded.add((paired[layer], layer))
                raise Stolen
        same_input.sort(key=lambda c: used_up(c.fit.layer, self.partners.values(), self.recorded.aliases))
        free = [c for c in open_ones if not c.fit.missing]
        for candidate in same_input:
            if not free or len(candidate.fit.layer.calls) > 1:  # else it is given what is another layer's
                return candidate, False
        others = (layer for layer in self.recorded.layers if layer.whole is None and available(layer, paired))
        if not free or together(others, self.recorded.arrays, flax, x):
            return None
        if some := [candidate for candidate in free if sees_more(candidate, x)]:
            return self.among(some, flax, kwargs), False
        if flax.path == self.until:
            raise Unchanged
        self.guesses.append(len(self.choices))
        return guessed(free, x, backward(flax, kwargs)), True

    def fitting(self, layer: TorchLayer, flax: FlaxLayer) -> Fit | None:
        if (flax.path, layer) in self.excluded or self.variables.promised & {*layer.tensors.values()}:
            return None
        if (flax.path, layer) not in self.fits:
            fitting = None if has_other_axes(layer.module, flax) else fit(layer, self.recorded.arrays, flax)
            self.fits[flax.path, layer] = fitting
        return self.fits[flax.path, layer]

    def among(self, same: list[Candidate], flax: FlaxLayer, kwargs: dict) -> Candidate:
        """Chooses among those that saw the same input: the prefix's, or the likeliest by kind, name and order."""
        siblings = [other.layer for path, other in self.partners.items() if path[:-1] == flax.path[:-1]]
        near = same if self.wide else begun(same, siblings)
        self.narrowed |= len(near) < len(same)
        if len(near) == 1:
            return near[0]
        usual = {kind_of_path(path): partner.layer.last for path, partner in self.partners.items()}
        same = likeliest_first(near, flax, backward(flax, kwargs), usual.get(kind_of_path(flax.path)))
        number = len(self.choices)
        choice = self.prefix[number] if number < len(self.prefix) else 0
        choice = min(choice, len(same) - 1)
        self.choices.append((choice, len(same)))
        return same[choice]

    def settled(self, candidate: Candidate, flax: FlaxLayer, args: tuple, kwargs: dict) -> tuple[list[Leaf], Any]:
        """The right one of the alternatives, and the output if it had to be computed to know."""
        layer = candidate.fit.layer
        arranged = candidate.arrangement
        alternatives = candidate.fit.alternatives
        leaves = [split(leaf, arranged) for leaf in alternatives[0]]
        if candidate.call is None or (len(alternatives) == 1 and known(layer, flax)):
            return leaves, None
        outputs = arrays_of(candidate.call.output)
        first = None
        for leaves in alternatives:
            leaves = [split(leaf, arranged) for leaf in leaves]
            output = self.computed(flax, leaves, args, kwargs)
            ours = [x for array in arrays_of(output) for x in candidate.call.without_padding(array)]
            if any(arrangement(x, y) for x, y in itertools.product(ours, outputs)):
                return leaves, output
            first = first or (leaves, output)
        assert first
        return first[0], corrected(first[1], outputs, arranged)

    def computed(self, flax: FlaxLayer, leaves: list[Leaf], args: tuple, kwargs: dict) -> Any:
        """Computes Flax's layer with PyTorch's weights."""
        params, buffers = loaded(leaves, self.recorded, self.start)
        self._busy = True
        try:
            part = self.model.part(flax.module, flax.path, params, buffers, train=False)
            return part.apply(part.params, part.buffers, args, kwargs)[0]
        finally:
            self._busy = False
