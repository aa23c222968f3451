"""A small BERT as Hugging Face's folders have them, and the same weights in PyTorch's own Transformer."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "vocab_size": 23,
    "hidden_size": 6,
    "intermediate_size": 5,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "hidden_dropout_prob": 0.1,
    "max_position_embeddings": 9,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}


def published(seed: int = 0) -> dict[str, np.ndarray]:
    """Returns random tensors under Hugging Face's names, float32."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.LayerNorm.bias": (6,),
        "embeddings.LayerNorm.weight": (6,),
        "embeddings.position_embeddings.weight": (9, 6),
        "embeddings.token_type_embeddings.weight": (2, 6),
        "embeddings.word_embeddings.weight": (23, 6),
        "pooler.dense.weight": (6, 6),
        "pooler.dense.bias": (6,),
    }
    parts = {f"attention.self.{name}": (6, 6) for name in ("query", "key", "value")} | {
        "attention.output.dense": (6, 6),
        "attention.output.LayerNorm": (6,),
        "intermediate.dense": (5, 6),
        "output.dense": (6, 5),
        "output.LayerNorm": (6,),
    }
    for block in range(2):
        for name, shape in parts.items():
            shapes[f"encoder.layer.{block}.{name}.weight"] = shape
            shapes[f"encoder.layer.{block}.{name}.bias"] = shape[:1]
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return tensors | {"embeddings.position_ids": np.arange(9)[None]}


def write_published(folder: Path, config: dict | None = None) -> None:
    """Writes `config.json` and `model.safetensors` into a folder."""
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    save_file(published(), folder / "model.safetensors")


def own_transformer(tensors: dict[str, np.ndarray], heads: int, dtype: torch.dtype) -> "OwnBert":
    """Returns PyTorch's `TransformerEncoder` with these weights, in evaluation mode."""
    return OwnBert({name: torch.tensor(array) for name, array in tensors.items()}, heads).to(dtype).eval()


class OwnBert(nn.Module):
    """A published BERT of PyTorch's own layers, with nothing of this project in it."""

    def __init__(self, tensors: dict[str, torch.Tensor], heads: int):
        super().__init__()
        words = tensors["embeddings.word_embeddings.weight"]
        wide = tensors["encoder.layer.0.intermediate.dense.weight"].shape[0]
        blocks = sum(name.endswith("intermediate.dense.bias") for name in tensors)
        self.words, self.segments, self.positions = (
            nn.Embedding.from_pretrained(tensors[f"embeddings.{name}_embeddings.weight"])
            for name in ("word", "token_type", "position")
        )
        width = words.shape[1]
        self.norm = nn.LayerNorm(width, 1e-12)
        sizes = {"d_model": width, "nhead": heads, "dim_feedforward": wide, "activation": "gelu"}
        layer = nn.TransformerEncoderLayer(**sizes, layer_norm_eps=1e-12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.norm.load_state_dict(_part(tensors, "embeddings.LayerNorm"))
        for number, block in enumerate(self.encoder.layers):
            _fill(block, {n.removeprefix(f"encoder.layer.{number}."): x for n, x in tensors.items()})

    def forward(self, tokens: torch.Tensor, segments: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1])
        X = self.norm(self.words(tokens) + self.segments(segments) + self.positions(places))
        return self.encoder(X, src_key_padding_mask=places >= lengths[:, None])


def _fill(block: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    heads = [f"attention.self.{name}" for name in ("query", "key", "value")]
    state = {f"self_attn.in_proj_{k}": torch.cat([tensors[f"{n}.{k}"] for n in heads]) for k in ("weight", "bias")}
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for ours, theirs in names.items():
        state |= {f"{ours}.{kind}": array for kind, array in _part(tensors, theirs).items()}
    block.load_state_dict(state)


def _part(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {kind: tensors[f"{name}.{kind}"] for kind in ("weight", "bias")}
