"""Generative adversarial networks: two nets that learn in turns (chapter 20)."""

from functools import partial
from typing import Any

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, supervised
from d2l_jax.models.adversarial import draw_mixed
from d2l_jax.models.dcgan import draw_images
from d2l_jax.models.gan import draw_gaussian
from d2l_jax.models.gan_backbone import draw_fresh
from d2l_jax.models.gan_conditional import draw_of_classes
from d2l_jax.models.points import draw_grid
from d2l_jax.turns import Turn

DISCRIMINATOR = Turn(models.discriminator_loss, partial(optim.Adam, lr=0.05), "net_D.", "discriminator")
GENERATOR = Turn(models.generator_loss, partial(optim.Adam, lr=0.005), "net_G.", "generator")

Points = partial(
    Case,
    section="20.1",
    model={"net_D": models.discriminator, "net_G": models.generator},
    draw=draw_gaussian,
    observe=models.generated,
)


def points(name: str, title: str, discriminate: models.Discriminate, generate: models.Generate, **options: Any) -> Case:
    """Returns the GAN of section 20.1 with other objectives."""
    turns = DISCRIMINATOR._replace(objective=discriminate), GENERATOR._replace(objective=generate)
    return Points(name, title=title, turns=turns, **options)


def turns_of(lr: float, lr_G: float, **options: Any) -> tuple[Turn, Turn]:
    """Returns the turns of DCGAN with options of its losses: both nets by Adam with betas (0.5, 0.999)."""
    adam_D, adam_G = (partial(optim.Adam, lr=rate, betas=(0.5, 0.999)) for rate in (lr, lr_G))
    return (
        Turn(partial(models.discriminator_loss, **options), adam_D, "net_D.", "discriminator"),
        Turn(partial(models.generator_loss, **options), adam_G, "net_G.", "generator"),
    )


def relativistic_turns(gamma: float) -> tuple[Turn, Turn]:
    """Returns the turns of relativistic pairing with R1 and R2: both nets by Adam, 0.0002 and betas (0, 0.99)."""
    adam = partial(optim.Adam, lr=0.0002, betas=(0.0, 0.99))
    discriminate = models.Discriminate(losses.rpgan_loss_D, r1=gamma, r2=gamma)
    generate = models.Generate(losses.rpgan_loss_G, fresh=True)
    return Turn(discriminate, adam, "net_D.", "discriminator"), Turn(generate, adam, "net_G.", "generator")


DCGAN = partial(
    Case,
    section="20.2",
    model={"net_D": models.dcgan_discriminator, "net_G": models.dcgan_generator},
    draw=draw_images,
    observe=models.generated,
    data="sprites",
    epochs=20,
)
CORRECTED = {"net_D": {"corrected": True}, "net_G": {"corrected": True}}
SMALL_D = {"n_D": 5}
SMALL_G = {"n_G": 3}

SMALL = partial(
    DCGAN,
    args={"net_D": {"n_D": 16, "corrected": True}, "net_G": {"n_G": 16, "corrected": True}},
    probe={"net_D": SMALL_D | CORRECTED["net_D"], "net_G": SMALL_G | CORRECTED["net_G"]},
)

GAN: tuple[Case, ...] = (
    Points("gan", title="GAN on Gaussian points", turns=(DISCRIMINATOR, GENERATOR)),
    points(
        "gan-saturating",
        "GAN, saturating",
        models.Discriminate(losses.logistic_loss_D),
        models.Generate(losses.saturating_loss_G),
    ),
    points(
        "gan-least-squares",
        "GAN, least squares",
        models.Discriminate(losses.least_squares_loss_D),
        models.Generate(losses.least_squares_loss_G),
    ),
    points(
        "gan-hinge",
        "GAN, hinge",
        models.Discriminate(losses.hinge_loss_D),
        models.Generate(losses.wasserstein_loss_G),
    ),
    points(
        "gan-wasserstein",
        "GAN, Wasserstein with a gradient penalty",
        models.Discriminate(losses.wasserstein_loss_D, slope=10.0),
        models.Generate(losses.wasserstein_loss_G),
        draw=draw_mixed,
    ),
    Points(
        "gan-relativistic",
        title="GAN on 25 Gaussians, relativistic with R1 and R2",
        model={"net_D": models.points_critic, "net_G": models.points_generator},
        probe={"net_D": {"num_hiddens": 9}, "net_G": {"num_hiddens": 6}},
        draw=draw_grid,
        turns=relativistic_turns(1.0),
    ),
    DCGAN(
        "dcgan",
        title="DCGAN",
        probe={"net_D": SMALL_D, "net_G": SMALL_G},
        turns=turns_of(0.005, 0.005),
    ),
    DCGAN(
        "dcgan-corrected",
        title="DCGAN of the second edition",
        args=CORRECTED,
        probe={"net_D": SMALL_D | CORRECTED["net_D"], "net_G": SMALL_G | CORRECTED["net_G"]},
        turns=turns_of(0.0002, 0.0002, reduction="mean"),
    ),
    SMALL(
        "dcgan-small", title="DCGAN with a quarter of the channels", turns=turns_of(0.0002, 0.0002, reduction="mean")
    ),
    SMALL(
        "dcgan-together",
        title="DCGAN, real and generated in one batch",
        draw=partial(draw_images, size=(64, 64)),
        turns=turns_of(0.0001, 0.0005, reduction="mean", together=True),
    ),
    Case(
        "gan-backbone",
        "20.2",
        "GAN without normalisation, relativistic with R1 and R2",
        {"net_D": models.Discriminator, "net_G": models.Generator},
        probe={"net_D": {"base_ch": 2}, "net_G": {"latent_dim": 5, "const_ch": 3, "base_ch": 16}},
        draw=draw_fresh,
        turns=relativistic_turns(10.0),
        observe=models.generated,
    ),
    Case(
        "gan-conditional",
        "20.2",
        "Conditional GAN with a projection discriminator",
        {"net_D": models.ProjectionDiscriminator, "net_G": models.ConditionalGenerator},
        probe={
            "net_D": {"base_ch": 2, "num_classes": 7},
            "net_G": {"latent_dim": 5, "embed_dim": 4, "const_ch": 3, "base_ch": 8, "num_classes": 7},
        },
        draw=draw_of_classes,
        turns=relativistic_turns(0.5),
        observe=models.generated,
    ),
    supervised(
        "spectral-discriminator",
        "20.2",
        "Discriminator with spectral normalisation",
        models.spectral_discriminator,
        (64, 16, 16, 3),
        probe={"n_D": 5, "features": 2 * 3 * 10},
        probe_inputs=(5, 11, 14, 3),
        loss=losses.mse,
        labels=False,
    ),
    supervised(
        "feature-cnn",
        "20.2",
        "FeatureCNN",
        models.FeatureCNN,
        (256, 32, 32, 3),
        probe={"feature_dim": 12, "num_classes": 7},
        probe_inputs=(5, 9, 13, 3),
        optimizer=partial(optim.Adam, lr=1e-3),
        data="cifar10",
        epochs=15,
    ),
)
