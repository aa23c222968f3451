"""Arrays of numpy's as PyTorch's tensors, and back."""

import numpy as np
import torch


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A copy; numpy knows bfloat16 by JAX's type for it."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.float().numpy().astype("bfloat16")
    return tensor.numpy().copy()


def to_torch(array: np.ndarray) -> torch.Tensor:
    """The reverse."""
    if array.dtype.name == "bfloat16":
        return torch.as_tensor(array.astype(np.float32)).bfloat16()
    return torch.as_tensor(array)
