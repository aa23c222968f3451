"""Names of recorded arrays: every part has its place in the text, and different keys have different texts."""

import pytest
from keys import key

from parity.arrays.key import Key, in_phases
from parity.compare.scale import layer_of

TEXTS = {
    Key(1, "forward", "output"): "forward/output",
    Key(2, "update", "net.0.weight"): "step 2 update/net.0.weight",
    Key(1, "gradients", "net_D.0.weight", "discriminator"): "discriminator gradients/net_D.0.weight",
    Key(3, "forward", "loss", "generator"): "step 3 generator forward/loss",
    Key(1, "optimizer", "conv.weight", slot="exp_avg"): "optimizer/exp_avg:conv.weight",
    Key(5, "after", "conv.weight"): "after 5 steps/conv.weight",
    Key(1, "free run", "all parameters"): "free run/all parameters",
    Key(1, "forward", "output.0", layer="net.0 (call 2)"): "layer forward/net.0 (call 2).output.0",
    Key(1, "backward", "weight", layer="net.0"): "layer backward/net.0.weight",
}


@pytest.mark.parametrize("name", TEXTS, ids=str)
def test_a_key_in_words(name):
    assert str(name) == TEXTS[name] and key(TEXTS[name]) == name


def test_outputs_are_told_by_their_name():
    assert [Key(1, "forward", name).is_output for name in ("output", "output.1", "outputs", "loss")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_tensors_of_one_layer_share_a_key_and_those_of_others_do_not():
    weight, bias, other = (Key(1, "gradients", f"net.{name}") for name in ("0.weight", "0.bias", "1.weight"))
    assert layer_of(weight) == layer_of(bias) != layer_of(other)
    assert layer_of(weight) != layer_of(weight._replace(step=2)) != layer_of(weight._replace(step=2, turn="generator"))


def test_arrays_of_a_turn_are_one_record():
    record = in_phases(2, "generator", {"forward": {"loss": 1}, "update": {"w": 2}})
    assert record == {Key(2, "forward", "loss", "generator"): 1, Key(2, "update", "w", "generator"): 2}
