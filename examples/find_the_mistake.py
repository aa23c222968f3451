"""Find the mistake in two Flax models that were not written to match a PyTorch one: its place and its cause."""

import numpy as np
import torch
from flax import linen, nnx

import parity


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3, stride=2, padding=1), torch.nn.GELU(), torch.nn.GroupNorm(2, 6)
        )
        self.classifier = torch.nn.Linear(6, 4)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class OursInLinen(linen.Module):
    """A model with uneven padding: 'SAME' is not PyTorch's padding=1 where the stride is 2."""

    @linen.compact
    def __call__(self, x):
        x = linen.gelu(linen.Conv(6, (3, 3), strides=2, padding="SAME")(x), approximate=False)
        x = linen.GroupNorm(num_groups=2, epsilon=1e-5, use_fast_variance=False)(x)
        return linen.Dense(4)(x.mean((1, 2)))


class OursInNNX(nnx.Module):
    """A model with Flax's default epsilon of 1e-6, where PyTorch's is 1e-5."""

    def __init__(self, rngs: nnx.Rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), 2, padding=1, rngs=rngs)
        self.norm = nnx.GroupNorm(6, num_groups=2, use_fast_variance=False, rngs=rngs)
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        x = self.norm(nnx.gelu(self.stem(x), approximate=False))
        return self.head(x.mean((1, 2)))


x = np.random.default_rng(0).normal(size=(5, 8, 7, 3)).astype(np.float32)
for model in (OursInLinen(), OursInNNX(nnx.Rngs(0))):
    result = parity.check(model, Theirs(), x, tiers=("float64",))
    print(type(model).__name__, result.status, "at", result.blame.layer)
    print("   ", result.blame.text)
