"""From a module to a pure function: the counterpart of `torch.func.functional_call`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx

Tree = dict[str, Any]


class Functional(NamedTuple):
    """A model as a pure function and the two plain dicts that it takes.

    apply:    (params, buffers, *inputs) -> (outputs, buffers)
    params:   what is trained (`nnx.Param`)
    buffers:  everything else that changes: running statistics, dropout keys and counts
    """

    apply: Callable[..., tuple[Any, Tree]]
    params: Tree
    buffers: Tree


def functional(model: nnx.Module, method: Callable[..., Any] | None = None) -> Functional:
    """Takes `model` apart; `model` itself is not touched by what `apply` does, and what modules sow is dropped.

    method: what runs, as a function of (model, *inputs); None is the model's own call
    """
    run, params, buffers = parts(model)

    def apply(params: Tree, buffers: Tree, *inputs: Any) -> tuple[Any, Tree]:
        return run(method or type(model).__call__, params, buffers, *inputs)

    return Functional(apply, params, buffers)


class Parts(NamedTuple):
    """A model as a way to run any function of it, and the two plain dicts that this takes.

    run: (function, params, buffers, *inputs) -> (function(model, *inputs), buffers)
    """

    run: Callable[..., tuple[Any, Tree]]
    params: Tree
    buffers: Tree


def parts(model: nnx.Module) -> Parts:
    """Takes `model` apart once for many functions of it, such as the objectives of a training step."""
    graphdef, params, buffers = _split(model)

    def run(function: Callable[..., Any], params: Tree, buffers: Tree, *inputs: Any) -> tuple[Any, Tree]:
        module = nnx.merge(graphdef, params, buffers)
        result = captured(function)(module, *inputs)
        return result, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

    return Parts(run, params, buffers)


def intermediates(model: nnx.Module, method: Callable[..., Any] | None = None) -> Functional:
    """As `functional`, but `apply` returns (outputs, what the modules have sown).

    The latter is a plain dict by attribute, its leaves tuples with one array per call:
    `sown["decoder"]["attention"]["attention_weights"][step]`. Nothing can be sown from within a scan.
    """
    graphdef, params, buffers = _split(model)

    def apply(params: Tree, buffers: Tree, *inputs: Any) -> tuple[Any, Tree]:
        module = nnx.merge(graphdef, params, buffers)
        outputs, sown = captured(method or type(module).__call__, nnx.Intermediate)(module, *inputs)
        return outputs, nnx.to_pure_dict(sown)

    return Functional(apply, params, buffers)


def captured(function: Callable[..., Any], *kinds: type[nnx.Variable]) -> Callable[..., Any]:
    """Returns `nnx.capture` of a function of (module, ...), whose note in a module `nnx.Dict` takes for an entry."""

    def run(module: nnx.Module, *inputs: Any, **options: Any) -> Any:
        for _, part in nnx.iter_modules(module):
            if isinstance(part, nnx.Dict) and "__captures__" in vars(part):
                del part.__captures__
        return function(module, *inputs, **options)

    return nnx.capture(run, *kinds)


def _split(model: nnx.Module) -> tuple[nnx.GraphDef, Tree, Tree]:
    """(definition, params, buffers), without what a call outside of `functional` has sown."""
    model = nnx.clone(model)
    nnx.pop(model, nnx.Intermediate)
    graphdef, params, buffers = nnx.split(model, nnx.Param, ...)
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(buffers)


def train_view(model: nnx.Module) -> nnx.Module:
    """The same variables, with dropout on and batch statistics in use."""
    return _view(model, deterministic=False, use_running_average=False)


def eval_view(model: nnx.Module) -> nnx.Module:
    """The same variables, with dropout off and running statistics in use."""
    return _view(model, deterministic=True, use_running_average=True)


def _view(model: nnx.Module, **attributes: bool) -> nnx.Module:
    """Returns new modules around the same variables, in a mode; a user's own, too, as `train` and `eval` do it."""
    view = nnx.view(model)  # given attributes, it would set those of Flax's own layers alone
    nnx.Module.set_attributes(view, raise_if_not_found=False, **attributes)
    return view
