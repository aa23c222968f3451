"""`d2l_jax.init` against `torch.nn.init`: the same tensor where nothing is drawn, else the same distribution."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from draws import CONV, DENSE, OTHER, SAME, ours, same_distribution, theirs
from scipy.stats import ks_2samp

from d2l_jax import init
from d2l_jax.errors import InputError


def test_every_initialiser_of_pytorch_is_there_with_its_options():
    tensor_names = [name for name in torch.nn.init.__all__ if name.endswith("_")] + ["calculate_gain"]
    assert len(tensor_names) == 15
    for name in tensor_names:
        options = set(inspect.signature(getattr(torch.nn.init, name)).parameters) - {"tensor", "generator", "val"}
        plain = name.rstrip("_")
        if plain in ("ones", "zeros", "eye", "constant"):
            continue
        assert set(inspect.signature(getattr(init, plain)).parameters) == options


@pytest.mark.parametrize("param", [None, 0, 0.2, 3])
@pytest.mark.parametrize(
    "name",
    ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
    + ["sigmoid", "tanh", "relu", "leaky_relu", "selu"],
)
def test_gains(name, param):
    assert init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("initializer", [init.ones, init.zeros, init.eye, init.constant(0.5), init.sparse(0.5)])
def test_dtypes(initializer, dtype):
    x = initializer(jax.random.key(0), (3, 5), dtype)
    assert x.dtype == dtype and x.shape == (3, 5)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (5, 5)])
def test_without_a_draw(shape):
    np.testing.assert_array_equal(ours(init.eye, shape), theirs("eye", shape))
    np.testing.assert_array_equal(ours(init.ones, shape), theirs("ones", shape))
    np.testing.assert_array_equal(ours(init.zeros, shape), theirs("zeros", shape))
    np.testing.assert_array_equal(ours(init.constant(0.3), shape), theirs("constant", shape, 0.3))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, 5, 6), (4, 7, 5, 12), (5, 3, 2, 2, 6)])
def test_dirac(shape, groups):
    np.testing.assert_array_equal(ours(init.dirac(groups), shape), theirs("dirac", shape, groups))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_dirac_convolution_hands_on_its_input(groups):
    x = np.random.default_rng(0).normal(size=(1, 7, 7, 4))
    kernel = init.dirac(groups)(jax.random.key(0), (3, 3, 4 // groups, 4), jnp.float64)
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
    )
    np.testing.assert_array_equal(y, x)


DRAWN = [
    ("uniform", {}),
    ("uniform", dict(a=-3.0, b=0.5)),
    ("normal", {}),
    ("normal", dict(mean=2.0, std=0.3)),
    ("trunc_normal", {}),
    ("trunc_normal", dict(mean=0.3, std=0.5, a=-0.2, b=1.0)),
    ("trunc_normal", dict(std=0.02)),
    ("trunc_normal", dict(a=5.0, b=6.0)),
    ("trunc_normal", dict(mean=1.0, std=10.0, a=-1.0, b=0.0)),
    *((name, dict(gain=gain)) for name in ("xavier_uniform", "xavier_normal") for gain in (1.0, 5 / 3)),
    *(
        (name, options)
        for name in ("kaiming_uniform", "kaiming_normal")
        for options in (
            {},
            dict(a=math.sqrt(5)),
            dict(mode="fan_out"),
            dict(mode="fan_out", nonlinearity="relu"),
            dict(a=0.5, nonlinearity="tanh"),
        )
    ),
    ("orthogonal", dict(gain=1.7)),
    ("sparse", dict(sparsity=0.3)),
    ("sparse", dict(sparsity=0.9, std=2.0)),
]


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("shape, dtype", [(CONV, "float32"), (DENSE, "float64")], ids=["conv", "dense"])
@pytest.mark.parametrize("name, options", DRAWN, ids=str)
def test_distributions(name, options, shape, dtype):
    if name == "sparse":
        shape = DENSE
    assert same_distribution(ours(getattr(init, name)(**options), shape, dtype), theirs(name, shape, **options)) > SAME


@pytest.mark.parametrize("shape", [CONV, DENSE], ids=["conv", "dense"])
@pytest.mark.parametrize(
    "initializer, factor",
    [
        (init.xavier_uniform(gain=2.0), lambda i, o: 2 * math.sqrt(6 / (i + o))),
        (init.kaiming_uniform(), lambda i, o: math.sqrt(6 / i)),
        (init.kaiming_uniform(a=math.sqrt(5)), lambda i, o: 1 / math.sqrt(i)),
        (init.kaiming_uniform(mode="fan_out"), lambda i, o: math.sqrt(6 / o)),
        (init.torch_weight, lambda i, o: 1 / math.sqrt(i)),
    ],
    ids=["xavier", "kaiming", "sqrt 5", "fan out", "default"],
)
def test_uniform_bounds_are_met_and_kept(initializer, factor, shape):
    window = math.prod(shape[:-2])
    bound = factor(window * shape[-2], window * shape[-1])
    largest = np.abs(ours(initializer, shape)).max()
    assert bound * 0.999 < largest <= bound


@pytest.mark.parametrize("a, b", [(-0.2, 1.0), (5.0, 6.0), (-9.0, -5.0)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_truncation_keeps_its_bounds(a, b, dtype):
    x = ours(init.trunc_normal(a=a, b=b), (300, 300), dtype)
    assert x.min() >= np.asarray(a, dtype) and x.max() <= np.asarray(b, dtype)
    assert len(np.unique(x)) > 0.9 * x.size if dtype == "float64" else len(np.unique(x)) > 1000


@pytest.mark.parametrize("shape", [(7, 7), (5, 11), (11, 5), (3, 2, 5, 7), (3, 2, 2, 13)])
def test_orthogonal_rows_or_columns(shape):
    x = ours(init.orthogonal(gain=1.5), shape)
    matrix = np.moveaxis(x, -1, 0).reshape(shape[-1], -1)  # (out, in * window): rows are outputs
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 1.5**2 * np.eye(len(small)), atol=1e-13)


def torch_orthogonal(n=1000):
    torch.manual_seed(0)
    return torch.stack([torch.nn.init.orthogonal_(torch.empty(3, 3, dtype=torch.float64)) for _ in range(n)]).numpy()


def ours_orthogonal(n=1000):
    keys = jax.random.split(jax.random.key(0), n)
    return np.asarray(jax.vmap(lambda key: init.orthogonal()(key, (3, 3), jnp.float64))(keys))


def raw_q(n=1000):
    """Draws an orthogonal matrix without the signs of R's diagonal."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(n, 3, 3)))[0]


