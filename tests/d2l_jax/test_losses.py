"""`d2l_jax.losses` against `torch.nn.functional`: values and gradients, every option, every reduction."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jaxtyping import config as jaxtyping_config
from loss_cases import CASES, LIMIT, TRIPLET, S, arrays_of, cotangent, gap, gap_of, name_of, ours, theirs
from sampled import sampled

from d2l_jax import losses
from d2l_jax.errors import InputError
from parity.reference import losses as reference


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("case", sampled(CASES), ids=name_of)
def test_values_and_gradients(case):
    assert gap_of(getattr(losses, case["name"]), case) < LIMIT


@pytest.mark.parametrize("case", [c for c in CASES if c["options"]["reduction"] == "none"], ids=name_of)
def test_at_the_kinks(case):
    assert gap_of(getattr(losses, case["name"]), case, coarse=True) < LIMIT


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype="float64")))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("case", sampled(c for c in CASES if c["options"]["reduction"] != "sum"), ids=name_of)
def test_float32_is_as_precise_as_in_pytorch(case):
    """Errors are at most three times PyTorch's and 4 ulps, from the float64 result of the same float32 numbers."""
    arrays = {k: v.astype("float32") if v.dtype.kind == "f" else v for k, v in arrays_of(case).items()}
    wide = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in arrays.items()}
    twin = getattr(reference, case["name"])
    exact = theirs(twin, case, wide)
    torch32 = theirs(twin, case, arrays, "float32")
    jax32 = ours(getattr(losses, case["name"]), case, arrays, "float32")
    for k, right in exact.items():
        limit = 3 * rms(torch32[k] - right) + 4 * np.finfo("float32").eps * np.abs(right).max()
        assert rms(jax32[k] - right) <= limit, k


def test_every_loss_of_pytorch_has_cases():
    named = {case["name"] for case in CASES} | {"ctc_loss"}
    assert len(named) == 21 and all(hasattr(losses, name) for name in named)
    for name in named:
        used = {key for case in CASES if case["name"] == name for key in (*case["options"], *case["arrays"])}
        twin = getattr(torch.nn.functional, {"cross_entropy_loss": "cross_entropy"}.get(name, name))
        known = set(inspect.signature(twin).parameters) - {"size_average", "reduce", "distance_function"}
        assert name == "ctc_loss" or known == used, name


