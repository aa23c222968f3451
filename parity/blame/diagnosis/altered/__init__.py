"""PyTorch modules with one convention altered: generators of (name, text, altered copy), one function each."""

from parity.blame.diagnosis.altered import (
    activations,
    attention,
    convolution,
    linear,
    norms,
    others,
    pooling,
    recurrent,
    weight_norms,
)
from parity.blame.diagnosis.altered.change import Alteration

ALTERATIONS: list[Alteration] = [
    *norms.ALTERATIONS,
    *linear.ALTERATIONS,
    *convolution.ALTERATIONS,
    *pooling.ALTERATIONS,
    *activations.ALTERATIONS,
    *recurrent.ALTERATIONS,
    *attention.ALTERATIONS,
    *others.ALTERATIONS,
    *weight_norms.ALTERATIONS,
]
