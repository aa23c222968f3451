"""Images of a class that is asked for: the backbone with labels (second edition, conditional GANs)."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from parity.reference.gan_backbone import SIDE, conv, convs, grown, latent_maps, learned_map, shrunk, spread, start

Labels = Int[Tensor, " batch"]


class ConditionalGenerator(nn.Module):
    """Makes images (batch, 3, 32, 32) of latent numbers and classes: `Generator` with three stages."""

    def __init__(
        self,
        latent_dim: int = 100,
        embed_dim: int = 64,
        const_ch: int = 128,
        base_ch: int = 256,
        num_classes: int = 10,
    ):
        super().__init__()
        self.const = learned_map(const_ch)
        self.z_proj = nn.Linear(latent_dim, latent_dim * SIDE**2)
        self.embed = nn.Embedding(num_classes, embed_dim)
        self.mix = conv(const_ch + latent_dim + embed_dim, base_ch)
        self.stages = nn.ModuleList(convs([base_ch // 2**i for i in range(4)]))
        self.to_rgb = conv(base_ch // 8, 3)
        start(self)

    def forward(self, z: Float[Tensor, "batch latent_dim"], y: Labels) -> Float[Tensor, "batch 3 32 32"]:
        of_class = spread(self.embed(y)[:, :, None, None], len(z))
        return grown(self, spread(self.const, len(z)), latent_maps(self.z_proj, z), of_class)


class ProjectionDiscriminator(nn.Module):
    """Scores (batch,) whether images (batch, 3, 32, 32) are real ones of their classes (Miyato and Koyama 2018)."""

    def __init__(self, base_ch: int = 64, num_classes: int = 10):
        super().__init__()
        self.stages = nn.ModuleList(convs([3, *(base_ch * 2**i for i in range(3))]))
        self.mix = conv(base_ch * 4, base_ch * 8)
        self.psi = nn.Linear(base_ch * 8, 1)
        self.embed = nn.Embedding(num_classes, base_ch * 8)
        start(self)

    def forward(self, X: Float[Tensor, "batch 3 32 32"], y: Labels) -> Float[Tensor, " batch"]:
        phi = shrunk(self, X).sum(dim=(2, 3))
        return self.psi(phi).squeeze(-1) + (self.embed(y) * phi).sum(dim=-1)
