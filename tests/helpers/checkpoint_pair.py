"""A small pair of models of a user's own, with the layers whose weights differ between the frameworks; checkpoints."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity


class FlaxNet(nnx.Module):
    """A convolution, normalisations, a transposed convolution and a dense layer."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), padding="VALID", rngs=rngs)
        self.bn = nnx.BatchNorm(4, epsilon=1e-5, use_running_average=True, rngs=rngs)
        self.up = nnx.ConvTranspose(4, 6, (2, 2), padding="VALID", rngs=rngs)
        self.gn = nnx.GroupNorm(6, num_groups=2, epsilon=1e-5, rngs=rngs)
        self.fc = nnx.Linear(6, 3, rngs=rngs)
        self.rms = nnx.RMSNorm(3, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.gn(self.up(self.bn(self.conv(x))))
        return self.rms(self.fc(jnp.mean(x, (1, 2))))


class TorchNet(torch.nn.Module):
    """The same in PyTorch, images channels first."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3)
        self.bn = torch.nn.BatchNorm2d(4)
        self.up = torch.nn.ConvTranspose2d(4, 6, 2)
        self.gn = torch.nn.GroupNorm(2, 6)
        self.fc = torch.nn.Linear(6, 3)
        self.rms = torch.nn.RMSNorm(3, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.gn(self.up(self.bn(self.conv(x))))
        return self.rms(self.fc(x.mean((2, 3))))


def flax_net(seed: int = 0) -> FlaxNet:
    """Returns a model whose weights are the seed's."""
    return FlaxNet(nnx.Rngs(seed))


def torch_net(seed: int = 1) -> TorchNet:
    """Returns a model in evaluation mode, whose tensors are all drawn, those that start as ones and zeros too."""
    torch.manual_seed(seed)
    net = TorchNet().eval()
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return net


NET = torch_net()
WEIGHTS = NET.state_dict()
OTHERS = torch_net(2).state_dict()


def loads(source: Any, weights: Any = WEIGHTS, **options: Any) -> bool:
    """Tells whether a fresh Flax model has exactly these weights after it has loaded the source."""
    loaded = parity.state_dict(parity.load_state_dict(flax_net(), source, **options))
    return all(np.array_equal(array, weights[key].numpy()) for key, array in loaded.items())


def saved(tmp_path: Path, content: Any, name: str = "m.pt", **options: Any) -> Path:
    """Returns the path of a file of torch.save."""
    torch.save(content, tmp_path / name, **options)
    return tmp_path / name


def prefixed(*prefixes: str, weights: Any = WEIGHTS) -> dict:
    """Returns the weights under each of the prefixes."""
    return {prefix + key: value for prefix in prefixes for key, value in weights.items()}
