"""Published BERTs: their names become ours, and what is no BERT is refused with all that differs."""

import json
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from published_bert import CONFIG, published, write_published

from d2l_jax import models
from d2l_jax.errors import InputError
from d2l_jax.weights.hugging_face import published_args, published_folder, published_tensors, put_published, renamed
from d2l_jax.weights.state_dict import state_dict


def small(**changed) -> nnx.Module:
    args = {"vocab_size": 23, "num_hiddens": 6, "ffn_num_hiddens": 5, "num_heads": 3, "num_blks": 2, "dropout": 0.1}
    args |= {"max_len": 9, "embedding_norm": True, "activation": "gelu"} | changed
    return models.BERTModel(**args, rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_every_tensor_has_its_place_and_heads_stay(tmp_path: Path):
    write_published(tmp_path)
    model = small()
    heads = {key: array for key, array in state_dict(model).items() if key.startswith(("mlm.", "nsp."))}
    after = state_dict(put_published(model, published_tensors(published_folder(tmp_path))))
    tensors = published()
    for key, array in heads.items():
        np.testing.assert_array_equal(after[key], array)
    for theirs, ours in (
        ("embeddings.token_type_embeddings.weight", "encoder.segment_embedding.weight"),
        ("embeddings.LayerNorm.bias", "encoder.ln.bias"),
        ("encoder.layer.1.attention.self.key.weight", "encoder.blks.1.attention.W_k.weight"),
        ("encoder.layer.0.output.dense.weight", "encoder.blks.0.ffn.dense2.weight"),
        ("pooler.dense.bias", "hidden.0.bias"),
    ):
        np.testing.assert_array_equal(after[ours], tensors[theirs])
    np.testing.assert_array_equal(after["encoder.pos_embedding"][0], tensors["embeddings.position_embeddings.weight"])
    assert len(after) == len(heads) + len(tensors) - 1  # position ids are no weights


def test_names_below_bert_are_the_same():
    below = {f"bert.{key}": array for key, array in published().items()}
    assert list(renamed(below)) == list(renamed(published()))


def test_the_configuration_gives_the_arguments(tmp_path: Path):
    write_published(tmp_path)
    args = published_args(tmp_path)
    assert args["num_heads"] == 3 and args["eps"] == 1e-12 and args["embedding_norm"] and args["activation"] == "gelu"
    put_published(models.bert_classifier(**args, num_classes=2, rngs=nnx.Rngs(0)), published_tensors(tmp_path))


# Bad input
def test_another_architecture_is_refused_with_every_key():
    keys = [f"transformer.h.{i}.attn.c_attn.weight" for i in range(15)]
    with pytest.raises(InputError, match="another architecture than BERT's") as error:
        renamed(published() | {key: np.zeros(2) for key in keys}, "gpt2.safetensors")
    assert all(key in str(error.value) for key in keys) and str(error.value).startswith("gpt2.safetensors")


def test_a_bert_of_other_sizes_is_refused_with_every_key_and_nothing_changes():
    model = small(num_blks=3, ffn_num_hiddens=7)
    before = state_dict(model)
    tensors = renamed(published())
    with pytest.raises(InputError, match="does not fit BERTModel") as error:
        put_published(model, tensors)
    lines = str(error.value).split("; ")
    assert sum("missing encoder.blks.2." in line for line in lines) == 16
    assert sum("dense1.weight is (5, 6), here (7, 6)" in line for line in lines) == 2
    assert all(np.array_equal(array, before[key]) for key, array in state_dict(model).items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "roberta"}, "has the model_type 'roberta'; 'bert' is right"),
        ({"hidden_act": "relu"}, "has the hidden_act 'relu'"),
        ({"hidden_size": None}, "is no configuration of a BERT"),
        ({"hidden_size": 3.5}, "has the hidden_size 3.5; a whole number above 0 is right"),
        ({"vocab_size": "30522"}, "has the vocab_size '30522'; a whole number above 0 is right"),
        ({"layer_norm_eps": -1e-12}, "has the layer_norm_eps -1e-12; a number of 0 or more is right"),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, change: dict, words: str):
    write_published(tmp_path)
    config = {key: value for key, value in (CONFIG | change).items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=words):
        published_args(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no published BERT: config.json and model.safetensors are needed"):
        published_folder(tmp_path)
