"""Cases of sections 14.10 to 14.12: transposed convolution, the fully convolutional network and style transfer."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from d2l_jax import losses, metrics, models, optim
from d2l_jax.case import Case, supervised
from d2l_jax.models import kernel2matrix, trans_conv
from d2l_jax.models.style import draw_pictures
from d2l_jax.turns import Tensors, Turn

BATCH = 32
# conv4_3, and conv1_1 to conv5_1, of VGG-16; the plain form, which collects before the ReLUs
VGG16: dict[str, Any] = {"content_layers": (21,), "style_layers": (0, 5, 10, 17, 24)}


@dataclass(frozen=True)
class TransposedByHand:
    """An evaluation: the operators of section 14.10 on the first image of "input", with a kernel cut from it."""

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the transposed convolution by hand, and as a product with a convolution's matrix."""
        image = tensors["input"][0, :, :, 0]
        kernel = image[:2, :3]
        size = (image.shape[0] + 1, image.shape[1] + 2)
        product = kernel2matrix(kernel, size).T @ image.reshape(-1)
        return {"by_hand": trans_conv(image, kernel), "by_matrix": product.reshape(size)}


# The section adds the losses of a batch up and takes steps of 0.001; on their mean these are the same steps.
Segmentation = partial(
    supervised,
    section="14.11",
    model=models.fcn,
    inputs=(BATCH, 320, 480, 3),
    probe={"num_classes": 7, "width_mult": 0.125},
    probe_inputs=(5, 33, 46, 3),
    loss=losses.pixel_cross_entropy,
    ignored=255,
    optimizer=partial(optim.SGD, lr=0.001 * BATCH, weight_decay=1e-3 / BATCH),
    metrics={"accuracy": metrics.pixel_accuracy},
    resize=(320, 480),
    epochs=5,
)

Style = partial(Case, section="14.12", draw=draw_pictures, data="photos", epochs=500)

SEGMENTATION: tuple[Case, ...] = (
    supervised(
        "transposed-conv",
        "14.10",
        "transposed convolution (shape check)",
        models.transposed_conv,
        (1, 6, 6, 20),
        args={"kernel_size": 5, "padding": 2, "stride": 3},
        probe={
            "in_channels": 6,
            "out_channels": 9,
            "kernel_size": (3, 4),
            "stride": (2, 3),
            "padding": (1, 2),
            "output_padding": (1, 0),
            "groups": 3,
            "dilation": (1, 2),
        },
        probe_inputs=(5, 9, 7, 6),
        afterwards=TransposedByHand(),
        labels=False,
        loss=losses.mse,
    ),
    Segmentation("fcn", title="FCN (ResNet-18 backbone)", data="voc2012"),
    Style(
        "style-transfer",
        title="Neural style transfer",
        model={"image": models.SynthesizedImage, "net": models.vgg19_features},
        args={"image": {"height": 300, "width": 450}, "net": {"num_layers": 29}},
        probe={"image": {"height": 37, "width": 46}, "net": {"num_layers": 29, "width_mult": 0.0625}},
        turns=(Turn(models.StyleTransfer(), partial(optim.Adam, lr=0.3), "image."),),
        observe=models.StyleTargets(),
    ),
    Style(
        "style-transfer-vgg16",
        title="Neural style transfer with VGG-16",
        model={"image": models.SynthesizedImage, "net": models.vgg16_features},
        args={"image": {"height": 300, "width": 450}, "net": {"num_layers": 25}},
        probe={"image": {"height": 37, "width": 46}, "net": {"num_layers": 25, "width_mult": 0.0625}},
        turns=(Turn(models.StyleTransfer(**VGG16, in_place=False), partial(optim.Adam, lr=0.3), "image."),),
        observe=models.StyleTargets(**VGG16, in_place=False),
    ),
)
