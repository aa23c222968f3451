"""One case in words and numbers for `d2l-jax show`: its layers in the model's order, and how it is trained."""

from dataclasses import asdict
from typing import Any

import jax
from rich.table import Table

from d2l_jax.case import Case
from d2l_jax.cases.editions import chinese
from d2l_jax.functional import Tree
from d2l_jax.runs.layers import Layer, Shape, layers_of
from d2l_jax.runs.listing import count, shapes
from d2l_jax.runs.places import places
from d2l_jax.runs.settings import name_of
from d2l_jax.turns import Turn, parted

Details = dict[str, Any]


def details(case: Case) -> Details:
    """Returns everything that `d2l-jax show` tells, as JSON has it."""
    pure = shapes(case)
    layers = layers_of(case)
    layers[:1] = [root for root in layers[:1] if root.calls or root.tensors]
    return {
        "name": case.name,
        "section": case.section,
        "section_zh": chinese(case.section),
        "title": case.title,
        "model": places(case),
        "inputs": [list(array.shape) for array in case.arrays],
        "layers": [asdict(layer) for layer in layers],
        "parameters": count(pure.params),
        "trained": _trained(case, pure.params),
        "bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pure.params)),
        "training": training(case),
    }


def _trained(case: Case, params: Tree) -> int:
    """Counts the parameters that some turn moves."""
    return sum(count(parted(params, turn.trains)[0]) for turn in case.turns)


def details_tables(told: Details) -> list[Table]:
    """Returns what `details` tells as tables: where the model is, its layers, the totals, its training."""
    head = _plain()
    edition = f" (Chinese edition {told['section_zh']})" if told["section_zh"] else ""
    head.add_row(told["name"], f"{told['title']}, section {told['section']}{edition}", ", ".join(told["model"]))
    if told["inputs"]:
        head.add_row("input", " and ".join(map(shape_text, told["inputs"])), "")
    layers = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("layer", "kind", "output", "parameters", "tensors"):
        layers.add_column(heading, justify="right" if heading == "parameters" else "left", no_wrap=True)
    for fields in told["layers"]:
        layers.add_row(*layer_row(Layer(**fields), told["name"]))
    tail = _plain()
    trained = "" if told["trained"] in (0, told["parameters"]) else f", {told['trained']:,} trained"
    tail.add_row("total", f"{told['parameters']:,} parameters{trained}, {size_text(told['bytes'])}", "")
    for name, value in told["training"].items():
        tail.add_row("training", name, value)
    return [head, layers, tail] if told["layers"] else [head, tail]


def _plain() -> Table:
    return Table("", "", "", box=None, show_header=False, pad_edge=False)


def layer_row(layer: Layer, whole: str) -> tuple[str, ...]:
    """Returns a layer in words.

    whole: the name of the model, which is the layer around all others
    """
    outputs = ", ".join(map(shape_text, layer.outputs)) or "-"
    calls = f" ({layer.calls} calls)" if layer.calls > 1 and not layer.same_as else ""
    parameters = f"as {layer.same_as}" if layer.same_as else f"{layer.parameters:,}" if layer.parameters else "-"
    tensors = ", ".join(f"{name} {shape_text(shape)}" for name, shape in layer.tensors.items())
    return layer.name or whole, layer.kind, outputs + calls, parameters, tensors


def shape_text(shape: Shape) -> str:
    """Returns a shape as "128x28x28x1"."""
    return "x".join(map(str, shape)) or "scalar"


def size_text(size: int) -> str:
    """Returns a number of bytes with its unit."""
    return f"{size:,} bytes" if size < 100_000 else f"{size / 1e6:,.1f} MB"


def training(case: Case) -> dict[str, str]:
    """Returns the book's settings in words; empty for a building block."""
    if not case.data:
        return {}
    return {
        "data": case.data + (f", resized to {case.resize[0]}x{case.resize[1]}" if case.resize else ""),
        **({"augmentation": str(case.augment.train)} if case.augment else {}),
        **({"batch": " and ".join(shape_text(array.shape) for array in case.arrays)} if case.arrays else {}),
        **{f"{turn.name} {name}".lstrip(): told for turn in case.turns for name, told in _of_turn(turn).items()},
        "epochs": str(case.epochs),
    }


def _of_turn(turn: Turn) -> dict[str, str]:
    options = ", ".join(f"{name} {value}" for name, value in getattr(turn.optimizer, "keywords", {}).items())
    losses = (getattr(turn.objective, name, None) for name in ("loss", "penalty"))
    return {
        "optimizer": f"{name_of(turn.optimizer)} ({options})",
        **({} if turn.clip is None else {"clipping": f"gradients to norm {turn.clip:g}"}),
        "loss": " + ".join(name_of(loss) for loss in losses if loss) or name_of(turn.objective),
    }
