"""Chapters 9 to 11 in the check: clipping that acts, many steps, and bugs that only text can have."""

from functools import partial

import jax.numpy as jnp
import pytest
from failing import failing, failing_after_all
from sampled import sampled

from d2l_jax import losses
from d2l_jax.catalog import CASES, get
from d2l_jax.data import kind_of
from d2l_jax.models import attention
from parity.proof.cases import check_case
from parity.twin.pairing import twin_of

TRAINED = [case.name for case in CASES if case.data and kind_of(case.data) in ("text", "translation")]


def failures(result) -> list[str]:
    return [f"{row.phase}/{row.name}" for row in result.rows["float64"] if not row.passed]


@pytest.mark.parametrize("name", sampled(["lstm-lm", "rnn-lm-scratch", "seq2seq", "transformer"], 4))
def test_clipping_that_acts_agrees(name: str):
    failed = failing_after_all(twin_of(get(name).with_turn(clip=1e-3), steps=2))
    assert not failed, failed[:5]


@pytest.mark.slow
@pytest.mark.parametrize("clip", [None, 1e-3], ids=["the book's", "acting"])
@pytest.mark.parametrize("name", TRAINED)
def test_twenty_steps_agree(name: str, clip: float | None):
    case = get(name)
    result = check_case(case.with_turn(clip=clip or case.turn.clip), steps=20, layers=False)
    assert result.status == "pass", (result.error, failures(result)[:5])


@pytest.mark.slow
def test_control_a_loss_that_counts_the_padding():
    counted = partial(masked_cross_entropy, pad=5)
    failed = failing(twin_of(get("seq2seq").with_loss(counted), steps=1))
    assert failed[:2] == ["evaluation/loss", "forward/loss"]


def masked_cross_entropy(logits, y, pad):  # the twin's is found by this name
    return losses.cross_entropy(logits, y)


def test_control_a_mask_that_ends_one_key_late(monkeypatch):
    right = attention.masked_softmax
    late = lambda X, valid_lens=None: right(X, None if valid_lens is None else valid_lens + 1)  # noqa: E731
    monkeypatch.setattr(attention, "masked_softmax", late)
    assert failing(twin_of(get("dot-product-attention"), steps=1))[0].startswith("evaluation/output")


@pytest.mark.slow
def test_control_positions_that_start_at_one(monkeypatch):
    from d2l_jax.models.positional_encoding import PositionalEncoding

    right = PositionalEncoding.__call__
    monkeypatch.setattr(PositionalEncoding, "__call__", lambda self, X, offset=0: right(self, X, offset + 1))
    result = check_case(get("transformer"), steps=1, tiers=("float64",))
    assert result.status == "fail" and result.blame.layer == "encoder.pos_encoding"


@pytest.mark.slow
def test_control_a_state_of_the_wrong_layer(monkeypatch):
    """Bahdanau's query is the last layer's hidden state."""
    from d2l_jax.models import bahdanau

    right = bahdanau.Seq2SeqAttentionDecoder.init_state

    def swapped(self, *args, **kwargs):
        outputs, hidden_state, valid_lens = right(self, *args, **kwargs)
        return outputs, jnp.flip(hidden_state, 0), valid_lens

    monkeypatch.setattr(bahdanau.Seq2SeqAttentionDecoder, "init_state", swapped)
    assert failing(twin_of(get("bahdanau"), steps=1))
