"""`d2l_jax.losses` against `torch.nn.functional`: values and gradients, every option, every reduction."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import config as jaxtyping_config

from d2l_jax import losses
from d2l_jax.errors import InputError
from parity.reference import losses as reference

LIMIT = 1e-13  # of a tensor's largest magnitude; sums are short, and all numbers of order 1
REDUCTIONS = ("none", "sum", "mean")


# What goes in: {argument: (kind of numbers, shape)}. Kinds in capitals are differentiated.
def numbers(kind, shape, random, coarse):
    """coarse: multiples of 1/2, which sit on the kinks of most losses."""
    real = np.round(random.normal(size=shape) * 2) / 2 if coarse else random.normal(size=shape) * 2
    soft = np.exp(real) / np.exp(real).sum(-1, keepdims=True)
    probability = random.choice([0, 0.25, 0.5, 1], size=shape) if coarse else random.uniform(0.01, 0.99, size=shape)
    label = random.integers(0, 7, size=shape)
    if kind == "listed":  # some classes, -1, and then what must not be read
        return np.stack([np.where(np.arange(7) == end, -1, random.permutation(7)) for end in (7, 0, 3, 5, 1)])
    return {
        "REAL": real,
        "real": real,
        "SOFT": soft,
        "LOG": np.log(soft),
        "PROBABILITY": probability,
        "probability": probability,
        "POSITIVE": np.abs(real) + 0.25,
        "positive": np.abs(real) + 0.25,
        "count": np.abs(np.round(real)),
        "COUNT": np.abs(np.round(real)) + 2.0,
        "sign": np.sign(random.normal(size=shape)),
        "label": label,
        "ignored": np.where(random.random(shape) < 0.4, -100, label),
    }[kind]


def arrays_of(case, coarse=False, seed=0):
    random = np.random.default_rng(seed)
    return {name: numbers(*spec, random, coarse) for name, spec in case["arrays"].items()}


def differentiable(case):
    return [name for name, (kind, _) in case["arrays"].items() if kind.isupper()]


def options(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def cases(name, arrays, *more_arrays, choices=({},), reductions=REDUCTIONS):
    for extra, chosen, reduction in itertools.product((arrays, *more_arrays), choices, reductions):
        given = extra if extra is arrays else arrays | extra
        yield {"name": name, "arrays": given, "options": chosen | {"reduction": reduction}}


S = (5, 7)
PAIR = {"input": ("REAL", S), "target": ("REAL", S)}
TRIPLET = {k: ("REAL", S) for k in ("anchor", "positive", "negative")}
LABELS = {"input": ("REAL", S), "target": ("ignored", (5,))}
DEEP = {"input": ("REAL", (3, 5, 7)), "target": ("ignored", (3, 5))}
ONE = {"input": ("REAL", (7,)), "target": ("label", ())}
SIGNS = {"input": ("REAL", S), "target": ("sign", S)}
WEIGHTED = {"weight": ("positive", S)}
CLASS_WEIGHT = {"weight": ("positive", (7,))}

CASES = [
    *cases("l1_loss", PAIR, WEIGHTED),
    *cases("mse_loss", PAIR, WEIGHTED),
    *cases("huber_loss", PAIR, WEIGHTED, choices=options(delta=[1.0, 0.5])),
    *cases("smooth_l1_loss", PAIR, choices=options(beta=[1.0, 0.5, 0.0])),
    *cases("nll_loss", LABELS, CLASS_WEIGHT, DEEP, DEEP | CLASS_WEIGHT, ONE, choices=options(ignore_index=[-100])),
    *cases("nll_loss", LABELS | {"target": ("label", (5,))}, CLASS_WEIGHT, choices=options(ignore_index=[-100, 2])),
    *cases(
        "cross_entropy_loss",
        LABELS,
        CLASS_WEIGHT,
        DEEP | CLASS_WEIGHT,
        ONE,
        choices=options(label_smoothing=[0.0, 0.1, 1.0]),
    ),
    *cases(
        "cross_entropy_loss",
        LABELS | {"target": ("label", (5,))},
        CLASS_WEIGHT,
        choices=options(ignore_index=[2], label_smoothing=[0.0, 0.1]),
    ),
    *cases(
        "cross_entropy_loss",
        {"input": ("REAL", S), "target": ("SOFT", S)},
        CLASS_WEIGHT,
        choices=options(label_smoothing=[0.0, 0.1]),
    ),
    *cases("cross_entropy_loss", {"input": ("REAL", (3, 5, 7)), "target": ("SOFT", (3, 5, 7))}, CLASS_WEIGHT),
    *cases("poisson_nll_loss", {"input": ("REAL", S), "target": ("COUNT", S)}, choices=options(full=[False, True])),
    *cases("poisson_nll_loss", {"input": ("REAL", S), "target": ("count", S)}, choices=options(full=[False, True])),
    *cases(
        "poisson_nll_loss",
        {"input": ("POSITIVE", S), "target": ("count", S)},
        choices=options(log_input=[False], full=[False, True], eps=[1e-8, 0.1]),
    ),
    *cases(
        "gaussian_nll_loss",
        PAIR | {"var": ("POSITIVE", S)},
        {"var": ("POSITIVE", (5,))},
        {"var": ("POSITIVE", (5, 1))},
        {"var": ("POSITIVE", (1, 7))},
        choices=options(full=[False, True], eps=[1e-6, 0.7]),
    ),
    *cases("gaussian_nll_loss", PAIR, choices=options(var=[0.5])),
    *cases("kl_div", {"input": ("LOG", S), "target": ("SOFT", S)}, reductions=(*REDUCTIONS, "batchmean")),
    *cases(
        "kl_div",
        {"input": ("LOG", S), "target": ("LOG", S)},
        choices=options(log_target=[True]),
        reductions=(*REDUCTIONS, "batchmean"),
    ),
    *cases("binary_cross_entropy", {"input": ("PROBABILITY", S), "target": ("probability", S)}, WEIGHTED, CLASS_WEIGHT),
    *cases(
        "binary_cross_entropy_with_logits",
        PAIR,
        WEIGHTED,
        CLASS_WEIGHT,
        {"pos_weight": ("positive", (7,))},
        {"weight": ("positive", S), "pos_weight": ("positive", S)},
    ),
    *cases(
        "margin_ranking_loss",
        {"input1": ("REAL", S), "input2": ("REAL", S), "target": ("sign", S)},
        choices=options(margin=[0.0, 0.5]),
    ),
    *cases("hinge_embedding_loss", SIGNS, choices=options(margin=[1.0, 0.5])),
    *cases("multilabel_margin_loss", {"input": ("REAL", S), "target": ("listed", S)}),
    *cases("soft_margin_loss", SIGNS),
    *cases("multilabel_soft_margin_loss", PAIR, WEIGHTED, CLASS_WEIGHT),
    *cases(
        "cosine_embedding_loss",
        {"input1": ("REAL", S), "input2": ("REAL", S), "target": ("sign", (5,))},
        choices=options(margin=[0.0, 0.5, -0.25]),
    ),
    *cases(
        "multi_margin_loss",
        LABELS | {"target": ("label", (5,))},
        CLASS_WEIGHT,
        choices=options(p=[1, 2], margin=[1.0, 0.5]),
    ),
    *cases("triplet_margin_loss", TRIPLET, choices=options(p=[2.0, 1.0, 3.0, float("inf")], swap=[False, True])),
    *cases("triplet_margin_loss", TRIPLET, choices=options(p=[0.0, 0.5, 1.5, 2.0], margin=[3.0], eps=[1e-3])),
    *cases("triplet_margin_with_distance_loss", TRIPLET, choices=options(swap=[False, True], margin=[1.0, 3.0])),
]


def name_of(case):
    shapes = ",".join(f"{k}{'x'.join(map(str, s))}" for k, (_, s) in case["arrays"].items())
    return f"{case['name']}({shapes};{','.join(f'{k}={v}' for k, v in case['options'].items())})"


# What comes out: the loss, and the gradients of its sum weighted at random, so that each element shows.
def cotangent(shape):
    return np.random.default_rng(1).normal(size=shape)


def ours(function, case, arrays, dtype="float64"):
    arrays = {k: jnp.asarray(v, dtype if v.dtype.kind == "f" else None) for k, v in arrays.items()}

    def weighted_sum(inputs):
        loss = function(**arrays | inputs, **case["options"])
        assert loss.dtype == dtype
        return jnp.sum(loss * cotangent(loss.shape).astype(dtype)), loss

    inputs = {k: arrays[k] for k in differentiable(case)}
    gradients, loss = jax.grad(weighted_sum, has_aux=True)(inputs)
    return {"loss": np.asarray(loss)} | {k: np.asarray(g) for k, g in gradients.items()}


@pytest.mark.filterwarnings("ignore")
def theirs(function, case, arrays, dtype="float64"):
    tensors = {
        k: torch.tensor(v, dtype=getattr(torch, dtype) if v.dtype.kind == "f" else None) for k, v in arrays.items()
    }
    for name in differentiable(case):
        tensors[name].requires_grad_()
    loss = function(**tensors, **case["options"])
    (loss * torch.tensor(cotangent(loss.shape), dtype=loss.dtype)).sum().backward()
    return {"loss": loss.detach().numpy()} | {k: gradient(tensors[k]) for k in differentiable(case)}


def gradient(tensor):
    return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()


def gap(left, right):
    """Largest difference, over the largest magnitude of its tensor; infinite if not both are finite."""
    assert left.keys() == right.keys()
    return max(tensor_gap(left[k], right[k]) for k in right)


def tensor_gap(left, right):
    assert left.shape == right.shape
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.inf
    return np.abs(left - right).max() / max(np.abs(right).max(), 1e-300)


def gap_of(function, case, coarse=False, seed=0):
    arrays = arrays_of(case, coarse, seed)
    return gap(ours(function, case, arrays), theirs(getattr(reference, case["name"]), case, arrays))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_values_and_gradients(case):
    assert gap_of(getattr(losses, case["name"]), case) < LIMIT


@pytest.mark.parametrize("case", [c for c in CASES if c["options"]["reduction"] == "none"], ids=name_of)
def test_at_the_kinks(case):
    assert gap_of(getattr(losses, case["name"]), case, coarse=True) < LIMIT


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype="float64")))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("case", [c for c in CASES if c["options"]["reduction"] != "sum"], ids=name_of)
def test_float32_is_as_precise_as_in_pytorch(case):
    """From the result in float64 of the same float32 numbers: three times PyTorch's error, and 4 ulps."""
    arrays = {k: v.astype("float32") if v.dtype.kind == "f" else v for k, v in arrays_of(case).items()}
    wide = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in arrays.items()}
    twin = getattr(reference, case["name"])
    exact, torch32 = theirs(twin, case, wide), theirs(twin, case, arrays, "float32")
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
    p, t = np.array([0.0, 0.0, 1.0, 1.0, 1e-30]), np.array([0.0, 1.0, 0.0, 1.0, 0.5])
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


