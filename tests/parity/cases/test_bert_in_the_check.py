"""BERT's pretraining is proved, and the proof can fail: at the embedding, or the loss, where a bug is planted."""

from dataclasses import replace

import jax.numpy as jnp
import pytest

from d2l_jax import losses, models
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.turns import Turn
from parity.proof.cases import check_case


def failures(case: Case) -> list[str]:
    result = check_case(case, steps=1, tiers=("float64",))
    assert not result.error, result.error
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert-wikitext2", "bert-corrected"])
def test_the_case_passes(name: str):
    result = check_case(get(name), steps=2)
    assert result.status == "pass", result.error


class BERTModel(models.BERTModel):  # the twin's is found by this name
    def __call__(self, tokens, segments, valid_lens=None, pred_positions=None):
        return super().__call__(tokens, jnp.zeros_like(segments), valid_lens, pred_positions)


@pytest.mark.slow
def test_forgotten_segments_are_seen_from_the_encoding_on():
    rows = failures(replace(get("bert-wikitext2"), model=BERTModel))
    assert {"evaluation/encoded", "forward/encoded", "gradients/encoder.segment_embedding.weight"} <= set(rows)


def masked_word_loss(logits, labels, weights):  # the twin's is found by this name
    return losses.masked_word_loss(logits, labels, weights, corrected=True)


@pytest.mark.slow
def test_weights_that_do_not_cancel_are_seen_in_the_loss_and_no_output():
    case = get("bert-wikitext2")
    turn: Turn = case.turn
    planted = replace(case, observe=models.Pretrained(masked_word_loss)).with_turn(
        objective=replace(turn.objective, loss=masked_word_loss)
    )
    rows = failures(planted)
    assert {"evaluation/mlm_loss", "forward/mlm_loss", "forward/loss"} <= set(rows)
    assert not {"forward/encoded", "forward/mlm_output", "forward/nsp_loss"} & set(rows)
