"""A user's losses, rates and functions: the kind of targets, the precision, and one line where one of them raises."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import parity
from d2l_jax import losses, optim
from d2l_jax.errors import InputError
from parity.twin.losses import of_classes, of_probabilities

F = torch.nn.functional
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
SCORES = jax.ShapeDtypeStruct((6, 4), "float32")
integer_labels = optax.softmax_cross_entropy_with_integer_labels


class Ours(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first, self.second = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 5), torch.nn.Linear(5, 4)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def check(ours=Ours, theirs=Theirs, **options):
    return parity.check(ours(nnx.Rngs(0)), theirs(), X, **({"steps": 2, "tiers": ("float64",)} | options))


def helper(outputs, targets):
    return integer_labels(outputs, targets).mean()


def squares(outputs, targets):
    return ((outputs - targets) ** 2).mean()


def of_shares(outputs, targets):
    return -(targets * jax.nn.log_softmax(outputs)).sum(-1).mean()


OF_CLASSES = {
    "ours": (losses.cross_entropy_loss, F.cross_entropy),
    "a partial": (partial(losses.cross_entropy_loss, label_smoothing=0.1), F.cross_entropy),
    "optax": (lambda o, t: integer_labels(o, t).mean(), torch.nn.CrossEntropyLoss()),
    "one-hot": (lambda o, t: optax.softmax_cross_entropy(o, jax.nn.one_hot(t, 4)).mean(), lambda o, t: o),
    "a helper": (lambda o, t: helper(o, t), lambda o, t: o),
    "PyTorch's name alone": (lambda o, t: -jnp.take_along_axis(o, t[:, None], 1).mean(), F.nll_loss),
    "integers alone": (lambda o, t: -jnp.take_along_axis(o, t[:, None], 1).mean(), lambda o, t: o),
}


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_loss_of_classes_implies_class_targets(name):
    assert of_classes(OF_CLASSES[name], SCORES)


def test_control_other_losses_have_numbers_for_targets():
    assert not of_classes((losses.mse, F.mse_loss), SCORES) and not of_classes((squares, squares), SCORES)
    assert not of_classes((of_shares, F.cross_entropy), SCORES), "probabilities, which F.cross_entropy takes too"


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, torch.nn.BCELoss(), lambda o, t: (o - t.log()).mean()])
def test_targets_are_probabilities_where_a_loss_gives_no_number_for_others(loss):
    assert of_probabilities(loss, SCORES) and of_probabilities(lambda o, t: loss(o[1], t[1]), (SCORES, SCORES))


@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy_with_logits, F.cross_entropy, lambda o: o.mean()])
def test_control_targets_are_any_numbers_where_a_loss_takes_them(loss):
    assert not of_probabilities(loss, SCORES)


@pytest.mark.slow
def test_classes_are_drawn_and_compared_unless_the_user_says_otherwise():
    result = check(loss=(helper, torch.nn.CrossEntropyLoss()))
    assert result and any("argmax" in row.name for row in result.rows["float64"])
    result = check(loss=(of_shares, F.cross_entropy), outputs="values")
    assert result and not any("argmax" in row.name for row in result.rows["float64"])


@pytest.mark.slow
def test_the_weights_of_a_loss_have_the_precision_of_the_run():
    weight = np.array([1, 2, 3, 4], np.float32)
    theirs = (
        torch.nn.CrossEntropyLoss(weight=torch.tensor(weight)),
        partial(F.cross_entropy, weight=torch.tensor(weight)),
    )
    for loss in theirs:
        assert check(loss=(partial(losses.cross_entropy_loss, weight=weight), loss))


@pytest.mark.parametrize(
    "rate", [optax.exponential_decay(0.1, 1, 0.5), optax.linear_schedule(0.0, 0.1, 4), optim.StepLR(0.1, 1)]
)
def test_a_schedule_as_the_rate_is_that_of_pytorch_too(rate):
    assert check(optimizer=partial(optim.SGD, lr=rate), steps=3)


def test_control_a_schedule_that_pytorch_does_not_have_is_seen():
    rate = optax.exponential_decay(0.1, 1, 0.5)
    result = check(optimizer=(optim.SGD(rate), lambda parameters: torch.optim.SGD(parameters, 0.1)))
    assert not result and result.blame and result.blame.layer == "optimizer"


class OurDict(Ours):
    def __call__(self, x):
        h = nnx.relu(self.first(x))
        return {"logits": self.second(h), "hidden": h, "none": None}


class TheirDict(Theirs):
    def forward(self, x):
        h = torch.relu(self.first(x))
        return {"hidden": h, "logits": self.second(h)}


@pytest.mark.slow
def test_dicts_as_outputs_are_compared_by_name():
    assert check(OurDict, TheirDict)
    pair = (lambda o, t: helper(o["logits"], t), lambda o, t: F.cross_entropy(o["logits"], t))
    assert check(OurDict, TheirDict, loss=pair), "the targets are classes of the logits"


@pytest.mark.slow
def test_control_a_wrong_part_of_a_dict_is_named():
    class Wrong(OurDict):
        def __call__(self, x):
            return super().__call__(x) | {"hidden": self.first(x)}

    result = check(Wrong, TheirDict)
    assert not result and any(row.name == "output.hidden" for row in result.rows["float64"] if not row.passed)


class Flags(nnx.Module):
    """Is told that it trains, and given the random numbers, as Linen's modules are."""

    def __init__(self, rngs: nnx.Rngs):
        self.first, self.second = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 4, rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(5, momentum=0.9, epsilon=1e-5, rngs=rngs), nnx.Dropout(0.4)

    def __call__(self, x, train: bool, *, rngs: nnx.Rngs | None = None):
        x = self.norm(self.first(x), use_running_average=not train)
        return self.second(self.drop(x, deterministic=not train, rngs=rngs))


