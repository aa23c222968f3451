"""Dense layers that are given what an attention beside them is given, as a graph's messages beside a transformer's."""

import jax
import torch
from flax import nnx
from matching import R, S, T, keys_by_path, plain_attention, verified

from parity.match.candidates import without_projections
from parity.match.torch_layers import record
from parity.models.nnx_model import NNXModel


class BesideTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.A, self.B, self.C = (T.Linear(8, 8) for _ in range(3))
        self.attention = T.MultiheadAttention(8, 2, batch_first=True)
        self.norm = T.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.A(x) + torch.sigmoid(self.B(x)) * torch.tanh(self.C(x))
        return self.norm(mixed) + self.attention(x, x, x)[0]


class Beside(nnx.Module):
    """The same, its layers called in another order."""

    def __init__(self, rngs: nnx.Rngs):
        self.own, self.gate, self.said = (nnx.Linear(8, 8, rngs=rngs) for _ in range(3))
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, attention_fn=plain_attention, rngs=rngs)
        self.norm = nnx.LayerNorm(8, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        said, gate = jax.numpy.tanh(self.said(x)), jax.nn.sigmoid(self.gate(x))
        return self.norm(self.own(x) + gate * said) + self.attn(x)


def test_an_attentions_projections_are_no_candidates_for_layers_beside_it():
    key_of = keys_by_path(verified(NNXModel(Beside(R)), BesideTorch(), S, torch.tensor(S)))
    assert [key_of[name, "kernel"] for name in ("own", "gate", "said")] == ["A.weight", "B.weight", "C.weight"]


def test_control_they_are_where_flax_has_fewer_attentions():
    layers = record(BesideTorch(), (torch.tensor(S),)).layers
    without, all_of_them = (without_projections(layers, count) for count in (1, 0))
    assert len(all_of_them) == len(layers) == len(without) + 5
