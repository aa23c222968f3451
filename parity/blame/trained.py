"""Tensors that one side trains and the other keeps: a parameter of Flax's for a buffer of PyTorch's, or the reverse."""

from collections.abc import Container, Sequence

from parity.arrays.key import Key, Record
from parity.blame.diagnosis.cause import Cause


def trained_alone(oracle: Record, flax: Record) -> tuple[list[str], list[str]]:
    """Returns the names of the tensors that Flax alone trains, and of those that PyTorch alone does."""
    theirs, ours = (({key.tensor for key in side if key.phase == "gradients"}) for side in (oracle, flax))
    kept, held = ({key.tensor for key in side if key.phase == "buffers"} for side in (oracle, flax))
    return sorted((ours - theirs) & kept), sorted((theirs - ours) & held)


def is_of(key: Key, names: Container[str]) -> bool:
    """Tells whether the key is that of one of the tensors, of a layer on its own too."""
    inside = key.layer.partition(" ")[0]
    return (f"{inside}.{key.tensor}" if inside else key.tensor) in names


def explain_trained(by_flax: Sequence[str], by_torch: Sequence[str]) -> Cause:
    """Returns the cause, the tensors by name."""
    texts = []
    if by_flax:
        texts.append(
            f"Flax trains {', '.join(by_flax)}, which PyTorch keeps as a buffer: a variable that is no nnx.Param, or in"
            " Linen another collection than 'params', is right"
        )
    if by_torch:
        texts.append(
            f"PyTorch trains {', '.join(by_torch)}, which Flax keeps as no parameter: an nnx.Param, or in Linen"
            " self.param, is right"
        )
    return Cause("trained-alone", "; ".join(texts), 0.0)