def haar_gap(q, other):
    """The smallest p-value among the entries and the trace, by which the signs show."""
    pairs = [(q[:, i, j], other[:, j, i]) for i in range(3) for j in range(3)]
    pairs.append((np.trace(q, axis1=1, axis2=2), np.trace(other, axis1=1, axis2=2)))
    return min(ks_2samp(a, b, method="asymp").pvalue for a, b in pairs)


def test_orthogonal_is_uniform_over_the_group():
    assert haar_gap(ours_orthogonal(), torch_orthogonal()) > SAME / 10  # the smallest of ten p-values
    assert haar_gap(raw_q(), torch_orthogonal()) < OTHER


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_every_input_has_the_same_number_of_zeros(sparsity):
    x = ours(init.sparse(sparsity), DENSE)
    y = theirs("sparse", DENSE, sparsity)
    zeros = math.ceil(sparsity * DENSE[1])
    assert ((x == 0).sum(axis=1) == zeros).all() and ((y == 0).sum(axis=1) == zeros).all()
    if 0 < sparsity < 1:
        assert len({tuple(row) for row in x == 0}) > DENSE[0] / 2  # the choice differs from input to input


def test_grouped_and_transposed_kernels_keep_pytorchs_fans():
    grouped = torch.nn.Conv2d(6, 9, 5, groups=3).weight.shape  # (out, in / groups, *window)
    transposed = torch.nn.ConvTranspose2d(6, 9, 5).weight.shape  # (in, out, *window)
    for first, second, *window in (grouped, transposed):
        tensor = torch.empty(first, second, *window, dtype=torch.float64)
        torch.nn.init.kaiming_uniform_(tensor)
        bound = math.sqrt(6 / (second * 25))
        assert tensor.abs().max() <= bound and ours(init.kaiming_uniform(), (*window, second, first)).max() <= bound
        assert ours(init.kaiming_uniform(), (*window, second, first)).max() > 0.98 * bound


def test_init_cnn_draws_what_it_always_drew():
    """Xavier-uniform is JAX's own where gain is 1: runs of before are repeated bit for bit."""
    stock = jax.nn.initializers.xavier_uniform()
    np.testing.assert_array_equal(ours(init.xavier_uniform(), CONV, "float32"), ours(stock, CONV, "float32"))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda key: init.calculate_gain("gelu"), "unknown nonlinearity 'gelu'"),
        (lambda key: init.calculate_gain("leaky_relu", True), "must be a number, got True"),
        (lambda key: init.kaiming_uniform(mode="fan_avg"), "unknown mode 'fan_avg'"),
        (lambda key: init.kaiming_normal()(key, (5,)), "1-dimensional"),
        (lambda key: init.xavier_uniform()(key, (5,)), "1-dimensional"),
        (lambda key: init.eye(key, (3, 3, 3)), "eye wants a shape (in, out)"),
        (lambda key: init.sparse(0.5)(key, (3, 3, 3)), "sparse wants a shape (in, out)"),
        (lambda key: init.sparse(1.5), "sparsity must lie between 0 and 1"),
        (lambda key: init.dirac()(key, (3, 3)), "dirac wants a shape (*window, in, out)"),
        (lambda key: init.dirac(2)(key, (3, 3, 3)), "2 groups do not divide 3 outputs"),
        (lambda key: init.orthogonal()(key, (3,)), "2D"),
        (lambda key: init.uniform(1.0, 0.0), "a must not be greater than b"),
        (lambda key: init.normal(std=-1.0), "std must not be negative"),
        (lambda key: init.trunc_normal(a=1.0, b=1.0), "a < b"),
    ],
)
def test_wrong_calls_are_refused(call, message):
    with pytest.raises(ValueError) as error:
        call(jax.random.key(0))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert isinstance(error.value, InputError) == ("unknown" in message)
