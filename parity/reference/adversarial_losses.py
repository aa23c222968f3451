"""The losses of `d2l_jax.losses.adversarial` in PyTorch, under the same names."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Loss = Float[Tensor, ""]
Scores = Float[Tensor, "batch ..."]


def logistic_loss_D(real: Scores, fake: Scores) -> Loss:
    """Cross-entropy of real examples as ones plus that of generated ones as zeros (Goodfellow et al. 2014)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_loss_G(real: Scores, fake: Scores) -> Loss:
    """Cross-entropy of generated examples as ones."""
    return F.softplus(-fake).mean()


def saturating_loss_G(real: Scores, fake: Scores) -> Loss:
    """The negative of what the discriminator pays for generated examples."""
    return -F.softplus(fake).mean()


def least_squares_loss_D(real: Scores, fake: Scores) -> Loss:
    """Half the squared distance of real scores from 1 plus that of generated ones from 0 (Mao et al. 2017)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_loss_G(real: Scores, fake: Scores) -> Loss:
    """Half the squared distance of generated scores from 1."""
    return (fake - 1).square().mean() / 2


def hinge_loss_D(real: Scores, fake: Scores) -> Loss:
    """How far real scores stay below 1 and generated ones above -1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_loss_D(real: Scores, fake: Scores) -> Loss:
    """The mean score of generated examples less that of real ones (Arjovsky et al. 2017)."""
    return fake.mean() - real.mean()


def wasserstein_loss_G(real: Scores, fake: Scores) -> Loss:
    """The negative mean score of generated examples."""
    return -fake.mean()


def rpgan_loss_D(real: Scores, fake: Scores) -> Loss:
    """Softplus of how much higher a generated example scores than its real partner (Jolicoeur-Martineau 2019)."""
    return F.softplus(fake - real).mean()


def rpgan_loss_G(real: Scores, fake: Scores) -> Loss:
    """The same with the two exchanged."""
    return rpgan_loss_D(fake, real)
