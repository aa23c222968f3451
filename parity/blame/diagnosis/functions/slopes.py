"""Functions of PyTorch's with the slope at 0 that JAX's of the same name have: they alter gradients alone."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall

SLOPE = "slope-at-zero"
OF_MAXIMUM = "jnp.maximum(x, 0) has the slope 1/2 at 0, PyTorch's relu 0; nnx.relu has 0"
OF_LEAKY = "jax.nn.leaky_relu has the slope 1 at 0, PyTorch's the negative one"
OF_ABS = "jnp.abs has the slope 1 at 0, torch.abs 0"
OF_CLIP = "jnp.clip has the slope 1/2 at a bound, torch.clamp 0 where it is a number"


def _relu(call: FunctionCall) -> Iterator[Alternative]:
    yield Alternative(SLOPE, OF_MAXIMUM, lambda: torch.maximum(call.x, torch.zeros_like(call.x)))
    text = "Flax's slope at 0 is 1, PyTorch's relu has 0 there; nnx.relu has 0"
    yield Alternative(SLOPE, text, lambda: torch.where(call.x >= 0, call.x, 0.0))


def _leaky(call: FunctionCall) -> Iterator[Alternative]:
    slope = call.option(1, "negative_slope", 0.01)
    yield Alternative(SLOPE, OF_LEAKY, lambda: torch.where(call.x >= 0, call.x, slope * call.x))


def _abs(call: FunctionCall) -> Iterator[Alternative]:
    yield Alternative(SLOPE, OF_ABS, lambda: torch.where(call.x >= 0, call.x, -call.x))


def _clamp(call: FunctionCall) -> Iterator[Alternative]:
    """Where a number is the bound itself, the slope is divided between both, or is the bound's."""
    low = call.option(1, "min")
    high = call.option(2, "max")

    def bounded() -> torch.Tensor:
        x = call.x if low is None else torch.maximum(call.x, torch.as_tensor(low, dtype=call.x.dtype))
        return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype))

    yield Alternative(SLOPE, OF_CLIP, bounded)


SLOPES: dict[str, Alternatives] = {
    **dict.fromkeys(("relu", "relu_"), _relu),
    "leaky_relu": _leaky,
    **dict.fromkeys(("abs", "absolute"), _abs),
    **dict.fromkeys(("clamp", "clip", "clamp_min"), _clamp),
}
