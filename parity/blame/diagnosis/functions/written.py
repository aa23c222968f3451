"""Activations that are written out, as GELU's approximations are: others in their place."""

import math
from collections.abc import Iterator

import torch

from parity.blame.diagnosis.altered.activations import FUNCTIONS
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

NEAR = 1e-9
OTHERS = ("gelu-tanh", "gelu-erf", "gelu-sigmoid", "silu", "relu", "mish", "hard-swish")
KNOWN = {name: function for name, _, function in FUNCTIONS if name in OTHERS and name != "relu"}
CALLED = {name: text for name, text, _ in FUNCTIONS}


def activated(call: FunctionCall) -> Iterator[Alternative]:
    """Yields other activations of what a product is an activation of."""
    y = call.result
    if not isinstance(y, torch.Tensor) or y.numel() < 3 or not y.is_floating_point():
        return
    for x in _sources(call):
        for name, function in KNOWN.items():
            if x.shape == y.shape and _near(function(x), y):
                for other, text, alternative in FUNCTIONS:
                    if other in OTHERS and other != name:
                        text = f"Flax computes {text}, PyTorch {CALLED[name]}, written out"
                        yield Alternative(other, text, lambda f=alternative, x=x: f(x))
                return


def _sources(call: FunctionCall) -> Iterator[torch.Tensor]:
    """Yields what the factors are, and what these are products of."""
    for factor in call.args[:2]:
        if isinstance(factor, torch.Tensor):
            yield factor
            made = call.behind(factor)
            yield from (
                x
                for x in (made.args[:2] if made and made.name in ("mul", "rmul") else ())
                if isinstance(x, torch.Tensor)
            )


def _near(left: torch.Tensor, right: torch.Tensor) -> bool:
    right = right.detach()
    scale = float(right.square().mean().sqrt())
    return bool(scale) and math.isfinite(scale) and float((left.detach() - right).abs().max()) <= NEAR * scale
