"""Torchvision's networks beside Flax ports of them with other names; imports skip a test file without torchvision."""

import sys
from pathlib import Path

import pytest

torchvision = pytest.importorskip("torchvision")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from torchvision_ports.densenet121 import DenseNet121  # noqa: E402
from torchvision_ports.googlenet import GoogLeNet  # noqa: E402
from torchvision_ports.mobilenet_v2 import MobileNetV2  # noqa: E402
from torchvision_ports.resnet18 import ResNet18  # noqa: E402
from torchvision_ports.vgg11_bn import VGG11  # noqa: E402

# name: port, image, options of torchvision's (no auxiliary heads), tensors
PORTS = {
    "resnet18": (ResNet18, (47, 33), {}, 122),
    "vgg11_bn": (VGG11, (33, 63), {}, 62),
    "mobilenet_v2": (MobileNetV2, (33, 47), {}, 314),
    "densenet121": (DenseNet121, (33, 47), {}, 727),
    "googlenet": (GoogLeNet, (49, 33), dict(aux_logits=False, transform_input=False, init_weights=False), 344),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in PORTS if name != "resnet18"]
