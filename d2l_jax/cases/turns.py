"""Cases that learn otherwise than by one loss of outputs and targets: chapters 14 and 20."""

from functools import partial

from d2l_jax import models, optim
from d2l_jax.case import Case
from d2l_jax.models.gan import draw_gaussian
from d2l_jax.turns import Turn

DISCRIMINATOR = Turn(models.discriminator_loss, partial(optim.Adam, lr=0.05), "net_D.", "discriminator")
GENERATOR = Turn(models.generator_loss, partial(optim.Adam, lr=0.005), "net_G.", "generator")

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
