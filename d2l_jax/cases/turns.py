"""Generative adversarial networks: two nets that learn in turns (chapter 20)."""

from functools import partial

from d2l_jax import models, optim
from d2l_jax.case import Case
from d2l_jax.models.dcgan import draw_images
from d2l_jax.models.gan import draw_gaussian
from d2l_jax.turns import Turn

DISCRIMINATOR = Turn(models.discriminator_loss, partial(optim.Adam, lr=0.05), "net_D.", "discriminator")
GENERATOR = Turn(models.generator_loss, partial(optim.Adam, lr=0.005), "net_G.", "generator")


def turns_of(lr: float, reduction: str) -> tuple[Turn, Turn]:
    """Returns the turns of DCGAN: both nets by Adam with one rate and betas (0.5, 0.999)."""
    adam = partial(optim.Adam, lr=lr, betas=(0.5, 0.999))
    return (
        Turn(partial(models.discriminator_loss, reduction=reduction), adam, "net_D.", "discriminator"),
        Turn(partial(models.generator_loss, reduction=reduction), adam, "net_G.", "generator"),
    )


DCGAN = partial(
    Case,
    section="20.2",
    model={"net_D": models.dcgan_discriminator, "net_G": models.dcgan_generator},
    draw=draw_images,
    observe=models.generated,
    epochs=20,
)
CORRECTED = {"net_D": {"corrected": True}, "net_G": {"corrected": True}}
SMALL_D = {"n_D": 5}
SMALL_G = {"n_G": 3}

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
    DCGAN(
        "dcgan",
        title="DCGAN",
        probe={"net_D": SMALL_D, "net_G": SMALL_G},
        turns=turns_of(0.005, "sum"),
    ),
    DCGAN(
        "dcgan-corrected",
        title="DCGAN of the second edition",
        args=CORRECTED,
        probe={"net_D": SMALL_D | CORRECTED["net_D"], "net_G": SMALL_G | CORRECTED["net_G"]},
        turns=turns_of(0.0002, "mean"),
    ),
)
