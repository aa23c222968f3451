"""Ports as they are usually written are correct twins, and the same with a mistake are none."""

import jax.numpy as jnp
import pytest

from parity.proof.proof import check_twin
from parity.selftest.pairs.usual import GROUPED, LOOPED, Looped


class FromOnes(Looped):
    def start(self, shape):
        return jnp.ones(shape)


def from_ones(model):
    model.__class__ = FromOnes


@pytest.mark.parametrize("pair", [GROUPED, LOOPED], ids=lambda pair: pair.name)
def test_a_usual_port_passes(pair):
    assert check_twin(pair.twin()).status == "pass"


@pytest.mark.slow
def test_control_another_first_state_fails():
    assert check_twin(LOOPED.twin(from_ones)).status == "fail"
