"""Hugging Face's Flax classes beside its PyTorch classes: small configurations, random weights.

Outside CI: `pip install transformers==4.46.3`, the last minor version that has Flax classes, then
`pytest -m slow` of this file.
"""

from functools import partial

import numpy as np
import pytest
import torch

import parity

pytestmark = pytest.mark.slow
transformers = pytest.importorskip("transformers")
if not hasattr(transformers, "FlaxBertModel"):
    pytest.skip("this version of transformers has no Flax classes", allow_module_level=True)

SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LENGTH = 7
POSITIONS = np.broadcast_to(np.arange(LENGTH), (3, LENGTH)).copy()
RANDOM = np.random.default_rng(0)


class Hidden(torch.nn.Module):
    """Returns the last hidden states alone."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return self.model(**inputs).last_hidden_state


def bert(lowest: int = 1, **options):
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=12, **SIZES, **options)
    config._attn_implementation = "eager"
    inputs = {
        "input_ids": RANDOM.integers(lowest, 50, (3, LENGTH)),
        "attention_mask": np.ones((3, LENGTH), np.int32),
        "token_type_ids": RANDOM.integers(0, 2, (3, LENGTH)),
        "position_ids": POSITIONS,
    }
    if not lowest:
        inputs["input_ids"][0, 0] = 0
    flax = transformers.FlaxBertModel(config, input_shape=(1, LENGTH))
    return flax, transformers.BertModel(config), tuple(inputs.values())


def vit(**options):
    config = transformers.ViTConfig(image_size=16, patch_size=4, **SIZES, **options)
    config._attn_implementation = "eager"
    images = RANDOM.normal(size=(3, 16, 16, 3)).astype("f4")
    return transformers.FlaxViTModel(config, input_shape=(1, 16, 16, 3)), transformers.ViTModel(config), images


class Logits(torch.nn.Module):
    """Returns the scores of a language model alone, under the name that Flax gives them."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids):
        inputs = dict(attention_mask=attention_mask, position_ids=position_ids, use_cache=False)
        return {"logits": self.model(input_ids, **inputs).logits}


def gpt2(**options):
    sizes = dict(vocab_size=50, n_positions=12, n_embd=16, n_layer=2, n_head=2, n_inner=24)
    config = transformers.GPT2Config(**sizes, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    config._attn_implementation = "eager"
    other = transformers.GPT2Config(**{**config.to_dict(), **options})
    flax = transformers.FlaxGPT2LMHeadModel(other, input_shape=(1, LENGTH))
    inputs = RANDOM.integers(0, 50, (3, LENGTH)), np.ones((3, LENGTH), np.int32), POSITIONS
    return flax, Logits(transformers.GPT2LMHeadModel(config)), inputs


def test_gpt2_with_its_tied_head_is_the_same():
    flax, theirs, inputs = gpt2()
    result = parity.check(flax.module, theirs, inputs, variables={"params": flax.params}, steps=2)
    result.raise_if_failed()
    assert list(result.skipped) == ["model.lm_head"]


def test_another_activation_of_gpt2_is_placed():
    flax, theirs, inputs = gpt2(activation_function="gelu")
    result = parity.check(flax.module, theirs, inputs, variables={"params": flax.params}, steps=1)
    assert result.blame is not None
    assert result.blame.layer == "model.transformer.h.0.mlp"


@pytest.mark.parametrize("make", [bert, vit])
def test_without_dropout_they_are_the_same(make):
    flax, theirs, inputs = make(**WITHOUT_DROPOUT)
    result = parity.check(flax.module, theirs, inputs, variables={"params": flax.params}, steps=2)
    result.raise_if_failed()
    assert any(row.key.layer for row in result.rows["float64"])


def test_one_mask_of_dropout_for_the_batch_is_named():
    flax, theirs, inputs = bert()
    result = parity.check(flax.module, theirs, inputs, variables={"params": flax.params}, steps=1)
    assert result.blame is not None
    assert result.blame.cause == "broadcast-dropout"


def test_the_row_of_the_padding_is_named():
    flax, theirs, inputs = bert(lowest=0, **WITHOUT_DROPOUT)
    result = parity.check(flax.module, theirs, inputs, variables={"params": flax.params}, steps=1)
    assert result.blame is not None
    assert "padding_idx" in result.blame.text


SEQUENCES = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "use_cache": False,
    "max_position_embeddings": 12,
}
LLAMA = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 12}


def of_family(family: str, head: str = "Model", more=(), **options):
    """Returns both classes as they are and the inputs that both are called with: no more than users give."""
    config = getattr(transformers, f"{family}Config")(vocab_size=50, **options)
    inputs = {"input_ids": RANDOM.integers(5, 50, (3, LENGTH)), "attention_mask": np.ones((3, LENGTH), np.int64)}
    inputs |= {name: RANDOM.integers(5, 50, (3, 5)) for name in more}
    return getattr(transformers, f"Flax{family}{head}")(config), getattr(transformers, family + head)(config), inputs


FAMILIES = {
    "RoBERTa": partial(of_family, "Roberta", **SIZES, **WITHOUT_DROPOUT, max_position_embeddings=12),
    "ALBERT": partial(of_family, "Albert", **SIZES, embedding_size=12, max_position_embeddings=12),
    "BART": partial(of_family, "Bart", more=["decoder_input_ids"], **SEQUENCES),
    "LLaMA": partial(of_family, "Llama", "ForCausalLM", **LLAMA, use_cache=False),
}
SHORT = {"steps": 1, "tiers": ("float64",), "layers": False}


@pytest.mark.parametrize("family", FAMILIES)
def test_classes_are_called_as_users_call_them(family):
    flax, theirs, inputs = FAMILIES[family]()
    parity.check(flax, theirs, inputs, **SHORT).raise_if_failed()


def test_segments_that_electra_takes_for_the_second_are_placed():
    flax, theirs, inputs = of_family("Electra", **SIZES, **WITHOUT_DROPOUT, embedding_size=12)
    blame = parity.check(flax, theirs, inputs, steps=1, tiers=("float64",)).blame
    assert blame is not None
    assert blame.layer == "embeddings" and "token_type_embeddings" in blame.text