SATURATED = np.array([1e4, -1e4, 1e4, -1e4, 1e4, 0.0, -1e4])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "name, target, limit",
    [
        ("binary_cross_entropy_with_logits", np.array([0, 0, 1, 1, 0.5, 0.5, 0.25]), LIMIT),
        ("multilabel_soft_margin_loss", np.array([0, 0, 1, 1, 0.5, 0.5, 0.25]), LIMIT),
        ("cross_entropy_loss", np.array(1), LIMIT),
        ("cross_entropy_loss", np.full(7, 1 / 7), LIMIT),
        ("multi_margin_loss", np.array(1), LIMIT),
    ],
)
def test_saturated_logits(name, target, limit, dtype):
    case = {"name": name, "arrays": {"input": ("REAL", ()), "target": ("real", ())}, "options": {}}
    arrays = {"input": SATURATED, "target": target}
    left = ours(getattr(losses, name), case, arrays, dtype)
    right = theirs(getattr(reference, name), case, arrays, dtype)
    assert gap(left, right) < (LIMIT if dtype == "float64" else 1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_soft_margin_is_finite_where_pytorchs_overflows(dtype):
    case = {"name": "soft_margin_loss", "arrays": {"input": ("REAL", ())}, "options": {"reduction": "none"}}
    arrays = {"input": SATURATED, "target": np.array([1, 1, -1, -1, 1, 1, -1.0])}
    left = ours(losses.soft_margin_loss, case, arrays, dtype)
    right = theirs(reference.soft_margin_loss, case, arrays, dtype)
    assert not np.isfinite(right["loss"]).all()
    np.testing.assert_allclose(left["loss"], [0, 1e4, 1e4, 0, 0, np.log(2), 0], rtol=1e-6)
    slopes = np.array([0, -1, 1, 0, 0, -0.5, 0])
    np.testing.assert_allclose(left["input"], slopes * cotangent(7), rtol=1e-6)


def test_certain_probabilities():
    """Logarithms stop at -100; the slope in the target stays finite, in PyTorch it does not."""
    p = np.array([0.0, 0.0, 1.0, 1.0, 1e-30])
    t = np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    case = {"name": "", "arrays": {"input": ("REAL", ())}, "options": {"reduction": "none"}}
    arrays = {"input": p, "target": t}
    left = ours(losses.binary_cross_entropy, case, arrays)
    assert gap(left, theirs(reference.binary_cross_entropy, case, arrays)) < LIMIT
    assert left["loss"][1] == 100
    by_target = jax.grad(lambda t: losses.binary_cross_entropy(jnp.asarray(p), t, reduction="sum"))(jnp.asarray(t))
    np.testing.assert_allclose(by_target, [100, 100, -100, -100, -np.log(1e-30)])


def test_rare_counts_have_a_slope():
    """d/dn of Stirling's formula is 0 where the formula does not count; PyTorch's is NaN at n = 0."""
    n = jnp.array([0.0, 0.5, 1.0])
    slope = jax.grad(lambda n: losses.poisson_nll_loss(jnp.ones(3), n, full=True, reduction="sum"))(n)
    np.testing.assert_array_equal(slope, -np.ones(3))


def test_nothing_counts():
    """Mean over no example: NaN, as in PyTorch, but no gradient."""
    case = {"name": "", "arrays": {"input": ("REAL", ())}, "options": {}}
    arrays = {"input": np.zeros((3, 7)), "target": np.full(3, -100)}
    for f, name in itertools.product((ours, theirs), ("nll_loss", "cross_entropy_loss")):
        result = f(getattr(losses if f is ours else reference, name), case, arrays)
        assert np.isnan(result["loss"])
    assert (ours(losses.nll_loss, case, arrays)["input"] == 0).all()


def test_another_distance():
    case = {"name": "", "arrays": {k: ("REAL", S) for k in TRIPLET}, "options": {"margin": 2.0, "swap": True}}
    arrays = arrays_of(case)
    left = ours(lambda **a: losses.triplet_margin_with_distance_loss(
        distance_function=lambda x, y: jnp.sum((x - y) ** 4, axis=-1), **a), case, arrays)  # fmt: skip
    right = theirs(lambda **a: reference.triplet_margin_with_distance_loss(
        distance_function=lambda x, y: ((x - y) ** 4).sum(-1), **a), case, arrays)  # fmt: skip
    assert gap(left, right) < LIMIT


def test_jitted_is_the_same():
    case = next(c for c in CASES if c["name"] == "cross_entropy_loss" and "weight" in c["arrays"])
    assert gap_of(jax.jit(losses.cross_entropy_loss, static_argnames=["reduction", "label_smoothing"]), case) < LIMIT


def test_a_label_that_is_no_class_is_nan_when_jitted():
    for label in (-1, 7):
        loss = jax.jit(losses.nll_loss)(jnp.zeros((1, 7)), jnp.array([label]))
        assert jnp.isnan(loss)


NUMBERS = st.lists(st.integers(-(10**6), 10**6).map(lambda n: n / 1000), min_size=7, max_size=7).map(np.array)


@settings(max_examples=30, deadline=None)
@given(x=NUMBERS, y=NUMBERS, name=st.sampled_from(["l1_loss", "mse_loss", "huber_loss", "smooth_l1_loss"]))
def test_any_numbers(x, y, name):
    case = {"name": name, "arrays": {"input": ("REAL", ()), "target": ("REAL", ())}, "options": {}}
    arrays = {"input": x, "target": y}
    assert gap(ours(getattr(losses, name), case, arrays), theirs(getattr(reference, name), case, arrays)) < LIMIT


EPS = np.finfo("float64").eps


@settings(max_examples=30, deadline=None)
@example(logits=np.array([0, 0, 0, 9.536, 0, 0, 0]), labels=[3, -100, -100], smooth=0.0)
@given(
    logits=NUMBERS, labels=st.lists(st.sampled_from([-100, 0, 3, 6]), min_size=3, max_size=3), smooth=st.floats(0, 1)
)
def test_any_logits(logits, labels, smooth):
    case = {"name": "", "arrays": {"input": ("REAL", ())}, "options": {"label_smoothing": smooth, "reduction": "sum"}}
    arrays = {"input": np.stack([logits, -logits, logits[::-1]]), "target": np.array(labels)}
    left = ours(losses.cross_entropy_loss, case, arrays)
    right = theirs(reference.cross_entropy_loss, case, arrays)
    for k, theirs_of_k in right.items():
        # p - y and log(1 + small) may leave little, whose rounding is still that of 1.
        np.testing.assert_allclose(left[k], theirs_of_k, rtol=0, atol=LIMIT * np.abs(theirs_of_k).max() + 4 * EPS)


X = jnp.zeros(5)
Y = jnp.zeros((5, 1))
WRONG_CALLS = [
    ("mse_loss", (X, X), dict(reduction="avg"), "unknown reduction 'avg'"),
    ("kl_div", (X, X), dict(reduction="avg"), "known: none, sum, mean, batchmean"),
    ("nll_loss", (jnp.zeros((5, 7)), jnp.zeros(5, int)), dict(reduction="avg"), "unknown reduction"),
    *((name, (X, Y), {}, "shapes must be equal, but input has (5,), target has (5, 1)") for name in (
        "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "kl_div", "poisson_nll_loss", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "hinge_embedding_loss", "soft_margin_loss", "multilabel_soft_margin_loss")),
    ("mse_loss", (X, X), dict(weight=Y), "weight has (5, 1)"),
    ("huber_loss", (X, X), dict(weight=Y), "weight has (5, 1)"),
    ("gaussian_nll_loss", (X, Y, X), {}, "target has (5, 1)"),
    ("gaussian_nll_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 7)), jnp.ones(7)), {}, "var has shape (7,)"),
    ("gaussian_nll_loss", (X, X, -1.0), {}, "var must not be negative"),
    ("binary_cross_entropy", (X, X), dict(weight=Y), "weight has shape (5, 1)"),
    ("binary_cross_entropy_with_logits", (X, X), dict(pos_weight=jnp.ones((3, 5))), "pos_weight has shape (3, 5)"),
    ("binary_cross_entropy", (X + 2, X), {}, "between 0 and 1"),
    ("margin_ranking_loss", (X, X, Y), {}, "target has (5, 1)"),
    ("cosine_embedding_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 7)), Y), {}, "target has shape (5, 1)"),
    ("triplet_margin_loss", (Y, Y, X), {}, "negative has (5,)"),
    ("triplet_margin_loss", (Y, Y, Y), dict(margin=0), "margin must be greater than 0"),
    ("triplet_margin_loss", (Y, Y, Y), dict(p=-1), "p must not be negative"),
    ("nll_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 1), int)), {}, "labels have shape (5, 1)"),
    ("nll_loss", (jnp.zeros((5, 7)), jnp.full(5, 7)), {}, "labels must lie between 0 and 6"),
    ("nll_loss", (jnp.zeros((5, 7)), jnp.full(5, -1)), {}, "labels must lie between 0 and 6"),
    ("nll_loss", (jnp.zeros((5, 7)), jnp.zeros(5, int)), dict(weight=X), "weight has shape (5,)"),
    ("cross_entropy_loss", (jnp.zeros((5, 7)), jnp.zeros(5, int)), dict(label_smoothing=2), "label_smoothing"),
    ("cross_entropy_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 7))), dict(ignore_index=2), "needs labels"),
    ("cross_entropy_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 1))), {}, "shapes must be equal"),
    ("cross_entropy_loss", (jnp.zeros((5, 7)), jnp.zeros((5, 7))), dict(weight=X), "weight has (5,)"),
    ("multi_margin_loss", (jnp.zeros((5, 7)), jnp.zeros(5, int)), dict(p=3), "p must be 1 or 2"),
    ("multilabel_margin_loss", (jnp.zeros((5, 7)), jnp.full((5, 7), 7)), {}, "targets must be -1"),
    ("huber_loss", (X, X), dict(delta=0), "delta must be greater than 0"),
    ("smooth_l1_loss", (X, X), dict(beta=-1), "beta must not be negative"),
]  # fmt: skip


@pytest.fixture
def unchecked_shapes():
    """Turns off the shape checks of the test run, which would come first; users have none."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("name, args, kwargs, message", WRONG_CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_calls_are_refused(name, args, kwargs, message, unchecked_shapes):
    with pytest.raises(ValueError) as error:
        getattr(losses, name)(*args, **kwargs)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert isinstance(error.value, InputError) == ("reduction" in message or "known:" in message)
