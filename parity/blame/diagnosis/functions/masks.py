"""Masks of attention, whether they are added or written: left out, turned round, a place wider or narrower."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

LOW = -1e3  # what is added to scores that are to vanish is below it
Mask = tuple[str, str, torch.Tensor]


def others(seen: torch.Tensor) -> Iterator[Mask]:
    """Yields a mask's neighbours, as (cause, line for people, what is seen): windows one wider or narrower, turned."""
    if seen.ndim < 2 or min(seen.shape[-2:]) < 2:
        return
    queries, keys = seen.shape[-2:]
    back = (torch.arange(queries)[:, None] - torch.arange(keys)).to(seen.device).expand(seen.shape)
    if not seen.any():
        return
    first, last = int(back[seen].min()), int(back[seen].max())
    if torch.equal(seen, (first <= back) & (back <= last)):
        for by, text in ((1, "one place further back"), (-1, "one place less far back")):
            other = (first <= back) & (back <= last + by)
            yield "mask-diagonal", f"Flax's mask reaches {text} than PyTorch's", other
        for by, text in ((-1, "one place more of the future"), (1, "one place less, not its own")):
            other = (first + by <= back) & (back <= last)
            yield "mask-diagonal", f"Flax's mask sees {text} than PyTorch's", other
    if queries == keys:
        yield "mask-transposed", "Flax has the mask transposed: queries in the place of keys", seen.mT


def added(call: FunctionCall) -> Iterator[Alternative]:
    """Yields sums in which the term that hides scores is another mask, or none."""
    for scores, mask in (call.args[:2], call.args[1::-1]):
        if not isinstance(mask, torch.Tensor) or not isinstance(scores, torch.Tensor) or not _hides(mask):
            continue
        seen, value = mask == 0, mask.min()
        yield Alternative("mask-missing", "Flax leaves out the mask that is added", lambda s=scores: s * 1)
        turned = "Flax adds the mask the other way round: what is hidden in PyTorch is seen in Flax"
        for cause, text, other in (("mask-polarity", turned, ~seen), *others(seen)):
            hidden = torch.zeros_like(mask).masked_fill(~other, value)
            yield Alternative(cause, text, lambda s=scores, h=hidden: s + h)


def hidden(call: FunctionCall | None) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Returns scores as they were before a call that masks some of them, and what is seen, if the call does."""
    first, second, third = (*call.args, None, None, None)[:3] if call else (None, None, None)
    if call is None or not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor):
        return None
    if call.name == "masked_fill":
        return first, ~second
    if call.name == "where":
        for scores, value, seen in ((second, third, first), (third, second, ~first)):
            if isinstance(scores, torch.Tensor) and bool((torch.as_tensor(value) <= LOW).all()):
                return scores, seen
    if call.name in ("add", "radd"):
        for scores, mask in ((first, second), (second, first)):
            if _hides(mask):
                return scores, mask == 0
    return None


def _hides(mask: torch.Tensor) -> bool:
    return mask.is_floating_point() and bool(((mask == 0) | (mask <= LOW)).all() and (mask != 0).any())
