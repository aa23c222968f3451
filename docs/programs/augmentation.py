"""Times of changing a batch of 256 images: jitted JAX and torchvision v2 in turns, processor seconds of one core.

taskset -c 0 python docs/programs/augmentation.py [TURNS]
"""

import sys
from functools import partial
from itertools import count
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torchvision.transforms import v2
from vision_speed import in_words, take_turns

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


def main(turns: int) -> None:
    """Prints a line for each chain."""
    torch.set_num_threads(1)
    for name, (size, transforms) in CHAINS.items():
        X = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
        pictures = [torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1))) for x in X]
        images = jnp.asarray(X)
        keys = map(jax.random.key, count())
        ours = jit(Compose(*transforms))
        chain = v2.Compose([theirs(each) for each in transforms])

        def changed(ours=ours, keys=keys, images=images) -> None:
            jax.block_until_ready(ours(next(keys), images))

        programs = {"JAX": changed, "torchvision": partial(stacked, chain, pictures)}
        seconds = take_turns(programs, turns)
        ratio = median(other / own for own, other in zip(*seconds.values()))
        print(
            f"{name:40} " + ", ".join(f"{who} {in_words(times)}" for who, times in seconds.items()), end="", flush=True
        )
        print(f", ratio {ratio:.2f}", flush=True)


def stacked(chain: torch.nn.Module, pictures: list[torch.Tensor]) -> torch.Tensor:
    """Returns the pictures, changed one by one, as a batch."""
    return torch.stack([chain(x) for x in pictures])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
