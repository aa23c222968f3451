"""Cases that learn otherwise than by one loss of outputs and targets: chapters 14 and 20."""

from functools import partial

from d2l_jax import models, optim
from d2l_jax.case import Case, supervised
from d2l_jax.models.gan import draw_gaussian
from d2l_jax.turns import Turn

SMALL = {"num_channels": 7, "num_classes": 5}
DISCRIMINATOR = Turn(models.discriminator_loss, partial(optim.Adam, lr=0.05), "net_D.", "discriminator")
GENERATOR = Turn(models.generator_loss, partial(optim.Adam, lr=0.005), "net_G.", "generator")

VISION: tuple[Case, ...] = (
    supervised(
        "frozen-features",
        "14.2",
        "A head on frozen features",
        models.FrozenFeatures,
        (32, 28, 28, 3),
        probe=SMALL,
        probe_inputs=(5, 7, 9, 3),
        optimizer=partial(optim.SGD, lr=0.1, momentum=0.9),
        trains="fc.",
    ),
)

GAN: tuple[Case, ...] = (
    Case(
        "gan",
        "20.1",
        "GAN on Gaussian points",
        {"net_D": models.discriminator, "net_G": models.generator},
        draw=draw_gaussian,
        turns=(DISCRIMINATOR, GENERATOR),
        observe=models.generated,
    ),
)
