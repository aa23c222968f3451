"""Which functions have alternatives, by their plain names: `torch.add`, `x + y` and `x += y` are all "add"."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions import (
    activations,
    arithmetic,
    attention,
    blending,
    bounding,
    buckets,
    choosing,
    combined,
    degrees,
    discretised,
    distances,
    gathering,
    layout,
    left_out_keys,
    losses,
    masks,
    reset_gates,
    rotary_shares,
    sampling,
    saturating,
    scaled_sums,
    shapes,
    signs,
    smoothing,
    subsets,
    targets,
    transforms,
    vector_norms,
    written,
)
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall
from parity.blame.diagnosis.functions.as_layer import LAYERS, as_layer
from parity.blame.diagnosis.functions.ascents import by_norm, over_norm
from parity.blame.diagnosis.functions.combined import REMEMBERED as REMEMBERED
from parity.blame.diagnosis.functions.complements import complements
from parity.blame.diagnosis.functions.medians import medians
from parity.blame.diagnosis.functions.packing import last_places, packed
from parity.blame.diagnosis.functions.picking import picked, placed
from parity.blame.diagnosis.functions.resizing import interpolation
from parity.blame.diagnosis.functions.rotation import in_parts, projections
from parity.blame.diagnosis.functions.running import NEUTRAL, cumulated, gathered
from parity.blame.diagnosis.functions.slopes_of_heads import biased, slopes
from parity.blame.diagnosis.functions.waves import geometric


def each(*sources: Alternatives) -> Alternatives:
    """Returns what lists the alternatives of one source after the other; one that a call does not fit has none."""

    def alternatives(call: FunctionCall) -> Iterator[Alternative]:
        for source in sources:
            with suppress(*UNFIT):
                yield from list(source(call))

    return alternatives


SUM = (
    masks.added,
    smoothing.by_hand,
    arithmetic.sums,
    blending.blended,
    biased,
    scaled_sums.of_term,
    scaled_sums.before_product,
    combined.terms,
    targets.exchanged,
)
PRODUCT = (
    *(combined.averaged, written.activated, reset_gates.before, slopes, combined.gated, discretised.fed),
    *(degrees.by_roots, degrees.of_edges, by_norm, scaled_sums.of_whole, arithmetic.products, complements),
)
QUOTIENT = (
    *(combined.averaged, targets.means, slopes, combined.counted, signs.floors, discretised.held),
    *(discretised.bilinear, degrees.by_sums, over_norm, arithmetic.products, complements),
)


DETACH = "detach"  # alters gradients alone

TABLE: dict[str, Alternatives] = {
    **{name: as_layer(make) for name, make in LAYERS.items()},
    "linear": each(as_layer(LAYERS["linear"]), projections, reset_gates.behind),
    "embedding": each(as_layer(LAYERS["embedding"]), buckets.embedded),
    "softmax": each(as_layer(LAYERS["softmax"]), choosing.softmax_before, left_out_keys.of_scores),
    "softplus": each(saturating.of_scores, as_layer(LAYERS["softplus"])),
    **{name: each(saturating.of_scores, as_layer(LAYERS[name])) for name in ("logsigmoid", "log_sigmoid")},
    "log": saturating.of_shares,
    "sigmoid": each(as_layer(LAYERS["sigmoid"]), activations.gates),
    "topk": choosing.renormalised,
    "interpolate": each(interpolation, as_layer(LAYERS["interpolate"])),
    "add": each(*SUM, subsets.subsets, rotary_shares.of_whole),
    **dict.fromkeys(("radd", "iadd"), each(*SUM, rotary_shares.of_whole)),
    "sub": each(arithmetic.differences, targets.exchanged, subsets.subsets),
    **dict.fromkeys(("rsub", "isub", "subtract"), each(arithmetic.differences, targets.exchanged)),
    **dict.fromkeys(("mul", "rmul", "imul", "multiply"), each(*PRODUCT)),
    **dict.fromkeys(("div", "truediv", "itruediv"), each(*QUOTIENT)),
    **dict.fromkeys(("mean", "amax", "max", "logsumexp"), arithmetic.reductions),
    "sum": each(arithmetic.reductions, subsets.masked),
    "median": medians,
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), arithmetic.variances),
    **dict.fromkeys(("clamp", "clip"), arithmetic.bounds),
    **dict.fromkeys(("neg", "negative"), signs.negatives),
    **dict.fromkeys(("sin", "cos"), arithmetic.waves),
    **dict.fromkeys(("sqrt", "rsqrt"), arithmetic.reciprocal_roots),
    **dict.fromkeys(("norm", "linalg_norm", "linalg_vector_norm"), vector_norms.norms),
    **dict.fromkeys(NEUTRAL, cumulated),
    **dict.fromkeys(("index_add", "scatter_add"), gathered),
    "embedding_bag": arithmetic.bags,
    "normalize": vector_norms.normalised,
    "scaled_dot_product_attention": each(
        attention.grouped, attention.fused, attention.over_queries, left_out_keys.of_attention
    ),
    "multi_head_attention_forward": attention.multi_head,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), attention.comparisons),
    **dict.fromkeys(("triu", "tril"), attention.triangle),
    "masked_fill": attention.masked,
    "where": attention.chosen,
    **dict.fromkeys(("chunk", "split", "unbind"), each(attention.parts, attention.by_heads)),
    **dict.fromkeys(
        ("flatten", "reshape", "view", "unflatten"), each(shapes.flattened, shapes.merged, layout.unturned)
    ),
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack"),
        each(in_parts, shapes.joined, layout.restacked, rotary_shares.of_part),
    ),
    **dict.fromkeys(layout.TURNING, layout.shaped),
    "cross_entropy": each(losses.cross_entropy, targets.rows_of_classes),
    **dict.fromkeys(losses.OTHERS, each(losses.options, saturating.of_targets, targets.positives, targets.others)),
    "getitem": each(picked, buckets.picked, slopes),
    "setitem": placed,
    "einsum": each(discretised.fed, layout.exchanged),
    **dict.fromkeys(("floor_divide", "floordiv"), signs.floors),
    "pad": shapes.padded,
    DETACH: arithmetic.detached,
    "affine_grid": sampling.grids,
    "grid_sample": sampling.samples,
    "roll": shapes.rolled,
    "exp": each(geometric, activations.exponentials, discretised.decays),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), bounding.of_two),
    **dict.fromkeys(("gather", "take_along_dim"), gathering.gathered),
    **dict.fromkeys(("argsort", "sort"), gathering.sorted_otherwise),
    **dict.fromkeys(("repeat_interleave", "repeat"), shapes.repeated),
    "pack_padded_sequence": packed,
    **dict.fromkeys(transforms.NAMES, each(transforms.transforms, transforms.convolved)),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), last_places),
    **dict.fromkeys(("pow", "rpow"), each(geometric, combined.powers)),
    "glu": combined.halves,
    "pairwise_distance": distances.pairwise,
    "cdist": distances.mutual,
    "ctc_loss": losses.ctc,
    "arange": shapes.shifted,
    **dict.fromkeys(("matmul", "rmatmul", "mm", "bmm"), each(shapes.exchanged, reset_gates.behind)),
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
