"""The random numbers of `parity.models.random_numbers` in PyTorch, imposed on its operators below autograd."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from d2l_jax.errors import InputError
from parity.models.random_numbers import RandomRequest, nowhere
from parity.models.random_shapes import is_shared, spread

aten = torch.ops.aten


def without_cudnn_dropout(model: torch.nn.Module) -> torch.nn.Module:
    """The model; while its recurrent layers draw dropout cuDNN is off, which would hide it from `ImposedOnTorch`."""
    cudnn = torch.backends.cudnn
    before = list[bool]()

    def off(layer: torch.nn.Module, *_: Any) -> None:
        before.append(cudnn.enabled)
        cudnn.enabled = cudnn.enabled and not layer.training  # pyright: ignore[reportAttributeAccessIssue]

    def back(*_: Any) -> None:
        cudnn.enabled = before.pop()  # pyright: ignore[reportAttributeAccessIssue]

    for layer in model.modules():
        if isinstance(layer, torch.nn.RNNBase) and layer.dropout:
            layer.register_forward_pre_hook(off)
            layer.register_forward_hook(back, always_call=True)
    return model


class ImposedOnTorch(TorchDispatchMode):
    """Answers the n-th request of PyTorch's operators with `values[n]`; without any, they are `seen` alone.

    Backward passes within it draw nothing of their own.
    """

    def __init__(
        self,
        values: Sequence[np.ndarray] | None = None,
        site: Callable[[], str] = nowhere,
        place: Callable[[], str] = nowhere,
    ):
        super().__init__()
        self.place = place
        self.values = values
        self.site = site
        self.seen = list[RandomRequest]()
        self.more_to_come = False  # several turns of a step share the numbers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet is aten.bernoulli_:
            return args[0].copy_(self._bernoulli(args[0], args[1] if len(args) > 1 else 0.5))
        if packet is aten.bernoulli:
            p = args[1] if len(args) > 1 and args[1] is not None else args[0]
            return self._bernoulli(args[0], p)
        if packet is aten.native_dropout:
            return self._native_dropout(*args)
        if packet in (aten.rand, aten.randn, aten.rand_like, aten.randn_like):
            tensor = func(*args, **kwargs)
            normal = packet in (aten.randn, aten.randn_like)
            return tensor.copy_(self._next(tensor, normal, uniform=not normal))
        if packet is aten.uniform_:
            low, high = [*args[1:], *([0.0, 1.0][len(args) - 1 :])][:2]
            return args[0].copy_(low + (high - low) * self._next(args[0], False, uniform=True))
        if packet is aten.normal_:
            mean, std = [*args[1:], *([0.0, 1.0][len(args) - 1 :])][:2]
            return args[0].copy_(mean + std * self._next(args[0], True))
        return func(*args, **kwargs)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if kind is None and not self.more_to_come and self.values is not None and len(self.seen) < len(self.values):
            left = self.values[len(self.seen)].shape
            raise InputError(f"Flax draws random numbers of shape {left} where PyTorch draws none")

    def _bernoulli(self, like: torch.Tensor, p: Any) -> torch.Tensor:
        numbers = self._next(like, False)
        if not numbers.isnan().any():
            return (numbers < p).to(like.dtype)
        kept = torch.as_tensor(p, dtype=like.dtype, device=like.device)
        return kept.expand(like.shape).clone()  # divided by p, as dropout does, it changes nothing

    def _native_dropout(self, x: torch.Tensor, p: float, train: bool | None) -> tuple[torch.Tensor, torch.Tensor]:
        if not train or p == 0:
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        numbers = self._next(x, False)
        if numbers.isnan().all():
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        keep = numbers < 1 - p
        return x * keep * (1 / (1 - p) if p < 1 else 0), keep

    def _next(self, like: torch.Tensor, normal: bool, uniform: bool = False) -> torch.Tensor:
        request = RandomRequest(tuple(like.shape), normal, self.site(), self.place(), uniform)
        self.seen.append(request)
        value = spread(self.answer(request), request.shape)
        plain = like.is_floating_point() and like.dtype != torch.bfloat16
        exact = like.dtype if plain else torch.float32  # a rounded number may cross the rate
        return torch.as_tensor(value, dtype=exact, device=like.device)

    def answer(self, request: RandomRequest) -> np.ndarray:
        """Returns the numbers for a request, the last of those that were seen."""
        if self.values is None:
            return np.full(request.shape, 0.25)
        value = self.values[len(self.seen) - 1] if len(self.seen) <= len(self.values) else None
        if value is None or not (value.shape == request.shape or is_shared(value.shape, request.shape)):
            raise InputError(f"PyTorch draws other random numbers than when it was first run: {request}")
        return value
