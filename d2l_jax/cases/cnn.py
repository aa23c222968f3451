"""Cases of chapters 7 and 8."""

from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, supervised
from d2l_jax.cases.operators import Operated

SMALL = {"num_classes": 7, "in_channels": 3}
QUARTER_WIDTH = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))
FEWER_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (512, 2), (512, 1), (1024, 2))
FEWER_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 2, 2),
    (6, 64, 1, 2),
    (6, 96, 2, 1),
    (6, 160, 1, 2),
    (6, 320, 1, 1),
)
Classifier = partial(supervised, data="fashion_mnist")
Classifier96 = partial(
    Classifier,
    inputs=(128, 96, 96, 1),
    probe=SMALL,
    probe_inputs=(5, 32, 65, 3),
    optimizer=partial(optim.SGD, lr=0.01),
    resize=(96, 96),
)
Classifier224 = partial(Classifier, inputs=(128, 224, 224, 1), optimizer=partial(optim.SGD, lr=0.01), resize=(224, 224))
Block = partial(supervised, labels=False, loss=losses.mse)

CNN: tuple[Case, ...] = (
    supervised(
        "conv2d-scratch",
        "7.2",
        "Conv2D (scratch)",
        models.Conv2D,
        (6, 8),
        args={"kernel_size": (1, 2)},
        probe={"kernel_size": (3, 5)},
        probe_inputs=(7, 9),
        afterwards=Operated(),
        labels=False,
        loss=losses.mse,
    ),
    Block(
        "edge-detector",
        "7.2",
        "edge-detector conv (learned kernel)",
        models.edge_detector,
        (1, 6, 8, 1),
        probe={"kernel_size": (3, 5)},
        probe_inputs=(3, 7, 9, 1),
        loss=losses.sum_squared_error,
        optimizer=partial(optim.SGD, lr=0.03),
    ),
    Classifier(
        "lenet",
        "7.6",
        "LeNet",
        models.LeNet,
        (128, 28, 28, 1),
        probe=SMALL | {"image_size": (31, 23)},
        probe_inputs=(5, 31, 23, 3),
    ),
    Classifier224(
        "alexnet",
        "8.1",
        "AlexNet",
        models.AlexNet,
        probe=SMALL | {"image_size": (65, 97), "width_mult": 0.125},
        probe_inputs=(5, 65, 97, 3),
    ),
    Classifier224(
        "vgg11",
        "8.2",
        "VGG (VGG-11 arch)",
        models.VGG,
        args={"arch": ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))},
        probe=SMALL
        | {"arch": ((1, 9), (1, 17), (2, 33), (2, 65), (2, 67)), "image_size": (33, 65), "num_hiddens": 131},
        probe_inputs=(5, 33, 65, 3),
    ),
    Classifier224(
        "vgg",
        "8.2",
        "VGG (quarter width, trained in book)",
        models.VGG,
        args={"arch": QUARTER_WIDTH},
        probe=SMALL | {"image_size": (33, 65), "num_hiddens": 131},
        probe_inputs=(5, 33, 65, 3),
    ),
    Classifier224(
        "nin",
        "8.3",
        "NiN",
        models.NiN,
        probe=SMALL | {"width_mult": 0.125},
        probe_inputs=(5, 67, 99, 3),
        optimizer=partial(optim.SGD, lr=0.05),
    ),
    Classifier96("googlenet", "8.4", "GoogleNet", models.GoogleNet, probe=SMALL | {"width_mult": 0.125}),
    Block(
        "inception",
        "8.4",
        "Inception (block b3[0])",
        models.Inception,
        (1, 12, 12, 192),
        args={"c1": 64, "c2": (96, 128), "c3": (16, 32), "c4": 32},
        probe={"c1": 5, "c2": (7, 9), "c3": (17, 11), "c4": 13, "in_channels": 15},
        probe_inputs=(3, 7, 9, 15),
    ),
    Classifier(
        "bn-lenet-scratch",
        "8.5",
        "BNLeNetScratch",
        models.BNLeNetScratch,
        (128, 28, 28, 1),
        probe=SMALL | {"image_size": (31, 23)},
        probe_inputs=(5, 31, 23, 3),
    ),
    Classifier(
        "bn-lenet",
        "8.5",
        "BNLeNet",
        models.BNLeNet,
        (128, 28, 28, 1),
        probe=SMALL | {"image_size": (31, 23)},
        probe_inputs=(5, 31, 23, 3),
    ),
    Block(
        "residual",
        "8.6",
        "Residual (identity shortcut)",
        models.Residual,
        (4, 6, 6, 3),
        args={"num_channels": 3},
        probe={"num_channels": 7, "in_channels": 7},
        probe_inputs=(5, 9, 11, 7),
    ),
    Block(
        "residual-1x1",
        "8.6",
        "Residual (1x1 shortcut, stride 2)",
        models.Residual,
        (4, 6, 6, 3),
        args={"num_channels": 6, "use_1x1conv": True, "strides": 2},
        probe={"num_channels": 7},
        probe_inputs=(5, 8, 11, 3),
    ),
    Classifier96("resnet18", "8.6", "ResNet18", models.ResNet18, probe=SMALL | {"width_mult": 0.125}),
    Block(
        "resnext-block",
        "8.6",
        "ResNeXtBlock",
        models.ResNeXtBlock,
        (4, 96, 96, 32),
        args={"num_channels": 32, "groups": 16, "bot_mul": 1.0},
        probe={"num_channels": 15, "groups": 3, "bot_mul": 0.6, "in_channels": 15},
        probe_inputs=(5, 7, 9, 15),
    ),
    Block(
        "dense-block",
        "8.7",
        "DenseBlock",
        models.DenseBlock,
        (4, 8, 8, 3),
        args={"num_convs": 2, "num_channels": 10},
        probe={"num_channels": 7},
        probe_inputs=(5, 9, 11, 3),
    ),
    Block(
        "transition-block",
        "8.7",
        "transition_block",
        models.transition_block,
        (4, 8, 8, 23),
        args={"num_channels": 10},
        probe={"num_channels": 7, "in_channels": 13},
        probe_inputs=(5, 9, 11, 13),
    ),
    Classifier96(
        "densenet",
        "8.7",
        "DenseNet",
        models.DenseNet,
        probe=SMALL | {"num_channels": 23, "growth_rate": 9, "arch": (3, 2, 2, 2)},
    ),
    Classifier96(
        "regnetx32",
        "8.8",
        "RegNetX32",
        models.RegNetX32,
        probe=SMALL | {"depths": (2, 2)},
        optimizer=partial(optim.SGD, lr=0.05),
    ),
)

MOBILE: tuple[Case, ...] = (
    Classifier96(
        "mobilenet",
        "A",
        "MobileNetV1",
        models.MobileNetV1,
        probe=SMALL | {"width_mult": 0.25, "blocks": FEWER_BLOCKS},
        optimizer=partial(optim.SGD, lr=0.05, momentum=0.9),
    ),
    Classifier96(
        "mobilenet-v2",
        "A",
        "MobileNetV2",
        models.MobileNetV2,
        args={"num_classes": 10, "in_channels": 1},
        probe=SMALL | {"width_mult": 0.5, "inverted_residual_setting": FEWER_STAGES},
        optimizer=partial(optim.SGD, lr=0.05, momentum=0.9),
    ),
)
