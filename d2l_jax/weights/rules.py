"""Tensors of a Flax model as PyTorch's: a path is a key by name, its axes follow from the layer's type."""

from collections.abc import Callable, Iterator
from typing import Any

from flax import nnx

from d2l_jax.weights.axes import as_is, channels_first, input_first, output_first
from d2l_jax.weights.leaf import Leaf, Shape

AxisOrder = Callable[[int], Shape]

# The words by which a layer of its own says in `weight_rule` how PyTorch orders the axes of a variable.
ORDERS: dict[str, AxisOrder] = {
    "as_is": as_is,
    "output_first": output_first,
    "channels_first": channels_first,
    "flipped": input_first,  # and the window turned round
    "one_number": as_is,  # which PyTorch has as an array
}
SCALE = {"scale": ("weight", "as_is")}

# Flax's layer -> name of a variable -> (PyTorch's name, order of Flax's axes in PyTorch).
# A variable that no rule names has the same name and shape on both sides.
RULES: dict[type, dict[str, tuple[str, str]]] = {
    nnx.Linear: {"kernel": ("weight", "output_first")},
    nnx.Conv: {"kernel": ("weight", "output_first")},
    nnx.Embed: {"embedding": ("weight", "as_is")},
    nnx.ConvTranspose: {"kernel": ("weight", "flipped")},
    nnx.BatchNorm: SCALE | {"mean": ("running_mean", "as_is"), "var": ("running_var", "as_is")},
    nnx.LayerNorm: SCALE,
    nnx.GroupNorm: SCALE,
    nnx.InstanceNorm: SCALE,
    nnx.RMSNorm: SCALE,
    nnx.PReLU: {"negative_slope": ("weight", "one_number")},
}


def rule_of(kind: type) -> dict[str, tuple[str, str]]:
    """Returns the rule that a layer carries, or that of Flax's layer which it is made from."""
    rules = (vars(base).get("weight_rule", RULES.get(base)) for base in kind.__mro__)
    return next((rule for rule in rules if rule is not None), {})


def leaf(key: str, path: tuple, trained: bool, variable: Any, order: str) -> Leaf:
    """A tensor whose axes alone are in another order."""
    rank = len(variable.shape)
    axes = ORDERS[order](rank)
    shape = (1,) if order == "one_number" else tuple(variable.shape[axis] for axis in axes)
    flip = tuple(range(rank - 2)) if order == "flipped" else ()
    bound = getattr(type(variable), "bound", False)
    return Leaf(key, path, trained, variable.dtype, variable.shape, variable.shape, axes, shape, flip, bound=bound)


def leaves(model: nnx.Module) -> list[Leaf]:
    """Every tensor of `model` that PyTorch's twin has too, in PyTorch's order; random keys are left out."""
    return list(_walk(model, "", {id(variable): path for path, variable in variables(model).items()}))


def variables(model: nnx.Module) -> dict[tuple, nnx.Variable]:
    """Every variable of the model where it first stands."""
    return {path: node for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Variable)}


def _walk(module: nnx.Module, prefix: str, paths: dict[int, tuple]) -> Iterator[Leaf]:
    rules = rule_of(type(module))
    tensors = {}
    modules = {}
    for name, value in _attributes(module):
        if isinstance(value, nnx.Variable) and not isinstance(value, nnx.RngState):
            tensors[name] = value
        elif isinstance(value, nnx.Module) and not isinstance(value, nnx.RngStream | nnx.Rngs):
            modules[name] = value
    for name, variable in tensors.items():
        torch_name, order = rules.get(name, (name, "as_is"))
        if getattr(module, "transpose_kernel", False):  # nnx.ConvTranspose turns and exchanges by itself
            order = "output_first" if order == "flipped" else order
        trained = isinstance(variable, nnx.Param)
        yield leaf(prefix + torch_name, paths[id(variable)], trained, variable, order)
    for name, child in modules.items():
        # nnx.Sequential's own list is no name of PyTorch's.
        own_list = isinstance(module, nnx.Sequential) and name == "layers"
        yield from _walk(child, prefix if own_list else f"{prefix}{name}.", paths)


def _attributes(module: nnx.Module) -> Iterator[tuple[str, Any]]:
    if isinstance(module, nnx.List):
        return ((str(i), value) for i, value in enumerate(module))
    return iter(vars(module).items())
