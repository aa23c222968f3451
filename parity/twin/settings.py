"""Plain numbers that both models hold under one name, such as sizes, rates and flags that no tensor shows."""

from typing import Any

import torch
from flax import nnx

Number = bool | int | float
OF_THE_MODE = "training"


def differing_settings(flax: nnx.Module, theirs: torch.nn.Module) -> list[str]:
    """Lists the numbers that modules of one path hold under one name and that differ, in words.

    A dropout counts as the number that it holds, its rate.
    """
    ours = {".".join(map(str, path)): module for path, module in nnx.iter_modules(flax)}
    problems = []
    for name, module in theirs.named_modules():
        if name not in ours:
            continue
        for attribute, value in _numbers(module).items():
            number = _number(getattr(ours[name], attribute, None))
            if number is not None and number != value:
                where = f"{name}.{attribute}" if name else attribute
                problems.append(f"{where} is {number} in Flax, {value} in PyTorch")
    return problems


def _numbers(module: torch.nn.Module) -> dict[str, Number]:
    named = {**vars(module), **dict(module.named_children())}
    numbers = {
        name: _number(value) for name, value in named.items() if name != OF_THE_MODE and not name.startswith("_")
    }
    return {name: number for name, number in numbers.items() if number is not None}


def _number(value: Any) -> Number | None:
    if isinstance(value, nnx.Dropout):
        return float(value.rate)
    if isinstance(value, torch.nn.Dropout):
        return value.p
    return value if isinstance(value, bool | int | float) else None