class TheirDropout(Theirs):
    def __init__(self):
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm1d(5), torch.nn.Dropout(0.4)

    def forward(self, x):
        return self.second(self.drop(self.norm(self.first(x))))


@pytest.mark.slow
def test_flags_of_training_and_random_numbers_are_handed_to_nnx_modules():
    result = check(Flags, TheirDropout)
    assert result.blame and result.blame.cause == "biased-variance", "as Flax has it"
    assert all(row.key.phase in ("buffers", "after", "evaluation") for row in result.rows["float64"] if not row.passed)


@pytest.mark.slow
def test_control_a_flag_that_is_the_wrong_way_round_is_seen():
    class Wrong(Flags):
        def __call__(self, x, deterministic: bool, *, rngs: nnx.Rngs | None = None):
            return super().__call__(x, deterministic, rngs=rngs)

    result = check(Wrong, TheirDropout)
    assert not result and "dropout-missing" in {blame.cause for blame in (result.blame, *result.blame.others)}


def raising(*_):
    raise RuntimeError("no such thing")


MEAN = "a number, such as its mean, is right"
WRONG = {
    "Flax's loss is no number": (dict(loss=(integer_labels, F.cross_entropy)), rf"Flax's, .* shape \(6,\); {MEAN}"),
    "PyTorch's loss is no number": (
        dict(loss=(helper, partial(F.cross_entropy, reduction="none"))),
        rf"PyTorch's, .* shape \(6,\); {MEAN}",
    ),
    "Flax's loss raises": (dict(loss=(raising, F.mse_loss)), "loss: Flax's, .* RuntimeError: no such thing"),
    "PyTorch's loss raises": (dict(loss=(squares, raising)), "loss: PyTorch's, .* RuntimeError: no such thing"),
    "an optimiser that raises": (
        dict(optimizer=(optax.sgd(0.1), lambda p: torch.optim.SGD(p, -1))),
        "optimizer: PyTorch's raises ValueError: Invalid learning rate",
    ),
    "clipping that raises": (dict(before_step=torch.nn.utils.clip_grad_norm_), "before_step raises TypeError"),
    "a scheduler that raises": (dict(scheduler=torch.optim.lr_scheduler.StepLR), "scheduler raises TypeError"),
    "no scheduler": (dict(scheduler=3), "scheduler=3 is no function; lambda optimizer"),
    "no loss": (dict(loss=3), "loss=3 is no function"),
    "PyTorch's loss alone": (dict(loss=F.mse_loss), "loss is PyTorch's alone"),
    "losses the other way round": (dict(loss=(F.mse_loss, squares)), "the first loss is PyTorch's"),
    "three optimisers": (dict(optimizer=(1, 2, 3)), "an Optax transformation, a function of PyTorch's parameters"),
    "another device": (dict(device="tpu"), "no device 'tpu'; 'cpu' or 'gpu' is right"),
    "other outputs": (dict(outputs="classes"), "'scores', 'values' or None is right"),
    "no policy": (dict(policy=3), "policy=3 is none"),
    "half a step": (dict(steps=2.5), "steps=2.5 is no number of steps"),
    "no step": (dict(steps=0), "steps=0 is too few"),
    "no answer": (dict(layers="no"), "layers='no' is neither"),
    "no memory": (dict(memory=0), "memory=0 GB is too little"),
    "a map that is none": (dict(weights={"fc.weight": 3}), "weights is no map.*a checkpoint is put"),
    "variables of an NNX module": (dict(variables={"params": {}}), "variables are those of a Linen module"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_one_line_in_the_words_of_python(name):
    options, match = WRONG[name]
    with pytest.raises(InputError, match=match) as error:
        check(**options)
    assert "\n" not in str(error.value) and "--" not in str(error.value)


def test_a_case_has_its_own_loss():
    with pytest.raises(InputError, match="loss goes with two models of your own"):
        parity.check("my-linear", loss=losses.mse)
