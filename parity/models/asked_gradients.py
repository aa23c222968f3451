"""A model that sets `x.requires_grad = True` on its input, as those do that checkpoint their first layers.

PyTorch lets nobody set it on what was computed; here every input is, and requires a gradient already.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def asked_for_gradients() -> Iterator[None]:
    """Lets `x.requires_grad = True` do nothing within the block where a computed x requires a gradient already."""
    before = vars(torch.Tensor).get("requires_grad")
    stock: Any = before or torch.Tensor.requires_grad

    def ask(tensor: torch.Tensor, value: bool) -> None:
        if not (value is True and not tensor.is_leaf and stock.__get__(tensor)):
            stock.__set__(tensor, value)

    put: Any = torch.Tensor
    put.requires_grad = property(stock.__get__, ask)
    try:
        yield
    finally:
        if before is None:
            del put.requires_grad
        else:
            put.requires_grad = before
