"""A module of a user's own as one layer, with the variables of all layers within it: a recurrence written by hand.

PyTorch's recurrent layers hold all of their tensors themselves, and Flax's layers are called once for each step, for
all steps at once, or within a scan, where nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx

from parity.match.arrangement import NEAR
from parity.match.candidates import Candidate, available, guessed, nearest
from parity.match.flax_layers import CELLS, RECURRENT, FlaxLayer
from parity.match.recurrent import kind_of
from parity.match.torch_layers import NumpyCall, arrays_of
from parity.models.calls import Path

if TYPE_CHECKING:
    from parity.match.passing import Pass


def as_one(run: Pass, path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
    """Calls a module without variables of its own; where its layers' make a recurrent layer, it is that layer."""
    if not any(kind_of(layer.module) for layer in run.recorded.layers) or _has_stock(module):
        return call(*args, **kwargs)
    flax = run.variables.layer(path, module, deep=True)
    if path in run.partners:
        run.met += 1
        return run.computed(flax, run.partners[path].leaves, args, kwargs)
    chosen = _recurrent(run, flax, args, kwargs)
    if chosen is None:
        return call(*args, **kwargs)
    run.met += 1
    run.layers[path] = flax
    candidate, guessed = chosen
    leaves, output = run.settled(candidate, flax, args, kwargs)
    run.pair(path, candidate, leaves, guessed)
    output = run.computed(flax, leaves, args, kwargs) if output is None else output
    return _sequence_of(candidate, output)


def _has_stock(module: Any) -> bool:
    nodes = nnx.iter_graph(module) if isinstance(module, nnx.Module) else ()
    return any(isinstance(node, (*RECURRENT, *CELLS)) for _, node in nodes)


def _recurrent(run: Pass, flax: FlaxLayer, args: tuple, kwargs: dict) -> tuple[Candidate, bool] | None:
    """Returns the recurrent layer with just these tensors, and whether it was guessed: no layer saw this input."""
    layers = [layer for layer in run.recorded.layers if kind_of(layer.module)] if flax.variables else []
    fits = [fit for layer in layers if (fit := run.fitting(layer, flax)) and not fit.missing]
    paired = {partner.layer: path for path, partner in run.partners.items()}
    free = [fit for fit in fits if available(fit.layer, paired)]
    arrays = [x for x in arrays_of([args, kwargs]) if np.issubdtype(x.dtype, np.floating)]
    if not free or not arrays:
        return None
    candidates = [candidate for x in arrays for fit in free for candidate in _both_ways(nearest, fit, x)]
    same = [candidate for candidate in candidates if candidate.gap < NEAR]
    if same:
        return run.among(same, flax, kwargs), False
    run.guesses.append(len(run.choices))
    return guessed([nearest(fit, arrays[0]) for fit in free], arrays[0], False), True


def _both_ways(nearest: Callable, fit: Any, x: np.ndarray) -> list[Candidate]:
    """Returns the nearest call; of a layer that reads from the end, also the one whose sequence was turned round."""
    candidates = [nearest(fit, x)]
    if fit.layer.backward and x.ndim == 3:
        turned = nearest(fit, np.flip(x, 1))
        if turned.call is not None:
            y, *states = arrays_of(turned.call.output)
            valid = turned.call.valid
            call = NumpyCall(turned.call.inputs, [np.flip(y, 1), *states], None if valid is None else np.flip(valid, 1))
            candidates.append(replace(turned, call=call))
    return candidates


def _sequence_of(candidate: Candidate, output: Any) -> Any:
    """Returns the output with PyTorch's sequence in the place of Flax's: a mistake does not reach the layers behind."""
    if candidate.call is None:
        return output
    theirs = arrays_of(candidate.call.output)[0]
    orders = ((0, 1, 2), (1, 0, 2))
    views = [theirs.transpose(axes) for axes in orders] if theirs.ndim == 3 else [theirs]

    def corrected(x: Any) -> Any:
        view = next((view for view in views if np.shape(x) == view.shape), None)
        return x if view is None else jax.device_put(view)

    return jax.tree.map(corrected, output)
