"""A module with all that is held within it as one layer, where the other side's has its tensors in one, or around it.

A kernel beside the vectors of its spectral norm, say, that PyTorch's layer holds itself; or a recurrent layer that has
one of its weights from the module around it, which drops some of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.match.arrangement import EXACT, NEAR, arrangement
from parity.match.candidates import Candidate, available, nearest, split
from parity.match.fitting import holds_layers
from parity.match.flax_layers import FlaxLayer
from parity.match.handing import corrected
from parity.match.recurrent import OWN
from parity.match.torch_layers import TorchLayer, arrays_of

if TYPE_CHECKING:
    from parity.match.passing import Pass


class Whole(NamedTuple):
    """What a module gave that was taken for one layer."""

    output: Any


def as_whole(run: Pass, flax: FlaxLayer, x: np.ndarray, args: tuple, kwargs: dict) -> Whole | None:
    """Pairs a module with the one of PyTorch's that was given the same, where one of both holds others.

    None where there is none, or where the output does not prove it, and names do not tell which tensor is which.
    """
    if flax.path in run.partners:
        partner = run.partners[flax.path]
        flax = run.layers[flax.path]
        deep = partner.layer.holds or flax.holds
        return Whole(run.computed(flax, partner.leaves, args, kwargs)) if deep else None
    if flax.holds:
        flax = run.variables.layer(flax.path, flax.module, deep=True)
    candidates = _candidates(run, flax, x)
    proven = [candidate for candidate in candidates if _proof(run, candidate, flax, args, kwargs)]
    told = proven or [candidate for candidate in candidates if _is_told(candidate.fit.layer)]
    if not told:
        return None
    candidate = run.among(told, flax, kwargs)
    leaves = _proof(run, candidate, flax, args, kwargs) or candidate.fit.alternatives[0]
    run.layers[flax.path] = flax
    run.pair(flax.path, candidate, leaves, False)
    output = run.computed(flax, leaves, args, kwargs)
    return Whole(output if proven else corrected(output, _outputs(candidate), candidate.arrangement))


def _candidates(run: Pass, flax: FlaxLayer, x: np.ndarray) -> list[Candidate]:
    """Returns the modules of PyTorch's that were given the same and hold as many numbers, tensor by tensor."""
    single = (layer for layer in run.recorded.layers if layer.whole is None and not holds_layers(layer.module))
    layers = single if flax.holds else run.recorded.modules
    fits = [fit for layer in layers if (fit := run.fitting(layer, flax)) and not fit.missing]
    paired = {partner.layer: path for path, partner in run.partners.items()}
    candidates = [nearest(fit, x) for fit in fits if available(fit.layer, paired)]
    return [candidate for candidate in candidates if candidate.gap < EXACT]


def _is_told(layer: TorchLayer) -> bool:
    """Tells whether names and sizes say which tensor is which, whatever the two compute: of stock layers' tensors."""
    return not layer.holds and type(layer.module).__module__.startswith("torch.") or {*layer.tensors} <= OWN


def _proof(run: Pass, candidate: Candidate, flax: FlaxLayer, args: tuple, kwargs: dict) -> list[Leaf] | None:
    """Returns the alternative under which both put out the same; no other run asks again."""
    place = flax.path, candidate.fit.layer
    if place not in run.proofs:
        ways = ([split(leaf, candidate.arrangement) for leaf in leaves] for leaves in candidate.fit.alternatives)
        run.proofs[place] = next((way for way in ways if _is_right(run, candidate, flax, way, args, kwargs)), None)
    return run.proofs[place]


def _is_right(run: Pass, candidate: Candidate, flax: FlaxLayer, leaves: list[Leaf], args: tuple, kwargs: dict) -> bool:
    first = arrays_of(run.computed(flax, leaves, args, kwargs))[:1]
    found = [arrangement(np.asarray(x), y) for x, y in zip(first, _outputs(candidate))]
    return any(fits is not None and fits.gap < NEAR for fits in found)


def _outputs(candidate: Candidate) -> list[np.ndarray]:
    return arrays_of(candidate.call.output) if candidate.call else []
