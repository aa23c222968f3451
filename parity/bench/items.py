"""Images one by one, as people write it in PyTorch. Knows no JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class Items(Dataset):
    """Examples as `torchvision.datasets.FashionMNIST` gives them with `transform=ToTensor()`, or resized before.

    X: uint8 (N, height, width, channels); y: integers (N,)
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, resize: tuple[int, int] | None = None):
        from torchvision.transforms import Compose, Resize, ToTensor

        one_channel = X.shape[-1] == 1
        self.data = torch.tensor(X[..., 0] if one_channel else X)
        self.targets = torch.tensor(y)
        self.transform: Callable[[Any], Any] = Compose([Resize(resize), ToTensor()]) if resize else ToTensor()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        image = self.data[index]
        target = int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target
