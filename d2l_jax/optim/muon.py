"""Muon: momentum with orthogonal updates, for matrices (Jordan et al. 2024)."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from d2l_jax.errors import InputError
from d2l_jax.optim.bias import wide
from d2l_jax.optim.gradient import decayed
from d2l_jax.optim.groups import Groups, Options, torch_name, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.sgd import MomentumState
from d2l_jax.optim.slots import average, per_parameter, slot

Adjustment = Literal["original", "match_rms_adamw", "spectral_unclamped"]
ADJUSTMENTS = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "spectral_unclamped": lambda rows, columns: math.sqrt(rows / columns),
}
MOST_STEPS = 99


def Muon(
    lr: Rate = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: Adjustment | None = None,
    *,
    ns_dtype: DTypeLike = jnp.bfloat16,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Muon (`torch.optim.Muon`; Jordan et al. 2024), with decoupled weight decay.

    adjust_lr_fn: what the rate is multiplied by, given the (out, in) of a weight: "original", the root of out / in
                  where that is above 1; "match_rms_adamw", 0.2 times the root of the larger one;
                  "spectral_unclamped", the root of out / in. None is "original"
    ns_dtype:     in which Newton and Schulz's iteration runs; PyTorch's is bfloat16

    The momentum is a running mean in PyTorch, not the sum that its documentation gives. `optax.contrib.muon` differs.
    Raises InputError as PyTorch does, for parameters too that are no matrices; and where a group fits no parameter.
    """
    options = Options(
        groups,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov,
        ns_coefficients=ns_coefficients,
        eps=eps,
        ns_steps=ns_steps,
        adjust_lr_fn=adjust_lr_fn,
    )
    for name in options.values("adjust_lr_fn"):
        if name is not None and name not in ADJUSTMENTS:
            raise InputError(f"adjust_lr_fn is {name!r} where one of {', '.join(ADJUSTMENTS)}, or None, is right")
    for steps in options.values("ns_steps"):
        if steps > MOST_STEPS:
            raise InputError(f"ns_steps is {steps} where at most {MOST_STEPS} is right")
    return optax.chain(orthogonalized(options, ns_dtype), decayed(options), scaled_by_rate(options))


def orthogonalized(options: Options, dtype: DTypeLike) -> optax.GradientTransformation:
    """Replaces updates by the orthogonal matrix near their momentum, as large as the adjustment says."""

    def init(params: optax.Params) -> MomentumState:
        for path, parameter in jax.tree_util.tree_flatten_with_path(params)[0]:
            if parameter.ndim != 2:
                shape = tuple(parameter.shape)
                raise InputError(f"Muon moves matrices alone; {torch_name(path)} has the shape {shape}")
        return MomentumState(slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        ratios = jax.tree_util.tree_map_with_path(
            lambda path, g: _ratio(path, g.shape, options.of(path)["adjust_lr_fn"]), updates
        )

        def rule(o: dict, g: Float[Array, "rows columns"], ratio: float, mean: Float[Array, "rows columns"]) -> tuple:
            mean = average(mean, g, o["momentum"])
            ahead = average(g, mean, 1 - o["momentum"]) if o["nesterov"] else mean
            direction = newton_schulz(ahead, o["ns_coefficients"], o["ns_steps"], o["eps"], dtype)
            return ratio * direction.astype(g.dtype), mean

        updates, means = per_parameter(rule, options, updates, ratios, state.momentum_buffer)
        return updates, MomentumState(means)

    return transformation(options, update, init)


def newton_schulz(
    matrix: Float[Array, "rows columns"],
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
    dtype: DTypeLike | None = None,
) -> Float[Array, "rows columns"]:
    """Returns nearly the orthogonal factor of a matrix: its singular values become about 0.7 to 1.2.

    dtype: of the iteration and of what it returns; None is the matrix's. Products add up in float32 at least
    """
    a, b, c = coefficients
    dtype = matrix.dtype if dtype is None else dtype
    sums = wide(jnp.dtype(dtype))
    tall = matrix.shape[0] > matrix.shape[1]
    format = jnp.finfo(dtype)

    def rounded(array: Array) -> Array:
        # XLA leaves out the rounding of a conversion there and back, but not this one.
        return jax.lax.reduce_precision(array, format.nexp, format.nmant).astype(dtype)

    x = rounded(matrix.T if tall else matrix)
    norm = rounded(jnp.linalg.norm(x.astype(sums)))
    x = rounded(x.astype(sums) / jnp.maximum(norm, jnp.asarray(eps, dtype)).astype(sums))

    def product(left: Array, right: Array) -> Array:
        return jnp.matmul(left, right, preferred_element_type=sums)

    for _ in range(steps):
        gram = rounded(product(x, x.T))
        polynomial = rounded(b * gram.astype(sums) + c * product(gram, gram))
        x = rounded(a * x.astype(sums) + product(polynomial, x))
    return x.T if tall else x


def _ratio(path: tuple, shape: tuple[int, ...], adjustment: Adjustment | None) -> float:
    """Returns the factor of the rate; Flax's kernels are (in, out) where PyTorch's weights are (out, in)."""
    kernel = jax.tree_util.keystr(path[-1:], simple=True) == "kernel"
    rows, columns = reversed(shape) if kernel else shape
    return ADJUSTMENTS[adjustment or "original"](rows, columns)
