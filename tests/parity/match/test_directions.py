"""The tensors of one direction of a recurrent layer stay together where layers are exchanged by their slopes."""

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.match.exchanged import exchanged

RANDOM = np.random.default_rng(0)
AHEAD, BACK = ("left_to_right", "cell"), ("right_to_left", "cell")
KEYS = {"rnn.weight_ih_l0": (*AHEAD, "ih"), "rnn.weight_hh_l0": (*AHEAD, "hh")}
KEYS |= {"rnn.weight_ih_l0_reverse": (*BACK, "ih"), "rnn.weight_hh_l0_reverse": (*BACK, "hh")}


def leaf(key, path):
    shape = (3, 3)
    return Leaf(key, (*path, "kernel"), True, np.dtype("float32"), shape, shape, (1, 0), shape)


def after(turned):
    """Returns where tensors stand whose slopes are those of the other direction, for the kinds in `turned`."""
    leaves = [leaf(key, path) for key, path in KEYS.items()]
    theirs = {key: RANDOM.normal(size=(3, 3, 3)) for key in KEYS}
    ours = {}
    for each in leaves:
        kind = each.key.split("_")[1]
        ahead, back = f"rnn.weight_{kind}_l0", f"rnn.weight_{kind}_l0_reverse"
        other = ahead if each.key == back else back
        near = theirs[other] + 0.02 * RANDOM.normal(size=(3, 3, 3)) if kind in turned else theirs[each.key]
        ours[each.path] = near.swapaxes(1, 2)
    return {x.key: x.path[:-1] for x in exchanged(leaves, dict.fromkeys(theirs), ours, theirs)}


def test_what_is_nearer_for_the_states_alone_moves_nothing():
    assert after(["hh"]) == KEYS


def test_both_directions_are_exchanged_where_all_of_their_slopes_say_so():
    places = after(["ih", "hh"])
    assert {key: place[0] for key, place in places.items()} == {
        key: "left_to_right" if "reverse" in key else "right_to_left" for key in KEYS
    }
