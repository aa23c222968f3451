"""Where numbers without a slope stand."""

import numpy as np
import pytest

from parity.match.idle import with_idle

PLACES = np.array([[0, 1], [3, 4], [6, 7], [9, 10]])  # a table of two columns beside one of a single column
BESIDE = np.array([2, 5, 8, 11])
SHAPES = {"table": (4, 2), "beside": (4, 1)}


def told(rows):
    """Returns the places where these rows are idle in both tables, and were taken for each other's."""
    idle = np.zeros((4, 3), bool)
    idle[rows] = True
    idle = np.concatenate([idle[:, :2].ravel(), idle[:, 2]])
    places = np.concatenate([PLACES.ravel(), BESIDE])
    places[idle] = np.sort(places[idle])[::-1]
    return with_idle(places, idle, SHAPES)


@pytest.mark.parametrize("rows", [[1], [2, 3], [0, 2]])
def test_they_stand_where_the_others_of_their_tensor_say(rows):
    assert told(rows).tolist() == [*PLACES.ravel(), *BESIDE]


def test_control_of_a_single_row_that_is_used_nothing_is_said():
    assert told([1, 2, 3]).tolist() != [*PLACES.ravel(), *BESIDE]


def test_nothing_is_moved_where_tensors_say_the_same_place():
    places = np.array([0, 1, 3, 2, 5, 4])
    idle = np.array([False, False, True, False, False, True])
    assert with_idle(places, idle, {"a": (3,), "b": (3,)}).tolist() == places.tolist()
