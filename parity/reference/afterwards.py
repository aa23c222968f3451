"""The evaluations of `d2l_jax.generate.afterwards`, under the same names, as plain loops over one sentence."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Any]
BOS = 1
EOS = 2


@dataclass(frozen=True)
class Translated:
    """An evaluation: the sources of "input" are translated, greedily and by beam search."""

    steps: int = 4
    width: int = 3

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns log-probabilities and scores, and the tokens that they belong to."""
        sources, _, valid_lens = tensors["input"]
        ids, log_p = greedy(nets, sources, valid_lens, self.steps)
        pairs = [beam(nets, X[None], n[None], self.steps, self.width) for X, n in zip(sources, valid_lens, strict=True)]
        best = torch.tensor([sentence + [EOS] * (self.steps - len(sentence)) for sentence, _ in pairs])
        scores = torch.stack([score for _, score in pairs])
        return {
            "greedy": log_p,
            "greedy_ids": ids.to(log_p.dtype),
            "beam": scores,
            "beam_ids": best.to(log_p.dtype),
        }


def greedy(nets: Any, sources: Tensor, valid_lens: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Returns the most probable token of each step and its log-probability, both (batch, steps) (section 10.7.5)."""
    state = nets.decoder.init_state(nets.encoder(sources, valid_lens), valid_lens)
    tokens = torch.full((len(sources), 1), BOS)
    chosen = []
    for _ in range(steps):
        logits, state = nets.decoder(tokens, state)
        log_p, tokens = torch.log_softmax(logits, 2).max(2)
        chosen.append((tokens, log_p))
    return torch.cat([tokens for tokens, _ in chosen], 1), torch.cat([log_p for _, log_p in chosen], 1)


def beam(nets: Any, source: Tensor, valid_len: Tensor, steps: int, width: int) -> tuple[list[int], Tensor]:
    """Returns the best translation of one sentence and its score, sum of log-probabilities / length^0.75 (10.8.3)."""
    state = nets.decoder.init_state(nets.encoder(source, valid_len), valid_len)
    prefixes: list[tuple[list[int], Any, Any]] = [([], 0.0, state)]
    candidates: list[tuple[list[int], Tensor]] = []
    for step in range(1, steps + 1):
        extended = []
        for tokens, total, state in prefixes:
            logits, after = nets.decoder(torch.tensor([[tokens[-1] if tokens else BOS]]), state)
            log_p = torch.log_softmax(logits[0, -1], 0)
            extended += [([*tokens, token], total + log_p[token], after) for token in range(len(log_p))]
        best = sorted(extended, key=lambda prefix: float(prefix[1]), reverse=True)[:width]
        ended = [tokens[-1] == EOS or step == steps for tokens, _, _ in best]
        candidates += [(best[i][0], best[i][1] / step**0.75) for i in range(len(best)) if ended[i]]
        prefixes = [best[i] for i in range(len(best)) if not ended[i]]
    return max(candidates, key=lambda candidate: float(candidate[1]))


@dataclass(frozen=True)
class Continued:
    """An evaluation: the texts of "input" are continued, token by token."""

    num_preds: int = 4

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the texts with their continuations, and the scores of both from a run in two parts (9.5.4)."""
        ids = tensors["input"]
        first, state = nets.run(ids)
        scores = [first]
        whole = [ids]
        for _ in range(self.num_preds):
            whole.append(scores[-1][:, -1:].argmax(2))
            more, state = nets.run(whole[-1], state)
            scores.append(more)
        return {"continued": torch.cat(whole, 1).to(first.dtype), "continued_scores": torch.cat(scores, 1)}
