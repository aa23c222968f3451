"""Single numbers that are left without a partner have no rows that arrays could make up."""

from parity.match.rows import _sets


def test_a_single_number_is_made_up_of_no_arrays():
    assert not [*_sets("scale", (), [])]
