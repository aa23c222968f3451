"""Each layer on its own: a right pair passes, and a planted bug fails in its own layer alone."""

from small_twin import CPU, planted, small_twin

from d2l_jax import nn
from parity.compare.policy import POLICY
from parity.layers.isolate import isolate
from parity.selftest.bugs.norms import NoGradient

LAYERS = {"conv", "bn", "down", "square", "drop", "norm", "out"}


class Louder(nn.Linear):
    def __call__(self, inputs, out_sharding=None):
        return super().__call__(inputs, out_sharding) * (1 + 1e-6)


def failing(isolated) -> set[tuple[str, str]]:
    """(phase, layer) of the rows that fail."""
    return {(row.phase, row.key.layer) for row in isolated.rows if not row.passed}


def test_every_layer_of_a_right_pair_passes():
    isolated = isolate(small_twin(steps=1), "cpu", CPU, POLICY, containers=False)
    assert {layer.label for layer in isolated.layers} == LAYERS and not isolated.skipped
    assert not failing(isolated)


def test_a_planted_bug_fails_in_its_own_layer_in_both_directions():
    isolated = isolate(small_twin(planted("square", Louder), steps=1), "cpu", CPU, POLICY, containers=False)
    assert failing(isolated) == {("layer forward", "square"), ("layer backward", "square")}


def test_a_bug_of_the_gradient_alone_fails_backward_alone():
    isolated = isolate(small_twin(planted("bn", NoGradient), steps=1), "cpu", CPU, POLICY, containers=False)
    assert failing(isolated) == {("layer backward", "bn")}