@settings(max_examples=30, deadline=None)
@given(
    logits=NUMBERS, labels=st.lists(st.sampled_from([-100, 0, 3, 6]), min_size=3, max_size=3), smooth=st.floats(0, 1)
)
def test_any_logits(logits, labels, smooth):
    case = {"name": "", "arrays": {"input": ("REAL", ())}, "options": {"label_smoothing": smooth, "reduction": "sum"}}
    arrays = {"input": np.stack([logits, -logits, logits[::-1]]), "target": np.array(labels)}
    left, right = ours(losses.cross_entropy_loss, case, arrays), theirs(reference.cross_entropy_loss, case, arrays)
    assert gap(left, right) < LIMIT


X, Y = jnp.zeros(5), jnp.zeros((5, 1))
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
    """As users have it: without the shape checks of the test run, which would come first."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("name, args, kwargs, message", WRONG_CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_calls_are_refused(name, args, kwargs, message, unchecked_shapes):
    with pytest.raises(ValueError) as error:
        getattr(losses, name)(*args, **kwargs)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert isinstance(error.value, InputError) == ("reduction" in message or "known:" in message)


# Negative controls: plausible mistakes, each noticed by the comparison above in the case named.
def case_of(name, reduction="mean", **wanted):
    fits = (c for c in CASES if c["name"] == name and c["options"]["reduction"] == reduction)
    return next(c for c in fits if all(c["options"].get(k) == v or k in c["arrays"] for k, v in wanted.items()))


def mean_over_all(input, target, ignore_index, reduction):
    return jnp.mean(losses.nll_loss(input, target, ignore_index=ignore_index, reduction="none"))


def mean_over_examples(input, target, weight, ignore_index, reduction):
    counts = jnp.sum(target != ignore_index).astype(input.dtype)
    return losses.nll_loss(input, target, weight=weight, ignore_index=ignore_index, reduction="sum") / counts


def smoothed_among_the_others(input, target, label_smoothing, reduction):
    return losses.cross_entropy_loss(input, target, label_smoothing=label_smoothing * 7 / 6)


def eps_inside_the_root(anchor, positive, negative, p, margin, eps, reduction):
    def distance(x, y):
        return jnp.sqrt(jnp.sum((x - y) ** 2, axis=-1) + eps)

    return losses.triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin
    )


def swapped(input, target, reduction):
    return jnp.mean(jnp.exp(input) * (input - jnp.log(target)))


def logarithm_of_the_larger(input, target, log_input, full, eps, reduction):
    return jnp.mean(input - target * jnp.log(jnp.maximum(input, eps)))


def half_slope(input1, input2, target, margin, reduction):
    return jnp.mean(jnp.maximum(margin - target * (input1 - input2), 0))


def huber(input, target, beta, reduction):
    return losses.huber_loss(input, target, delta=beta)


def biased_denominator(input, target, weight, reduction):
    return jnp.mean(weight * (input - target) ** 2)


def clipped_slope(input, target, var, full, eps, reduction):
    return losses.gaussian_nll_loss(input, target, jnp.maximum(var, eps), eps=eps)


MISTAKES = [
    (mean_over_all, case_of("nll_loss")),
    (mean_over_examples, case_of("nll_loss", weight=...)),
    (smoothed_among_the_others, case_of("cross_entropy_loss", label_smoothing=0.1)),
    (eps_inside_the_root, case_of("triplet_margin_loss", p=2.0, eps=1e-3)),
    (swapped, case_of("kl_div")),
    (logarithm_of_the_larger, case_of("poisson_nll_loss", log_input=False, eps=0.1)),
    (half_slope, case_of("margin_ranking_loss")),
    (huber, case_of("smooth_l1_loss", beta=0.5)),
    (biased_denominator, case_of("mse_loss", weight=...)),
    (clipped_slope, case_of("gaussian_nll_loss", eps=0.7)),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("mistake, case", MISTAKES, ids=lambda v: getattr(v, "__name__", ""))
def test_control_a_mistake_is_noticed(mistake, case):
    assert gap_of(mistake, case, coarse=True) > 1e6 * LIMIT
