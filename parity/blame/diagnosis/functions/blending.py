"""Two tensors in shares that add up to 1, as a mask holds a state through padding: one of them alone."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def blended(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the one tensor, and the other, where PyTorch adds m * a and (1 - m) * b."""
    terms = [call.behind(term) for term in call.args[:2]]
    if len(terms) < 2 or any(term is None or term.name != "mul" for term in terms):
        return
    first, second = [term.args[:2] for term in terms if term]
    if not all(isinstance(x, torch.Tensor) for x in (*first, *second)):
        return
    for share, one in (first, first[::-1]):
        for rest, other in (second, second[::-1]):
            if share.shape == rest.shape and one.shape == other.shape == call.result.shape and _complement(share, rest):
                for tensor, which in ((one, "first"), (other, "second")):
                    text = f"Flax takes the {which} of two tensors, of which PyTorch takes shares that add up to 1"
                    yield Alternative("blend-missing", f"{text} (a mask, a gate)", lambda x=tensor: x * 1)
                return


def _complement(share: torch.Tensor, rest: torch.Tensor) -> bool:
    return bool(((share + rest - 1).abs() < 1e-12).all()) and bool((share >= 0).all()) and bool((rest >= 0).all())
