"""PyTorch's multi-head attention in one matrix, and Flax's with axes for the heads."""

from d2l_jax.weights.leaf import Leaf
from parity.match.flax_layers import FlaxLayer, Variable
from parity.match.torch_layers import TorchLayer

PARTS = ("query", "key", "value")


def attention_leaves(layer: TorchLayer, shapes: dict[str, tuple[int, ...]], flax: FlaxLayer) -> list[Leaf]:
    """Leaves for kernels (E, heads, D) and biases (heads, D) as rows of `in_proj`, and the output's (heads, D, E).

    shapes: of PyTorch's tensors, by local name. Variables without a counterpart are left out.
    """
    leaves = []
    for variable in flax.variables:
        part, kind = map(str, variable.local[-2:])
        leaf = None
        if part in PARTS:
            leaf = _projection(layer, shapes, variable, PARTS.index(part), kind)
        elif part == "out":
            leaf = _leaf(layer, shapes, variable, "out_proj." + ("weight" if kind == "kernel" else "bias"))
        leaves += [leaf] if leaf else []
    return leaves


def _projection(layer: TorchLayer, shapes: dict, variable: Variable, number: int, kind: str) -> Leaf | None:
    name = f"in_proj_{'weight' if kind == 'kernel' else 'bias'}"
    if name not in shapes and kind == "kernel":
        return _leaf(layer, shapes, variable, f"{PARTS[number][0]}_proj_weight")
    if name not in shapes:
        return None
    width = shapes[name][0] // 3
    return _leaf(layer, shapes, variable, name, (number * width, (number + 1) * width))


def _leaf(
    layer: TorchLayer, shapes: dict, variable: Variable, name: str, rows: tuple[int, int] | None = None
) -> Leaf | None:
    if name not in shapes:
        return None
    shape = (rows[1] - rows[0], *shapes[name][1:]) if rows else shapes[name]
    rank = len(variable.shape)
    inputs = 0 if len(shape) == 1 else rank - 1 if name == "out_proj.weight" else 1
    axes = (*range(inputs, rank), *range(inputs))
    size = 1
    for axis in axes[: rank - inputs]:
        size *= variable.shape[axis]
    rest = 1
    for axis in range(inputs):
        rest *= variable.shape[axis]
    if (size, rest)[: len(shape)] != shape:
        return None
    stored = variable.shape
    return Leaf(
        layer.tensors[name], variable.path, variable.trained, variable.dtype, stored, stored, axes, shape, rows=rows
    )
