"""Keys of records as tests write them: their own text, read back."""

import re

import numpy as np

from parity.arrays.key import OF_A_STEP, Key, Record


def key(text: str) -> Key:
    """Returns the key whose text this is: "step 2 forward/output"; a layer's name must hold no "output"."""
    place, _, name = text.partition("/")
    if place.startswith("layer "):
        layer, tensor = re.fullmatch(r"(.*?)\.(output.*|[^.]*)", name).groups()
        return Key(1, place.removeprefix("layer "), tensor, layer=layer)
    if match := re.fullmatch(r"after (\d+) steps", place):
        return Key(int(match[1]), "after", name)
    if place == "free run":
        return Key(1, place, name)
    step, turn, phase = re.fullmatch(rf"(?:step (\d+) )?(?:(.+) )?({'|'.join(OF_A_STEP)})", place).groups()
    slot, _, tensor = name.rpartition(":") if phase == "optimizer" else ("", "", name)
    return Key(int(step or 1), phase, tensor, turn or "", slot)


def record(arrays: dict[str, np.ndarray]) -> Record:
    """Returns the arrays under the keys of these texts."""
    return {key(text): array for text, array in arrays.items()}
