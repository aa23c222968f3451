"""Checkpoints that are no model's weights, told by the names in them: one line says what would be."""

import re
from collections.abc import Iterable

SLOTS = re.compile(r"(.*\.)?state\.\d+\.\w+")
LORA = re.compile(r"(.*\.)?lora_(A|B|embedding_A|embedding_B)(\..*)?")
FLAX = re.compile(r"(.*[./])?(kernel|embedding|scale)")
WEIGHT = re.compile(r"(.*\.)?weight")


def kind_of(names: Iterable[str]) -> str:
    """Returns what tensors of these names are, a predicate, where they are not what a PyTorch model saves; else ""."""
    names = list(names)
    if names and all(map(SLOTS.fullmatch, names)):
        return f"holds an optimiser's state ({names[0]}) and no weights; load the file of the model"
    if low_rank := next(filter(LORA.fullmatch, names), ""):
        alone = all(map(LORA.fullmatch, names))
        where = "without the model that they belong to" if alone else "beside the weights that they change"
        return f"holds LoRA's differences ({low_rank}) {where}; save the model that merge_and_unload() of PEFT returns"
    if any(map(FLAX.fullmatch, names)) and not any(map(WEIGHT.fullmatch, names)):
        flax = next(filter(FLAX.fullmatch, names))
        return f"holds Flax's names ({flax}), not PyTorch's; nnx.update puts such arrays into a model"
    return ""
