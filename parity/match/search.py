"""The search for the map: run, and where the run shows that a choice was wrong, choose otherwise and run again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen, nnx
from jaxtyping import Shaped

from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.match.arrangement import FEW, NEAR, arrangement
from parity.match.channels import layers_of_channels
from parity.match.flax_layers import Variables
from parity.match.fused import fused_layers
from parity.match.inputs import layers_of_inputs
from parity.match.leftovers import Books, check, completed
from parity.match.numbered import numbered, renumber
from parity.match.passing import Pass, Stolen
from parity.match.patches import layers_of_patches, layers_of_rows
from parity.match.torch_layers import Recorded, arrays_of, record
from parity.match.windows import layers_of_other_axes
from parity.models.calls import Path
from parity.models.exact import exact
from parity.models.flax_model import FlaxModel
from parity.models.nnx_model import NNXModel

RUNS = 60  # Flax's layers are not computed in them, only what is between
VARIANTS = 24
LUCK = 1e-5  # of one number, which digits of float32 move less


def match(
    flax: FlaxModel,
    torch_model: torch.nn.Module,
    inputs: tuple[Shaped[np.ndarray, "..."], ...],
    torch_inputs: tuple[torch.Tensor, ...],
    constants: Collection[str] = (),
) -> list[Leaf]:
    """The Leaf of each variable of Flax's that has a counterpart in PyTorch's state_dict, in PyTorch's order.

    inputs, torch_inputs: the same values, images channels last and channels first
    constants: keys of buffers that PyTorch's model may hold alone

    Neither model is changed; both run in float64 and evaluation mode. A layer with a mistake in it is matched too.
    Raises InputError if a parameter or persistent buffer of PyTorch's or a variable of Flax's has no counterpart,
    integer counters of PyTorch's aside, and lists all of them; or if a model does not run on these inputs.
    """
    return Search(torch_model, inputs, torch_inputs, constants).found(flax).leaves


def sure_of(run: Pass) -> set[str]:
    """Returns PyTorch's tensors of the layers that no guess has paired."""
    return {leaf.key for partner in run.partners.values() if not partner.guessed for leaf in partner.leaves}


@dataclass(frozen=True)
class Found:
    """A map, and how sure it is.

    score: what speaks against it, the less the better: it does not run, layers guessed, other outputs
    """

    leaves: list[Leaf]
    score: tuple[bool, int, bool]
    run: Pass

    @property
    def agrees(self) -> bool:
        """Tells whether both models compute the same under it, each layer given what its partner is given."""
        return not any(self.score)


class Search:
    """Looks for maps of one PyTorch model, which it runs once, and Flax models of the same numbers; see `match`."""

    def __init__(
        self, torch_model: torch.nn.Module, inputs: tuple, torch_inputs: tuple, constants: Collection[str] = ()
    ):
        self.torch_model = torch_model
        self.torch_inputs = tuple(torch_inputs)
        self.recorded = record(torch_model, self.torch_inputs)
        self.inputs = tuple(np.asarray(x) for x in inputs)
        self.constants = constants

    def again(self, held: Mapping[str, np.ndarray]) -> Recorded:
        """Returns another run of PyTorch's model, in which these tensors hold other numbers than in the first."""
        return record(self.torch_model, self.torch_inputs, held=held)

    def found(
        self, flax: FlaxModel, blocks: int = 1, known: Sequence[Leaf] = (), runs: int = RUNS, until: Path | None = None
    ) -> Found:
        """Returns the map. Raises InputError as `match` does.

        blocks: of the rows of PyTorch's fused layers, each with a part of all that are fused
        known:  what no run is asked about
        until:  the layer that is not to be guessed
        """
        with exact(), jax.default_matmul_precision("highest"):
            variables = Variables(flax, self.inputs)
            others = [*fused_layers(self.recorded, variables, blocks), *layers_of_patches(self.recorded, variables)]
            others += layers_of_rows(self.recorded, variables)
            others += layers_of_other_axes(self.recorded, variables, self.inputs)
            others += [*layers_of_inputs(self.recorded, variables), *layers_of_channels(self.recorded, variables)]
            recorded = replace(self.recorded, layers=[*self.recorded.layers, *others])
            score, run, books = _best(flax, recorded, variables, self.inputs, list(known), runs, until)
            constants = {*self.constants, *flax.constants()}
            leaves = check(books, recorded, run.error, [*_notes(run), *_rewriting(flax)], constants, sure_of(run))
            return Found(leaves, score, run)


