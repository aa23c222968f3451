"""What several places have in common is said once."""

import pytest

from parity.result import Blame

PADS = "Flax pads as 'SAME' does, uneven at the end; PyTorch pads 1"
MASK = "in attn: Flax has no mask: true nowhere"


def layer(name, why, way="forward"):
    return Blame(name, way, "cause", f"{name} (Net), {way}{why}")


@pytest.mark.parametrize(
    "blames, text",
    [
        ([layer("a", f": {PADS}"), layer("b", f": {PADS}")], f"a (Net), forward: {PADS}; the same in b (Net)"),
        (
            [layer("a", f": {PADS}"), layer("b", ": no"), layer("c", f": {PADS}"), layer("d", f": {PADS}")],
            f"a (Net), forward: {PADS}; the same in c (Net), d (Net); also wrong: b (Net), forward: no",
        ),
        (
            [layer("a", ": x (add number 3, of shape (4, 6))"), layer("b", ": x (add number 4, of shape (4, 7))")],
            "a (Net), forward: x (add number 3, of shape (4, 6)); the same in b (Net)",
        ),
        (
            [layer("a", ": x"), layer("b", ": x", "buffers")],
            "a (Net), forward: x; also wrong: b (Net), buffers: x",
        ),
        (
            [layer("a", "; what `x` gives"), layer("b", "; what `x` gives")],
            "a (Net), forward; what `x` gives; the same in b (Net)",
        ),
        (
            [Blame("a", "forward", "", "a (Net), forward"), layer("b", ": x")],
            "a (Net), forward; also wrong: b (Net), forward: x",
        ),
    ],
)
def test_a_cause_of_several_layers_is_said_once(blames, text):
    told = blames[0].with_others(blames[1:])
    assert told.text == text and told.others == tuple(blames[1:])


@pytest.mark.parametrize(
    "inside, cause, again", [("0.attn", MASK, ""), ("0.attn", "in attn: x", "x"), ("1.attn", MASK, "1")]
)
def test_the_body_within_a_layer_is_told_where_it_is_something_else(inside, cause, again):
    why = cause.removeprefix("in attn: ")
    body = Blame(inside, "forward", "cause", f"the model's own body, before 0.out: in {inside}: {why}")
    told = layer("0", f": {MASK}").with_others([body])
    assert bool(told.others) == bool(again) == ("also wrong: the model's own body" in told.text)


def test_others_of_others_are_told_behind_them():
    told = layer("a", ": x").with_others([layer("b", ": x")]).with_others([layer("c", ": y"), layer("d", ": y")])
    assert told.text == "a (Net), forward: x; the same in b (Net); also wrong: c (Net), forward: y; the same in d (Net)"
    assert [other.layer for other in told.others] == ["b", "c", "d"]
