"""Losses of adversarial networks: of the scores of real and of generated examples, one for each of the two nets.

All are means over the batch. A score is a logit; the higher, the more the example is taken for real. Where a
generator's loss reads no scores of real examples, it takes them nevertheless, so that every pair is called alike.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Loss = Float[Array, ""]
Scores = Float[Array, "batch ..."]


def logistic_loss_D(real: Scores, fake: Scores) -> Loss:
    """Cross-entropy of real examples as ones plus that of generated ones as zeros (Goodfellow et al. 2014).

    The book halves it (section 20.1): `models.discriminator_loss`.
    """
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def logistic_loss_G(real: Scores, fake: Scores) -> Loss:
    """Cross-entropy of generated examples as ones: not saturating, and that of section 20.1."""
    return jnp.mean(jax.nn.softplus(-fake))


def saturating_loss_G(real: Scores, fake: Scores) -> Loss:
    """The negative of what the discriminator pays for generated examples: flat where it knows them well."""
    return -jnp.mean(jax.nn.softplus(fake))


def least_squares_loss_D(real: Scores, fake: Scores) -> Loss:
    """Half the squared distance of real scores from 1 plus that of generated ones from 0 (Mao et al. 2017)."""
    return (jnp.mean((real - 1) ** 2) + jnp.mean(fake**2)) / 2


def least_squares_loss_G(real: Scores, fake: Scores) -> Loss:
    """Half the squared distance of generated scores from 1."""
    return jnp.mean((fake - 1) ** 2) / 2


def hinge_loss_D(real: Scores, fake: Scores) -> Loss:
    """How far real scores stay below 1 and generated ones above -1; the generator's is that of Wasserstein."""
    return jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + fake))


def wasserstein_loss_D(real: Scores, fake: Scores) -> Loss:
    """The mean score of generated examples less that of real ones (Arjovsky et al. 2017)."""
    return jnp.mean(fake) - jnp.mean(real)


def wasserstein_loss_G(real: Scores, fake: Scores) -> Loss:
    """The negative mean score of generated examples."""
    return -jnp.mean(fake)


def rpgan_loss_D(real: Scores, fake: Scores) -> Loss:
    """Softplus of how much higher a generated example scores than its real partner, that of the same number.

    Relativistic pairing (Jolicoeur-Martineau 2019).
    """
    return jnp.mean(jax.nn.softplus(fake - real))


def rpgan_loss_G(real: Scores, fake: Scores) -> Loss:
    """The same with the two exchanged."""
    return rpgan_loss_D(fake, real)