def _best(
    model: FlaxModel,
    recorded: Recorded,
    variables: Variables,
    inputs: tuple,
    known: list[Leaf],
    runs: int,
    until: Path | None,
) -> tuple[tuple[bool, int, bool], Pass, Books]:
    """Returns the run with the fewest guesses, and its books."""
    start = in_float64(model.params), in_float64(model.buffers)
    excluded = set()
    fits, shapes, proofs = {}, {}, {}
    prefix: tuple[int, ...] = ()
    best: tuple[tuple, Pass, Books] | None = None
    loaded = known
    variant = 0
    wide = narrowed = False
    for _ in range(runs):
        run = Pass(model, recorded, variables, start, prefix, excluded, loaded, fits, shapes, proofs, until, wide)
        try:
            run.run(inputs)
        except Stolen:
            continue
        books = _books(run, recorded, variables, variant, known)
        score = (run.error is not None, len(run.guesses), not outputs_gap(run.output, recorded.output) < NEAR)
        if best is None or score < best[0]:
            best = score, run, books
        if not any(score):
            break
        if set(books.leaves) != set(loaded):  # weights that are used outside of layers count from now on
            loaded = books.leaves
            continue
        following = _next(run.choices[: run.guesses[0]] if run.guesses else run.choices)
        undecided = run.error is None and variant < VARIANTS and _open(run, books)
        if undecided and (not run.guesses or books.spread or following is None):
            variant += 1
            loaded = _books(run, recorded, variables, variant, known).leaves
            prefix = () if run.guesses and following is None else prefix
            continue
        narrowed |= run.narrowed
        if following is None and (wide or not narrowed):
            break
        wide |= following is None
        prefix = following or ()
    assert best, "a run without an end"
    score, run, books = best
    return score, run, _renumbered(run, books, known)


def _renumbered(run: Pass, books: Books, known: Sequence[Leaf]) -> Books:
    """Returns the books of a run in which blocks that were guessed have the numbers of PyTorch's."""
    if renamed := numbered(run) if run.guesses else {}:
        renumber(run, renamed)
        return _books(run, books.recorded, books.variables, 0, known)
    return books


def _books(run: Pass, recorded: Recorded, variables: Variables, variant: int, known: Sequence[Leaf]) -> Books:
    met = [leaf for partner in run.partners.values() for leaf in partner.leaves]
    paths = {leaf.path for leaf in met}
    others = [leaf for leaf in known if leaf.path not in paths]
    leaves = {(leaf.key, leaf.rows, leaf.path): leaf for leaf in [*met, *others]}
    return completed(recorded, variables, list(leaves.values()), run.layers, variant)


def _open(run: Pass, books: Books) -> bool:
    """Tells if tensors were paired that no call decided about."""
    return len({leaf.path for partner in run.partners.values() for leaf in partner.leaves}) < len(
        {leaf.path for leaf in books.leaves}
    )


def _next(choices: list[tuple[int, int]]) -> tuple[int, ...] | None:
    """The next prefix: the last choice that has another candidate takes it; those behind it start anew."""
    for place in range(len(choices) - 1, -1, -1):
        choice, count = choices[place]
        if choice + 1 < count:
            return (*(choice for choice, _ in choices[:place]), choice + 1)
    return None


def outputs_gap(flax: Any, torch_output: Any) -> float:
    """Returns how far outputs are apart, in the arrangements that suit best; infinite if others or none.

    A loss, or fewer numbers than tell anything, may be near under many a map: it agrees or not.
    """
    ours = arrays_of(flax)
    theirs = arrays_of(torch_output)
    if not ours or len(ours) != len(theirs):
        return np.inf
    arrangements = [arrangement(left, right) for left, right in zip(ours, theirs, strict=True)]
    gap = max(item.gap if item else np.inf for item in arrangements)
    return gap if gap < LUCK or sum(x.size for x in ours) >= FEW else np.inf


def _notes(run: Pass) -> list[str]:
    cells = [getattr(layer.module, "cell", layer.module) for layer in run.layers.values()]
    if any(isinstance(cell, nnx.GRUCell) for cell in cells):
        return ["nnx.GRUCell has no bias of the hidden state within the reset gate (google/flax#5594)"]
    return [
        f"the normalisation is the difference: linen.SpectralNorm at {'.'.join(map(str, path))} keeps u and the last"
        " sigma, and takes its power iterations in evaluation, too, beginning with u; PyTorch's spectral_norm keeps u"
        " and v, and takes them in training alone, beginning with v"
        for path, layer in run.layers.items()
        if issubclass(layer.kind, linen.SpectralNorm)
    ]


def _rewriting(model: FlaxModel) -> list[str]:
    """Tells of layers around a layer that write what they have normalised back into it."""
    notes = []
    for path, module in nnx.iter_graph(model.module) if isinstance(model, NNXModel) else ():
        if isinstance(module, nnx.WeightNorm | nnx.SpectralNorm):
            kind = type(module).__name__
            notes.append(
                f"the normalisation is the difference: nnx.{kind} at {'.'.join(map(str, path))} writes the normalised"
                " kernel back into the layer that it wraps, and its scale is no parameter (google/flax#5576);"
                " PyTorch trains the unnormalised weight and its scale, and rewrites neither"
            )
    return notes


def in_float64(tree: dict) -> dict:
    """The tree with arrays in place of shapes, floats in float64."""

    def value(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        floating = jnp.issubdtype(leaf.dtype, jnp.inexact)
        if isinstance(leaf, jax.ShapeDtypeStruct):
            leaf = np.ones(leaf.shape, leaf.dtype)
        return jax.device_put(np.asarray(leaf, np.float64) if floating else leaf)  # nothing to compile

    return unflatten({path: value(leaf) for path, leaf in flatten(tree)})
