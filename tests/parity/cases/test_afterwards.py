"""Functions that run after training are compared, too: translation, continuation, operators that no model calls."""

import numpy as np
import pytest
import torch

from d2l_jax.cases import operators
from d2l_jax.catalog import CASES, get
from d2l_jax.generate import afterwards
from d2l_jax.models import RNNLM, pool2d
from parity.proof.proof import check_twin
from parity.reference.afterwards import beam
from parity.twin.pairing import twin_of


def checked(case):
    return check_twin(twin_of(case, steps=1), layers=False, tiers=("float64",), probes=2)


def wrong(result):
    return {row.key.tensor for row in result.rows["float64"] if not row.passed}


def test_every_translator_and_language_model_is_compared_so():
    expected = {"fra_eng": afterwards.Translated, "time_machine": afterwards.Continued}
    cases = [case for case in CASES if case.data in expected]
    assert {type(case.afterwards) for case in cases} == set(expected.values())
    assert all(isinstance(case.afterwards, expected[case.data]) for case in cases)


@pytest.mark.slow
def test_a_translator_passes():
    result = checked(get("seq2seq"))
    assert result.status == "pass"
    names = {row.key.tensor for row in result.rows["float64"] if row.key.phase == "evaluation"}
    assert {"greedy", "greedy_ids", "beam", "beam_ids"} <= names


def test_operators_pass():
    assert checked(get("conv2d-scratch")).status == "pass"


@pytest.mark.slow
def test_control_another_length_penalty_fails(monkeypatch):
    def without_penalty(*args):
        return search(*args, alpha=0.7)

    search = afterwards.beam_search
    monkeypatch.setattr(afterwards, "beam_search", without_penalty)
    assert wrong(checked(get("seq2seq"))) == {"beam"}


@pytest.mark.slow
def test_control_a_state_that_is_lost_fails(monkeypatch):
    run = RNNLM.run
    monkeypatch.setattr(RNNLM, "run", lambda self, X, state=None: run(self, X))
    assert wrong(checked(get("rnn-lm"))) >= {"continued_scores"}


def test_control_another_pooling_fails(monkeypatch):
    monkeypatch.setattr(operators, "pool2d", lambda X, size, mode: pool2d(X, size[::-1], mode))
    assert {"max", "avg"} <= wrong(checked(get("conv2d-scratch")))


class Memoryless(torch.nn.Module):
    """A translator whose next token depends on the last alone."""

    def __init__(self, log_p):
        super().__init__()
        self.log_p = torch.tensor(np.log(log_p))
        self.decoder = self

    def encoder(self, source, valid_len):
        return None

    def init_state(self, outputs, valid_len):
        return ()

    def forward(self, tokens, state):
        return self.log_p[tokens], state


def test_the_twins_beam_search_finds_what_greedy_misses():
    # From <bos> = 1 token 3 seems best, but 0 leads to a surer sentence; 2 is <eos>.
    table = [[0.01, 0.01, 0.97, 0.01], [0.4, 0.01, 0.04, 0.55], [0.25] * 4, [0.3, 0.3, 0.2, 0.2]]
    for width, expected in ((1, [3, 0]), (2, [0, 2])):
        sentence, score = beam(Memoryless(table), torch.zeros(1, 1), torch.ones(1), steps=2, width=width)
        assert sentence == expected
        first, second = expected
        assert float(score) == pytest.approx(np.log(table[1][first] * table[first][second]) / 2**0.75)
