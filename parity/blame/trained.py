"""Tensors that one side trains and the other keeps, as a buffer or, in PyTorch, frozen."""

from collections.abc import Collection, Container, Sequence

import torch

from parity.arrays.key import Key, Record
from parity.blame.diagnosis.cause import Cause
from parity.models.torch_buffers import frozen_parameters


def trained_alone(oracle: Record, flax: Record) -> tuple[list[str], list[str]]:
    """Returns the names of the tensors that Flax alone trains, and of those that PyTorch alone does."""
    theirs, ours = (({key.tensor for key in side if key.phase == "gradients"}) for side in (oracle, flax))
    kept, held = ({key.tensor for key in side if key.phase == "buffers"} for side in (oracle, flax))
    return sorted((ours - theirs) & kept), sorted((theirs - ours) & held)


def trained_though_frozen(model: torch.nn.Module, wrong: Collection[Key]) -> list[str]:
    """Returns the names of parameters that PyTorch has frozen, and whose gradients in Flax are no zeros."""
    return sorted(frozen_parameters(model) & {key.tensor for key in wrong if key.phase == "gradients"})


def is_of(key: Key, names: Container[str]) -> bool:
    """Tells whether the key is that of one of the tensors, of a layer on its own too."""
    inside = key.layer.partition(" ")[0]
    return (f"{inside}.{key.tensor}" if inside else key.tensor) in names


def explain_trained(by_flax: Sequence[str], by_torch: Sequence[str], frozen: Sequence[str] = ()) -> Cause:
    """Returns the cause, the tensors by name."""
    texts = []
    if frozen:
        texts.append(
            f"Flax trains {', '.join(frozen)}, which PyTorch has frozen (requires_grad=False): jax.lax.stop_gradient"
            " of what it computes with is right"
        )
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
