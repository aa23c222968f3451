"""Evaluations of a Case that run what follows training: translation and continuation, step by step."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx

from d2l_jax.functional import parts
from d2l_jax.generate.beam import beam_search
from d2l_jax.generate.complete import completion
from d2l_jax.generate.greedy import greedy_search
from d2l_jax.turns import Tensors

BOS = 1
EOS = 2


@dataclass(frozen=True)
class Translated:
    """An evaluation: the sources of "input" are translated, greedily and by beam search."""

    steps: int = 4
    width: int = 3

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns log-probabilities and scores, which say more than the tokens: they hold their order's reasons."""
        sources, _, valid_lens = tensors["input"]
        _, params, buffers = parts(nets)
        search = params, buffers, sources, valid_lens
        ids, log_p = greedy_search(nets, self.steps, BOS)(*search)
        best, scores = beam_search(nets, self.steps, BOS, EOS, self.width)(*search)
        return {
            "greedy": log_p,
            "greedy_ids": ids.astype(log_p.dtype),
            "beam": scores,
            "beam_ids": best.astype(log_p.dtype),
        }


@dataclass(frozen=True)
class Continued:
    """An evaluation: the texts of "input" are continued, token by token."""

    num_preds: int = 4

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the texts with their continuations, and the scores of both from a run in two parts."""
        ids = tensors["input"]
        _, params, buffers = parts(nets)
        whole = completion(nets, self.num_preds)(params, buffers, ids)
        first, state = nets.run(ids, None)
        second, _ = nets.run(whole[:, ids.shape[1] :], state)
        dtype = jnp.result_type(*nnx.to_flat_state(nnx.state(nets, nnx.Param)).leaves)
        return {"continued": whole.astype(dtype), "continued_scores": jnp.concatenate([first, second], 1)}
