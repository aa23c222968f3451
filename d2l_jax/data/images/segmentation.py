"""Images with a class for each pixel: crops of image and mask together (book, section 14.9)."""

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.images.picture import normalised
from d2l_jax.errors import InputError

log = logging.getLogger(__name__)
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class Segmented:
    """Images of any sizes with their masks.

    Attributes:
      name: of the data set.
      train, test: pairs of image uint8 (H, W, 3) and labels (H, W), of one size.
      source: where they come from, in words for the log.
      classes: names, in label order.
      palette: the colour of each class, uint8 (classes, 3).
    """

    name: str
    train: list[Pair]
    test: list[Pair]
    source: str
    classes: tuple[str, ...]
    palette: np.ndarray

    def cropped(self, size: tuple[int, int] | None, seed: int = 0) -> Dataset:
        """Returns random crops of `size` (height, width), normalised; images that are smaller are left out.

        Each epoch has crops of its own (`Dataset.of_epoch`), the test images one crop for all, both by `seed`.
        Where `size` is None the images stay whole.

        Raises:
          InputError: no image of a split is large enough, or `size` is None and the images' sizes differ.
        """
        train, test = (self._large_enough(pairs, size, split) for split, pairs in self._splits())
        whole = train[0][1].shape if size is None else size
        draw = partial(crops, train, whole, seed)
        held_out = crops(test, whole, seed, epoch=0, split=1)
        return Dataset(self.name, draw(0), held_out, self.source, self.classes, palette=self.palette, redraw=draw)

    def _splits(self) -> list[tuple[str, list[Pair]]]:
        return [("train", self.train), ("test", self.test)]

    def _large_enough(self, pairs: list[Pair], size: tuple[int, int] | None, split: str) -> list[Pair]:
        sizes = {labels.shape for _, labels in pairs}
        if size is None:
            if len(sizes) > 1:
                raise InputError(f"the images of {self.name} have {len(sizes)} sizes; give a (height, width) to crop")
            return pairs
        fitting = [pair for pair in pairs if pair[1].shape[0] >= size[0] and pair[1].shape[1] >= size[1]]
        if not fitting:
            raise InputError(
                f"no {split} image of {self.name} is as large as {size[0]}x{size[1]} (height, width); "
                f"the largest is {'x'.join(map(str, max(sizes, key=np.prod)))}"
            )
        if len(fitting) < len(pairs):
            log.info("%s: %d of %d %s images are large enough", self.name, len(fitting), len(pairs), split)
        return fitting


def crops(pairs: list[Pair], size: tuple[int, int], seed: int, epoch: int, split: int = 0) -> Split:
    """Returns one random crop of each pair: X float32 (N, H, W, 3), normalised, and y int32 (N, H, W)."""
    random = np.random.default_rng([seed, epoch, split])
    cut = [random_crop(image, labels, size, random) for image, labels in pairs]
    return normalised(np.stack([image for image, _ in cut])), np.stack([labels for _, labels in cut]).astype(np.int32)


def random_crop(
    image: np.ndarray, labels: np.ndarray, size: tuple[int, int], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the same rectangle of `size` (height, width) out of an image and its labels (section 14.9)."""
    top, left = (int(random.integers(0, n - length + 1)) for n, length in zip(labels.shape, size))
    window = np.s_[top : top + size[0], left : left + size[1]]
    return image[window], labels[window]


def pair_of(image: np.ndarray, labels: np.ndarray, where: str) -> Pair:
    """Returns the pair, checked.

    Raises:
      InputError: the mask has another size than its image.
    """
    if image.shape[:2] != labels.shape:
        sizes = ["x".join(map(str, array.shape[:2])) for array in (labels, image)]
        raise InputError(f"the mask of {where} is {sizes[0]} pixels, its image {sizes[1]}; they must agree")
    return image, labels
