"""The numbers that ImageNet's networks expect for a picture."""

import numpy as np

# Of ImageNet's red, green and blue in [0, 1].
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def normalised(images: np.ndarray) -> np.ndarray:
    """Returns uint8 (..., 3) as float32: in [0, 1], less ImageNet's mean, over its deviation (section 14.9)."""
    return (images.astype(np.float32) / 255 - MEAN) / STD


def denormalised(numbers: np.ndarray) -> np.ndarray:
    """Returns normalised float32 (..., 3) as uint8; what is out of range is cut (section 14.12)."""
    return np.rint(np.clip(numbers * STD + MEAN, 0, 1) * 255).astype(np.uint8)
