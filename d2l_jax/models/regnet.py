"""AnyNet and RegNetX (Radosavovic et al. 2020; book, section 8.8)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn
from d2l_jax.models.resnet import ResNeXtBlock


def any_stage(
    depth: int, num_channels: int, groups: int, bot_mul: float, in_channels: int, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """A stage of `depth` ResNeXt blocks, of which the first halves height and width (book, section 8.8)."""
    head = ResNeXtBlock(num_channels, groups, bot_mul, True, 2, in_channels, rngs=rngs)
    rest = (ResNeXtBlock(num_channels, groups, bot_mul, in_channels=num_channels, rngs=rngs) for _ in range(depth - 1))
    return nn.Sequential(head, *rest)


class AnyNet(nnx.Module):
    """AnyNet: a stem, a stage per (depth, num_channels, groups, bot_mul) of `arch`, and a head (book, section 8.8).

    Weights start from PyTorch's defaults: the book's Xavier call meets lazy layers and does nothing; `corrected` heeds
    it.
    """

    def __init__(
        self,
        arch: tuple[tuple[int, int, int, float], ...],
        stem_channels: int,
        num_classes: int = 10,
        in_channels: int = 1,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        stem = nn.Sequential(
            nn.Conv2d(in_channels, stem_channels, 3, stride=2, padding=1, rngs=rngs),
            nn.BatchNorm(stem_channels),
            nnx.relu,
        )
        stages = {}
        channels = stem_channels
        for i, (depth, num_channels, groups, bot_mul) in enumerate(arch, 1):
            stages[f"stage{i}"] = any_stage(depth, num_channels, groups, bot_mul, channels, rngs=rngs)
            channels = num_channels
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.flatten, nn.Linear(channels, num_classes, rngs=rngs))
        self.net = nn.Sequential(stem, **stages, head=head)
        if corrected:
            init_cnn(self, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)


class RegNetX32(AnyNet):
    """RegNetX: two stages of 32 and 80 channels, in groups of 16, and of `depths` blocks (book, section 8.8)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        depths: tuple[int, int] = (4, 6),
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        arch = ((depths[0], 32, 16, 1.0), (depths[1], 80, 16, 1.0))
        super().__init__(arch, 32, num_classes, in_channels, corrected, rngs=rngs)
