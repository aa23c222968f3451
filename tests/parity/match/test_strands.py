"""The orders in which numbers may be kept, whatever slopes have told of them."""

import numpy as np
import pytest

from parity.match.slopes import Different
from parity.match.strands import Strand, disordered, strands

SHAPE = (4, 3, 2, 2)  # of a convolution's weight
PLACES = np.arange(48).reshape(SHAPE)
ROWS = np.arange(24).reshape(12, 2)


def stand(places, beside=False, turned=(), cells=(), shape=()):
    """Tells whether a tensor may stand so: in an array of its own, or beside another of its module's."""
    found = [Strand("a.weight", None, (), places)]
    if beside:
        found.append(Strand("a.bias", None, (), np.arange(100, 102)))
        return not disordered(found, np.array([0, 100]), [(100,), (9,)], turned, cells)
    return not disordered(found, np.array([0]), [shape or (places.size,)], turned, cells)


@pytest.mark.parametrize("axes, stands", [((2, 3, 1, 0), True), ((1, 2, 3, 0), True), ((3, 2, 1, 0), False)])
def test_axes_may_be_exchanged_but_for_those_of_a_window(axes, stands):
    kernel = np.arange(48).reshape([SHAPE[axis] for axis in axes])
    assert stand(kernel.transpose(np.argsort(axes))) == stands


def test_an_axis_that_several_arrays_share_is_none_of_a_window():
    parts = np.stack([np.arange(24), np.arange(24) + 24], -1).reshape(4, 3, 2, 2)  # real and imaginary, say
    found = [Strand("a", None, (), parts)]
    assert not disordered(found, np.array([0, 24]), [(24,), (24,)], ())
    assert disordered(found, np.array([0]), [(48,)], ())


def test_windows_of_transposed_convolutions_alone_may_be_turned_round():
    assert not stand(PLACES[:, :, ::-1, ::-1])
    assert stand(PLACES[:, :, ::-1, ::-1], turned={"a.weight"})


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 1, 3, 2)])
def test_blocks_of_rows_may_be_exchanged_beside_other_tensors_and_in_cells(order):
    gates = ROWS.reshape(4, 3, 2)[list(order)].reshape(12, 2)
    assert stand(gates, beside=True) and stand(gates, cells={0})
    assert not stand(gates)


@pytest.mark.parametrize("shape, stands", [((2, 3, 6), True), ((2, 6, 3), True), ((3, 3, 4), False)])
def test_axes_that_pytorch_joins_may_be_exchanged_where_their_lengths_tell_them(shape, stands):
    """A layer puts out a kernel of (inputs, outputs) in Flax, and of (outputs, inputs) in a row in PyTorch."""
    kernel = np.arange(36).reshape(shape)
    assert stand(kernel.transpose(1, 0, 2).reshape(-1, shape[2]), shape=shape) == stands
    assert not stand(kernel.transpose(1, 0, 2).reshape(-1, shape[2]))


def test_control_halves_and_pairs_are_no_blocks():
    pairs = ROWS.reshape(2, 6, 2).swapaxes(0, 1).reshape(12, 2)
    assert not stand(pairs, beside=True)
    assert not stand(ROWS[::-1], beside=True)


def test_rows_that_are_added_to_others_are_one_strand():
    parts = np.array([0, 1, 2, 3, 0, 1, 4, 5])  # the first two rows of two biases are added up
    found = [*strands({"a": (4,), "b": (4,)}, parts, [np.array([n]) for n in range(6)])]
    assert [(x.key, x.rows, x.merged) for x in found] == [("a", (0, 2), ("b",)), ("a", (2, 4), ()), ("b", (2, 4), ())]


def test_control_sums_of_other_rows_are_refused():
    with pytest.raises(Different):
        list(strands({"a": (2,), "b": (2,)}, np.array([0, 1, 1, 0]), [np.array([0]), np.array([1])]))
