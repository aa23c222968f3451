"""Sections 15.8 to 15.10: what BERT sees of a text, its losses, and what it refuses."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins import in_jax, in_torch, normal, outline, twins

from d2l_jax import eval_view, functional, losses, models
from d2l_jax.errors import InputError
from d2l_jax.models.bert_pretraining import draw_pretraining
from parity.reference import losses as reference_losses
from parity.reference import sentence_embeddings as reference_embeddings

FACTS = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())["bert_mlm_loss"]
LOGITS = np.sin(0.37 * np.arange(6)).reshape(1, 2, 3)
LABELS = np.array([FACTS["labels"]])
WEIGHTS = np.array([FACTS["weights"]], np.float64)
SIZES = {"vocab_size": 11, "num_hiddens": 6, "ffn_num_hiddens": 5, "num_heads": 3, "num_blks": 2, "dropout": 0.3}
TOKENS = np.random.default_rng(0).integers(0, 11, (3, 5))
SEGMENTS = np.array([[0, 0, 1, 1, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
LENS = np.array([5, 4, 1])


def encoded(model, tokens=TOKENS, segments=SEGMENTS, lens=LENS):
    apply, params, buffers = functional(eval_view(model))
    return np.asarray(apply(params, buffers, *in_jax(tokens, segments, lens))[0])


# The loss of masked words
def test_the_books_loss_is_the_mean_over_all_slots():
    loss = losses.masked_word_loss(*in_jax(LOGITS, LABELS, WEIGHTS))
    assert float(loss) == pytest.approx(FACTS["first edition value (mean over both slots)"], abs=1e-6)


def test_the_corrected_loss_is_the_mean_over_true_slots():
    loss = losses.masked_word_loss(*in_jax(LOGITS, LABELS, WEIGHTS), corrected=True)
    assert float(loss) == pytest.approx(FACTS["loss"], abs=1e-6)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_batch_without_masked_words_has_no_loss_and_no_gradient(corrected: bool):
    def loss(logits):
        return losses.masked_word_loss(logits, *in_jax(LABELS, 0 * WEIGHTS), corrected=corrected)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(LOGITS))
    theirs = reference_losses.masked_word_loss(*in_torch(LOGITS, LABELS, 0 * WEIGHTS), corrected=corrected)
    assert float(value) == float(theirs) == 0
    assert not np.any(gradient)


def test_only_the_corrected_loss_sees_the_weights():
    labels = np.array([[2, 1]])
    moved = [losses.masked_word_loss(*in_jax(LOGITS, labels, WEIGHTS), corrected=c) for c in (False, True)]
    before = [losses.masked_word_loss(*in_jax(LOGITS, LABELS, WEIGHTS), corrected=c) for c in (False, True)]
    assert moved[0] != before[0] and moved[1] == before[1]


# What a token sees
@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"embedding_norm": True, "activation": "gelu", "eps": 1e-12}], ids=str)
def test_padding_does_not_count_and_segments_do(options: dict):
    ours, _ = twins("BERTEncoder", **SIZES, **options)
    before = encoded(ours)
    beyond = TOKENS.copy()
    beyond[1:, 4] = (beyond[1:, 4] + 1) % 11
    after = encoded(ours, beyond)
    for row, length in enumerate(LENS):
        np.testing.assert_array_equal(after[row, :length], before[row, :length])
    other = SEGMENTS.copy()
    other[0, 4] = 0
    assert np.abs(encoded(ours, segments=other) - before)[0].min() > 1e-4


@pytest.mark.slow
def test_a_text_of_one_token_and_of_all_positions():
    ours, theirs = twins("BERTModel", **SIZES, max_len=5)
    theirs.eval()
    for steps in (1, 5):
        arrays = (TOKENS[:, :steps], SEGMENTS[:, :steps], np.minimum(LENS, steps), np.zeros((3, 2), int))
        apply, params, buffers = functional(eval_view(ours))
        outputs = apply(params, buffers, *in_jax(*arrays))[0]
        with torch.no_grad():
            expected = theirs(*in_torch(*arrays))
        for output, other in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output, other, atol=1e-12)


def test_without_positions_there_are_no_words():
    ours, _ = twins("BERTModel", **SIZES)
    apply, params, buffers = functional(eval_view(ours))
    encoding, words, following = apply(params, buffers, *in_jax(TOKENS, SEGMENTS))[0]
    assert encoding.shape == (3, 5, 6) and words is None and following.shape == (3, 2)


@pytest.mark.slow
def test_a_classifier_takes_encoder_and_hidden_layer_and_no_head():
    bert = models.BERTModel(**SIZES, rngs=nnx.Rngs(0))
    classifier = models.BERTClassifier(bert, 4, rngs=nnx.Rngs(1))
    assert classifier.encoder is bert.encoder and classifier.hidden is bert.hidden
    assert classifier(*in_jax(TOKENS, SEGMENTS, LENS)).shape == (3, 4)


def test_sentence_embeddings_are_means_of_valid_steps_of_length_1():
    X = normal(3, 5, 6)
    ours = np.asarray(models.sentence_embeddings(*in_jax(X, LENS)))
    np.testing.assert_allclose(ours, reference_embeddings(*in_torch(X, LENS)), atol=1e-14)
    np.testing.assert_allclose(ours[2], X[2, 0] / np.linalg.norm(X[2, 0]), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-14)


# The batch of the check
def test_the_drawn_batch_has_a_row_without_masked_words_and_both_extremes_of_length():
    batch = draw_pretraining(np.random.default_rng(0))
    tokens, _, lengths, positions = batch["input"]
    labels, weights, _ = batch["targets"]
    assert lengths.min() == 1 and lengths.max() == tokens.shape[1] and weights.sum(1).min() == 0
    assert (positions < lengths[:, None]).all() and not labels[weights == 0].any() and not positions[weights == 0].any()
    assert all(len(set(row[: int(n)])) == n for row, n in zip(positions, weights.sum(1)))


# Bad input
def test_a_text_longer_than_the_positions_is_refused():
    model = outline("BERTEncoder", **SIZES, max_len=4)
    with pytest.raises(InputError, match="a text of 5 tokens for 4 positions; 4 tokens or fewer are right"):
        jax.eval_shape(lambda: model(*in_jax(TOKENS, SEGMENTS)))


def test_an_unknown_activation_is_refused():
    with pytest.raises(InputError, match="unknown activation 'glue'; did you mean gelu"):
        outline("BERTEncoder", **SIZES, activation="glue")
