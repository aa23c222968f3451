"""AnyNet and RegNetX (Radosavovic et al. 2020; book, section 8.8)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn
from parity.reference.resnet import ResNeXtBlock


def any_stage(depth: int, num_channels: int, groups: int, bot_mul: float, in_channels: int) -> nn.Sequential:
    """A stage of `depth` ResNeXt blocks, of which the first halves height and width (book, section 8.8)."""
    head = ResNeXtBlock(num_channels, groups, bot_mul, True, 2, in_channels)
    rest = (ResNeXtBlock(num_channels, groups, bot_mul, in_channels=num_channels) for _ in range(depth - 1))
    return nn.Sequential(head, *rest)


class AnyNet(nn.Module):
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
    ):
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(in_channels, stem_channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(stem_channels),
            nn.ReLU(),
        )
        self.net = nn.Sequential(stem)
        channels = stem_channels
        for i, (depth, num_channels, groups, bot_mul) in enumerate(arch, 1):
            self.net.add_module(f"stage{i}", any_stage(depth, num_channels, groups, bot_mul, channels))
            channels = num_channels
        head = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, num_classes))
        self.net.add_module("head", head)
        if corrected:
            init_cnn(self)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)


class RegNetX32(AnyNet):
    """RegNetX: two stages of 32 and 80 channels, in groups of 16, and of `depths` blocks (book, section 8.8)."""

    def __init__(
        self, num_classes: int = 10, in_channels: int = 1, depths: tuple[int, int] = (4, 6), corrected: bool = False
    ):
        arch = ((depths[0], 32, 16, 1.0), (depths[1], 80, 16, 1.0))
        super().__init__(arch, 32, num_classes, in_channels, corrected)
