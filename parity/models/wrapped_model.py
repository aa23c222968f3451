"""A Linen module in an object that holds its parameters and is called with them, as Hugging Face's classes are.

Such an object completes what it is called with before it hands it on: positions that are counted, masks of ones, images
whose channels it puts last.
"""

import inspect
from typing import Any

import jax
from flax import linen

from d2l_jax.errors import InputError
from d2l_jax.functional import Tree
from parity.models.flax_model import called
from parity.models.linen_model import LinenModel, plain_weight_norm


def is_wrapper(model: Any) -> bool:
    """Tells whether a model is such an object."""
    return isinstance(getattr(model, "module", None), linen.Module) and hasattr(model, "params")


def held_variables(wrapper: Any) -> dict[str, Any]:
    """Returns the variables that it holds: parameters alone, or collections by name."""
    return dict(wrapper.params) if "params" in wrapper.params else {"params": wrapper.params}


def linen_parts(model: Any, variables: Any) -> tuple[Any, Any]:
    """Returns the module and the variables of such an object; another model, and its variables, as they are."""
    return (model.module, variables or held_variables(model)) if is_wrapper(model) else (model, variables)


def wrapped(wrapper: Any, variables: Any, names: tuple[str, ...], arrays: tuple, trains: bool) -> LinenModel:
    """Returns the model as it is called; its module alone where that runs on the inputs and the whole does not.

    Raises InputError where what the object computes with its parameters cannot be seen.
    """
    module = LinenModel(wrapper.module, variables, names, trains)
    if not callable(wrapper):
        return module
    if "params" not in inspect.signature(type(wrapper).__call__).parameters:
        kind = type(wrapper).__name__
        hand = "hand over its module, and variables={'params': ...}"
        raise InputError(f"{kind} holds a Linen module, and its call takes no params to be called with; {hand}")
    whole = WrappedModel(wrapper, variables, names, trains)
    return module if not _runs(whole, arrays) and _runs(module, arrays) else whole


class WrappedModel(LinenModel):
    """A Linen module as the object around it calls it."""

    def __init__(self, wrapper: Any, variables: Tree, names: tuple[str, ...] = (), trains: bool = True):
        super().__init__(wrapper.module, variables, names, trains)
        self.name = type(wrapper).__name__
        self.wrapper = wrapper
        self.call = type(wrapper).__call__

    def applied(self, params: Tree, buffers: Tree, args: tuple, kwargs: dict, train: bool) -> tuple[Any, Tree]:
        variables = {"params": params, **buffers}
        keys = {name: jax.random.key(0) for name in inspect.signature(self.call).parameters if name.endswith("_rng")}
        held = variables if "params" in self.wrapper.params else params
        with plain_weight_norm():
            result = self.wrapper(*args, **kwargs, **keys, params=held)
        if not (train and buffers):
            return result, buffers
        outputs, changed = result
        return outputs, {**buffers, **changed}


def _runs(model: LinenModel, arrays: tuple) -> bool:
    def run(params: Tree, buffers: Tree, *arrays: Any) -> Any:
        return model.run(called, params, buffers, *arrays, train=False)

    try:
        jax.eval_shape(run, model.params, model.buffers, *arrays)
    except Exception:  # of the user's own model, whatever it is
        return False
    return True
