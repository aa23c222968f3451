"""Losses of PyTorch's with their options and inputs, and the largest gap between both sides."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.reference import losses as reference

LIMIT = 1e-13  # of a tensor's largest magnitude; sums are short, and all numbers of order 1
REDUCTIONS = ("none", "sum", "mean")


# What goes in: {argument: (kind of numbers, shape)}. Kinds in capitals are differentiated.
def numbers(kind, shape, random, coarse):
    """Draws an array of this kind; `coarse` multiples of 1/2 sit on the kinks of most losses."""
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
        arguments = extra if extra is arrays else arrays | extra
        yield {"name": name, "arrays": arguments, "options": chosen | {"reduction": reduction}}


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
