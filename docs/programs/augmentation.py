"""Times of changing a batch of 256 images: jitted JAX and torchvision v2 in turns, two threads each, the least of some.

python docs/programs/augmentation.py [ROUNDS]
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torchvision.transforms import v2

from d2l_jax import augment
from d2l_jax.augment import ColorJitter, Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, Resize, ToFloat
from d2l_jax.augment.fixed import IMAGENET_MEAN, IMAGENET_STD
from d2l_jax.cpu.compile import jit

BATCH = 256
LAST = (ToFloat(), Normalize())
NARROW = {"scale": (0.64, 1.0), "ratio": (1.0, 1.0)}
CHAINS: dict[str, tuple[int, tuple[augment.Transform, ...]]] = {
    "14.1, 32x32: flip": (32, (RandomHorizontalFlip(), ToFloat())),
    "14.13, 32x32: resize, crop, flip": (
        32,
        (Resize((40, 40)), RandomResizedCrop((32, 32), **NARROW), RandomHorizontalFlip(), *LAST),
    ),
    "14.2, 256 to 224: crop, flip": (256, (RandomResizedCrop((224, 224)), RandomHorizontalFlip(), *LAST)),
    "14.14, 256 to 224: crop, flip, colours": (
        256,
        (RandomResizedCrop((224, 224)), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4), *LAST),
    ),
    "224x224: colours and hue": (224, (ColorJitter(0.5, 0.5, 0.5, 0.5),)),
}


def theirs(transform: augment.Transform) -> torch.nn.Module:
    """Returns torchvision's transform of that name and those numbers."""
    if isinstance(transform, ToFloat):
        return v2.ToDtype(torch.float32, scale=True)
    if isinstance(transform, Normalize):
        return v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    make = getattr(v2, type(transform).__name__)
    arguments = [tuple(each) if isinstance(each, tuple) else each for each in vars(transform).values()]
    return make(*arguments)


def seconds(run: Callable[[], object]) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Prints a line for each chain."""
    torch.set_num_threads(2)
    for name, (size, transforms) in CHAINS.items():
        X = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
        images = jnp.asarray(X)
        pictures = [torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1))) for x in X]
        ours = jit(Compose(*transforms))
        chain = v2.Compose([theirs(each) for each in transforms])
        jax.block_until_ready(ours(jax.random.key(0), images))
        pairs = []
        for number in range(rounds):
            key = jax.random.key(number)
            jax_seconds = seconds(lambda ours=ours, key=key, images=images: jax.block_until_ready(ours(key, images)))
            pairs.append((jax_seconds, seconds(lambda c=chain, p=pictures: torch.stack([c(x) for x in p]))))
        fast, slow = np.min(pairs, 0)
        print(
            f"{name:40} JAX {fast * 1e3:8.1f} ms  torchvision {slow * 1e3:8.1f} ms  ratio {slow / fast:.2f}", flush=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
