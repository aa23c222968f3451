"""Which functions have alternatives, by their plain names: `torch.add`, `x + y` and `x += y` are all "add"."""

from collections.abc import Iterator
from typing import Any

from parity.blame.diagnosis.functions import (
    activations,
    arithmetic,
    attention,
    blending,
    buckets,
    choosing,
    combined,
    discretised,
    distances,
    layout,
    losses,
    masks,
    reset_gates,
    rotary_shares,
    sampling,
    shapes,
    signs,
    subsets,
    targets,
    transforms,
    written,
)
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall
from parity.blame.diagnosis.functions.as_layer import LAYERS, as_layer
from parity.blame.diagnosis.functions.combined import REMEMBERED as REMEMBERED
from parity.blame.diagnosis.functions.complements import complements
from parity.blame.diagnosis.functions.packing import last_places, packed
from parity.blame.diagnosis.functions.picking import picked, placed
from parity.blame.diagnosis.functions.resizing import interpolation
from parity.blame.diagnosis.functions.rotation import in_parts, projections
from parity.blame.diagnosis.functions.running import NEUTRAL, cumulated, gathered
from parity.blame.diagnosis.functions.slopes_of_heads import slopes
from parity.blame.diagnosis.functions.waves import geometric


def _each(*sources: Alternatives) -> Alternatives:
    """Returns what lists the alternatives of one source after the other."""
    return lambda call: (alternative for source in sources for alternative in source(call))


def _sums(call: FunctionCall) -> Iterator[Alternative]:
    yield from masks.added(call)
    yield from arithmetic.sums(call)
    yield from blending.blended(call)
    yield from combined.terms(call)
    yield from targets.exchanged(call)
    yield from subsets.subsets(call) if call.name == "add" else ()
    yield from rotary_shares.of_whole(call)


def _differences(call: FunctionCall) -> Iterator[Alternative]:
    yield from arithmetic.differences(call)
    yield from targets.exchanged(call)
    yield from subsets.subsets(call) if call.name == "sub" else ()


def _reductions(call: FunctionCall) -> Iterator[Alternative]:
    yield from arithmetic.reductions(call)
    yield from subsets.masked(call) if call.name == "sum" else ()


def _products(call: FunctionCall) -> Iterator[Alternative]:
    divides = "div" in call.name
    yield from combined.averaged(call)
    yield from targets.means(call) if divides else written.activated(call)
    yield from () if divides else reset_gates.before(call)
    yield from slopes(call)
    yield from combined.counted(call) if divides else combined.gated(call)
    yield from signs.floors(call) if divides else discretised.fed(call)
    yield from discretised.held(call) if divides else ()
    yield from arithmetic.products(call)
    yield from complements(call)


DETACH = "detach"  # alters gradients alone

TABLE: dict[str, Alternatives] = {
    **{name: as_layer(make) for name, make in LAYERS.items()},
    "linear": _each(as_layer(LAYERS["linear"]), projections, reset_gates.behind),
    "embedding": _each(as_layer(LAYERS["embedding"]), buckets.embedded),
    "softmax": _each(as_layer(LAYERS["softmax"]), choosing.softmax_before),
    "sigmoid": _each(as_layer(LAYERS["sigmoid"]), activations.gates),
    "topk": choosing.renormalised,
    "interpolate": _each(interpolation, as_layer(LAYERS["interpolate"])),
    **dict.fromkeys(("add", "radd", "iadd"), _sums),
    **dict.fromkeys(("sub", "rsub", "isub", "subtract"), _differences),
    **dict.fromkeys(("mul", "rmul", "imul", "div", "truediv", "itruediv", "multiply"), _products),
    **dict.fromkeys(("mean", "sum", "amax", "max"), _reductions),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), arithmetic.variances),
    **dict.fromkeys(("clamp", "clip"), arithmetic.bounds),
    **dict.fromkeys(("neg", "negative"), signs.negatives),
    **dict.fromkeys(("sin", "cos"), arithmetic.waves),
    **dict.fromkeys(("sqrt", "rsqrt"), arithmetic.reciprocal_roots),
    **dict.fromkeys(("norm", "linalg_norm", "linalg_vector_norm"), arithmetic.norms),
    **dict.fromkeys(NEUTRAL, cumulated),
    **dict.fromkeys(("index_add", "scatter_add"), gathered),
    "embedding_bag": arithmetic.bags,
    "normalize": arithmetic.normalised,
    "scaled_dot_product_attention": _each(attention.grouped, attention.fused),
    "multi_head_attention_forward": attention.multi_head,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), attention.comparisons),
    **dict.fromkeys(("triu", "tril"), attention.triangle),
    "masked_fill": attention.masked,
    "where": attention.chosen,
    **dict.fromkeys(("chunk", "split", "unbind"), _each(attention.parts, attention.by_heads)),
    **dict.fromkeys(
        ("flatten", "reshape", "view", "unflatten"), _each(shapes.flattened, shapes.merged, layout.unturned)
    ),
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack"),
        _each(in_parts, shapes.joined, layout.restacked, rotary_shares.of_part),
    ),
    **dict.fromkeys(layout.TURNING, layout.shaped),
    "cross_entropy": _each(losses.cross_entropy, targets.rows_of_classes),
    **dict.fromkeys(losses.OTHERS, _each(losses.options, targets.positives, targets.others)),
    "getitem": _each(picked, buckets.picked, slopes),
    "setitem": placed,
    "einsum": discretised.fed,
    **dict.fromkeys(("floor_divide", "floordiv"), signs.floors),
    "pad": shapes.padded,
    DETACH: arithmetic.detached,
    "affine_grid": sampling.grids,
    "grid_sample": sampling.samples,
    "roll": shapes.rolled,
    "exp": _each(geometric, activations.exponentials),
    **dict.fromkeys(("repeat_interleave", "repeat"), shapes.repeated),
    "pack_padded_sequence": packed,
    **dict.fromkeys(transforms.NAMES, transforms.transforms),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), last_places),
    **dict.fromkeys(("pow", "rpow"), _each(geometric, combined.powers)),
    "glu": combined.halves,
    "pairwise_distance": distances.pairwise,
    "cdist": distances.mutual,
    "ctc_loss": losses.ctc,
    "arange": shapes.shifted,
    **dict.fromkeys(("matmul", "rmatmul", "mm", "bmm"), _each(shapes.exchanged, reset_gates.behind)),
}


# what a layer that computes the same in Flax may be given there
OF_RIGHT: dict[str, Alternatives] = {"linear": projections, "embedding": buckets.embedded}


def plain_name(function: Any) -> str:
    """Returns the name without underscores around it."""
    return getattr(function, "__name__", "").strip("_")


def alternatives_of(name: str, right: bool = False) -> Alternatives | None:
    """Returns what lists the alternatives of a function, where it has any.

    right: it is called by a layer that computes the same in Flax; two of those together may still be wrong
    """
    return TABLE.get(name) if not right else OF_RIGHT.get(name)
