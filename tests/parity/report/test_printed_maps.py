"""A map as it is printed, and on the page of a result: both names, the rows, the order of axes."""

import numpy as np
import pytest

from d2l_jax.weights.leaf import Leaf
from parity.report.page import html
from parity.result import Result

KIND = np.dtype(np.float32)


def leaf(key, path, stored, split, axes, shape, **more):
    return Leaf(key, path, True, KIND, stored, split, axes, shape, **more)


LEAVES = {
    "0.bias <- first.bias (8,)": leaf("0.bias", ("first", "bias"), (8,), (8,), (0,), (8,)),
    "0.weight <- first.kernel (5, 8): axes in the order (1, 0)": leaf(
        "0.weight", ("first", "kernel"), (5, 8), (5, 8), (1, 0), (8, 5)
    ),
    "in_proj_weight, rows 6 to 11 <- key.kernel (6, 2, 3): axes in the order (1, 2, 0), as (6, 6)": leaf(
        "in_proj_weight", ("key", "kernel"), (6, 2, 3), (6, 2, 3), (1, 2, 0), (6, 6), rows=(6, 12)
    ),
    "qkv, rows 0 to 2 of every 9 <- q.bias (6,): as (2, 3), axes in the order (1, 0), as (6,)": leaf(
        "qkv", ("q", "bias"), (6,), (2, 3), (1, 0), (6,), rows=(0, 3, 9)
    ),
    "up.weight <- up.kernel (3, 4): flipped along axes (0,)": leaf(
        "up.weight", ("up", "kernel"), (3, 4), (3, 4), (0, 1), (3, 4), flip=(0,)
    ),
}


@pytest.mark.parametrize("text", LEAVES)
def test_a_tensor_of_a_map_is_printed_with_its_rows_and_its_order(text):
    assert str(LEAVES[text]) == text


def test_the_page_has_the_names_of_both_sides():
    page = html([Result("pair", "", 1, weights=list(LEAVES.values()))], {})
    assert "<summary>Which tensor is which</summary>" in page
    assert "<td class='name'>in_proj_weight, rows 6 to 11</td><td class='name'>key.kernel (6, 2, 3)" in page
    assert "Which tensor is which" not in html([Result("case", "", 1)], {}), "control: a case's names are the map"
