"""Tensors of PyTorch's in which several layers of Flax's stand in turn: what is said of those that are missing."""

import re
from collections.abc import Iterable

GATES = "gates i, f, g, o"
# Names of Flax's layers -> the tensor of PyTorch's with all of their rows, and what these are.
JOINED = (
    (re.compile(r"(.*?)(query|key|value)\.kernel"), "in_proj_weight", "query, key, value"),
    (re.compile(r"(.*?)(query|key|value)\.bias"), "in_proj_bias", "query, key, value"),
    (re.compile(r"(.*?)(cell\.)?(ii|if_|ig|io)\.weight"), "weight_ih", GATES),
    (re.compile(r"(.*?)(cell\.)?(hi|hf|hg|ho)\.weight"), "weight_hh", GATES),
    (re.compile(r"(.*?)(cell\.)?(hi|hf|hg|ho)\.bias"), "bias_hh", f"{GATES}, to which bias_ih is added"),
)


def joined(missing: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Returns a hint for each missing key whose numbers are rows of one of the tensors of these names."""
    names = set(names)
    return {key: hint for key in missing if (hint := _hint(key, names))}


def _hint(key: str, names: set[str]) -> str:
    for pattern, joint, rows in JOINED:
        if found := pattern.fullmatch(key):
            # nn.LSTM numbers its layers, nn.LSTMCell has one.
            held = [name for name in (found[1] + joint, f"{found[1]}{joint}_l0") if name in names]
            if held:
                return f" (rows of {held[0]}: {rows} in turn)"
    return ""
