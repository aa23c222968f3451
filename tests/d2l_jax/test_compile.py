"""Programs compiled with this library's options give the numbers of NumPy, where XLA's own choice does not."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from d2l_jax.cpu.compile import CPU_OPTIONS, YNN_FUSIONS, jit

LIMIT = 32_768  # rows; jaxlib 0.10.2 goes wrong behind them
of_this_jaxlib = pytest.mark.skipif(jaxlib.__version__ != "0.10.2", reason="the mistake is known of jaxlib 0.10.2")

ROWS_THAT_DIFFER = """
import sys
import jax, numpy as np

matrix, rows = np.arange(1, 10, dtype="f").reshape(3, 3), np.random.default_rng(0).normal(size=(40_000, 3)).astype("f")
options = {sys.argv[1]: sys.argv[2]} if len(sys.argv) > 1 else None
squares = jax.jit(jax.vmap(lambda row: ((matrix @ row) ** 2).sum()), compiler_options=options)(rows)
print(*np.flatnonzero(~np.isclose(squares, ((rows @ matrix.T) ** 2).sum(1), rtol=1e-3)))
"""


def rows_that_differ(*option: str) -> np.ndarray:
    """The numbers of the wrong rows of 40,000, under XLA's own choice or with one option."""
    command = [sys.executable, "-c", ROWS_THAT_DIFFER, *option]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return np.array(output.split(), int)


@pytest.mark.parametrize("features", [2, 3, 4])
@pytest.mark.parametrize("beyond", [0, 1, 5000])
def test_sums_over_each_of_many_rows_equal_those_of_numpy(features, beyond):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(3, features)).astype(np.float32)
    rows = random.normal(size=(LIMIT + beyond, features)).astype(np.float32)
    squares = jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    np.testing.assert_allclose(squares, ((rows @ matrix.T) ** 2).sum(1), rtol=1e-4, atol=1e-5)


@of_this_jaxlib
def test_the_option_alone_makes_the_rows_right():
    assert not rows_that_differ(YNN_FUSIONS, CPU_OPTIONS[YNN_FUSIONS]).size


@of_this_jaxlib
@pytest.mark.parametrize(
    "option",
    [(), (YNN_FUSIONS, f"{CPU_OPTIONS[YNN_FUSIONS]},LIBRARY_FUSION_TYPE_REDUCE")],
    ids=["XLA's own choice", "sums too"],
)
def test_control_sums_sent_to_ynnpack_hold_other_rows(option):
    wrong = rows_that_differ(*option)
    assert len(wrong) > 5000 and wrong.min() == LIMIT
