"""Cases of chapter 12, optimisation: points in valleys, the regression on airfoils, a LeNet under schedules."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, nothing, supervised
from d2l_jax.optim import ByEpoch, CosineScheduler, MultiStepLR, SquareRootScheduler
from d2l_jax.turns import Observed, Turn

GORGE = {"curvatures": (0.1, 2.0)}


def descent(name: str, section: str, title: str, optimizer: partial, **shape: tuple[float, float]) -> Case:
    """Returns the case of a point in a valley; `shape`: curvatures that differ from those of section 12.3."""
    turn = Turn(partial(models.valley, **shape), optimizer)
    return Case(
        name, section, title, models.Point, draw=nothing, turns=(turn,), observe=partial(models.height, **shape)
    )


HALF = partial(optim.SGD, lr=0.6, momentum=0.5)

TOYS: tuple[Case, ...] = (
    descent("valley", "12.3", "Gradient descent on x1^2 + 2 x2^2", partial(optim.SGD, lr=0.1)),
    descent("gorge-momentum", "12.6", "Momentum on 0.1 x1^2 + 2 x2^2", HALF, **GORGE),
    descent("gorge-adagrad", "12.7", "Adagrad on 0.1 x1^2 + 2 x2^2", partial(optim.AdagradScratch, lr=0.4), **GORGE),
    descent("gorge-rmsprop", "12.8", "RMSProp on 0.1 x1^2 + 2 x2^2", partial(optim.RMSPropScratch, lr=0.4), **GORGE),
)

BATCH = 10


def scratch(name: str, section: str, title: str, optimizer: partial, batch: int = BATCH, epochs: int = 2) -> Case:
    """Returns the case of a regression that the book trains from scratch: half the squared error."""
    return supervised(
        f"airfoil-{name}",
        section,
        f"Airfoil, {title}",
        models.LinearRegressionScratch,
        (batch, 5),
        args={"num_inputs": 5},
        probe={"num_inputs": 3},
        probe_inputs=(7, 3),
        labels=False,
        loss=losses.half_mse,
        optimizer=optimizer,
        data="airfoil",
        epochs=epochs,
    )


def concise(name: str, section: str, title: str, optimizer: partial) -> Case:
    """Returns the case of a regression with a layer: learns the squared error, and is measured by half of it."""
    case = supervised(
        f"airfoil-{name}-concise",
        section,
        title,
        models.airfoil_regression,
        (BATCH, 5),
        probe={"in_features": 3},
        probe_inputs=(7, 3),
        labels=False,
        loss=losses.mse,
        optimizer=optimizer,
        data="airfoil",
        epochs=4,
    )
    return replace(case, observe=Observed(losses.half_mse))


AIRFOIL: tuple[Case, ...] = (
    scratch("gd", "12.5", "gradient descent", partial(optim.SGD, lr=1.0), batch=1500, epochs=10),
    scratch("sgd", "12.5", "stochastic gradient descent", partial(optim.SGD, lr=0.005), batch=1),
    scratch("minibatch-100", "12.5", "minibatches of 100", partial(optim.SGD, lr=0.4), batch=100),
    scratch("minibatch", "12.5", "minibatches of 10", partial(optim.SGD, lr=0.05)),
    concise("minibatch", "12.5", "linear regression (airfoil, concise)", partial(optim.SGD, lr=0.01)),
    scratch("momentum-half", "12.6", "momentum 0.5", partial(optim.SGD, lr=0.02, momentum=0.5)),
    scratch("momentum-fast", "12.6", "momentum 0.9, a larger rate", partial(optim.SGD, lr=0.01, momentum=0.9)),
    scratch("momentum", "12.6", "momentum 0.9", partial(optim.SGD, lr=0.005, momentum=0.9)),
    concise("momentum", "12.6", "Airfoil, momentum, concise", partial(optim.SGD, lr=0.005, momentum=0.9)),
    scratch("adagrad", "12.7", "Adagrad", partial(optim.AdagradScratch, lr=0.1)),
    concise("adagrad", "12.7", "Airfoil, Adagrad, concise", partial(optim.Adagrad, lr=0.1)),
    scratch("rmsprop", "12.8", "RMSProp", partial(optim.RMSPropScratch, lr=0.01, gamma=0.9)),
    concise("rmsprop", "12.8", "Airfoil, RMSProp, concise", partial(optim.RMSprop, lr=0.01, alpha=0.9)),
    scratch("adadelta", "12.9", "Adadelta", partial(optim.Adadelta, rho=0.9, eps=1e-5)),
    concise("adadelta", "12.9", "Airfoil, Adadelta, concise", partial(optim.Adadelta, rho=0.9)),
    scratch("adam", "12.10", "Adam", partial(optim.Adam, lr=0.01, eps=1e-6)),
    concise("adam", "12.10", "Airfoil, Adam, concise", partial(optim.Adam, lr=0.01)),
    scratch("yogi", "12.10", "Yogi", partial(optim.Yogi, lr=0.01)),
)

COSINE = partial(CosineScheduler, 20, base_lr=0.3, final_lr=0.01)
WARM_UP = partial(COSINE, warmup_steps=5)
STEPS = partial(MultiStepLR, 0.5, (15, 30), 0.5)


def scheduled(name: str, title: str, lr: float | ByEpoch, model: Callable = models.scheduled_lenet) -> Case:
    """Returns the case of a LeNet under a schedule."""
    return supervised(
        name,
        "12.11",
        title,
        model,
        (256, 28, 28, 1),
        probe={"num_classes": 7, "in_channels": 3, "image_size": (29, 23)},
        probe_inputs=(5, 29, 23, 3),
        optimizer=partial(optim.SGD, lr=lr),
        data="fashion_mnist",
        epochs=30,
    )


# The multi-step scheduler of the book has been stepped through in a plot before it trains: its rate is constant.
SCHEDULED: tuple[Case, ...] = (
    scheduled("scheduled-lenet", "LeNet (ReLU + max pooling)", 0.3),
    scheduled("scheduled-lenet-square-root", "LeNet, square root", ByEpoch(SquareRootScheduler, 0.1)),
    scheduled("scheduled-lenet-multi-step", "LeNet, multi-step as the book's runs", 0.125),
    scheduled("scheduled-lenet-multi-step-corrected", "LeNet, multi-step", ByEpoch(STEPS)),
    scheduled("scheduled-lenet-cosine", "LeNet, cosine", ByEpoch(COSINE, 0.3)),
    scheduled("scheduled-lenet-warm-up", "LeNet, warm-up one epoch late", ByEpoch(WARM_UP, 0.3)),
    scheduled("scheduled-lenet-warm-up-corrected", "LeNet, warm-up", ByEpoch(WARM_UP)),
    scheduled("scheduled-bn-lenet", "LeNet of the second edition (9.8)", ByEpoch(COSINE), models.scheduled_bn_lenet),
)
OPTIMIZATION = tuple(sorted(TOYS + AIRFOIL + SCHEDULED, key=lambda case: int(case.section.partition(".")[2])))
