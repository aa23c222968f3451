"""Cases of chapter 13, computational performance."""

from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, supervised

SMALL = {"in_channels": 3}
Classifier = partial(
    supervised, inputs=(256, 28, 28, 1), optimizer=partial(optim.SGD, lr=0.2), data="fashion_mnist", epochs=10
)

PERFORMANCE: tuple[Case, ...] = (
    supervised(
        "compiled-mlp",
        "13.1",
        "MLP 512-256-128-2 (hybridize)",
        models.compiled_mlp,
        (1, 512),
        probe={"num_inputs": 33, "num_hiddens_1": 17, "num_hiddens_2": 9},
        probe_inputs=(5, 33),
        labels=False,
        loss=losses.mse,
    ),
    Classifier(
        "lenet-scratch",
        "13.5",
        "lenet (functional, multi-GPU scratch)",
        models.LeNetScratch,
        probe=SMALL | {"num_outputs": 7, "image_size": (31, 23)},
        probe_inputs=(5, 31, 23, 3),
    ),
    Classifier(
        "resnet18-multi-gpu",
        "13.6",
        "d2l.resnet18 (1 channel)",
        models.resnet18_multi_gpu,
        probe=SMALL | {"num_classes": 7, "width_mult": 0.125},
        probe_inputs=(5, 16, 25, 3),
        optimizer=partial(optim.SGD, lr=0.1),
    ),
)
