"""Translators by recurrent networks on both sides, and a batch for them."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity
import parity.reference as reference
from d2l_jax import eval_view, functional, models

SIZES = {"src_vocab": 11, "tgt_vocab": 13, "embed_size": 9, "num_hiddens": 17, "num_layers": 2}
BUILDERS = ("seq2seq", "seq2seq_attention")
PAD = 5


def pair(name: str, **options):
    """PyTorch's model and ours, with its weights, in float64 and evaluation mode."""
    torch.manual_seed(0)
    theirs = getattr(reference, name)(**SIZES, **options).double().eval()
    ours = getattr(models, name)(**SIZES, **options, rngs=nnx.Rngs(0))
    return eval_view(parity.load_state_dict(ours, theirs.state_dict(), dtype=jnp.float64)), theirs


def batch(seed: int = 0, size: int = 5, sources: int = 7, steps: int = 3):
    """Returns (source, decoder input, valid lengths of the source)."""
    random = np.random.default_rng(seed)
    src = random.integers(0, SIZES["src_vocab"], (size, sources))
    tgt = random.integers(0, 13, (size, steps))
    return src, tgt, random.permutation(np.arange(1, sources + 1))[:size]


def run(model: nnx.Module, *inputs):
    apply, params, buffers = functional(model)
    return jax.jit(apply)(params, buffers, *map(jnp.asarray, inputs))[0]
