"""Classification in chapter 14: CIFAR-10, fine-tuning, and the two competitions."""

from functools import partial

from d2l_jax import losses, metrics, models, optim
from d2l_jax.augment import (
    Augment,
    ColorJitter,
    Compose,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    ToFloat,
)
from d2l_jax.case import Case, supervised

SMALL = {"num_channels": 7, "num_classes": 5}
NARROW = {"num_classes": 7, "width_mult": 0.125}
NORMALISED = Compose(ToFloat(), Normalize())
CIFAR = Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

# Chapter 14 adds the losses of a batch up; what is told is their mean.
Summed = partial(supervised, loss=losses.sum_cross_entropy, metrics=metrics.OF_SUMS)
HotDogs = partial(
    Summed,
    section="14.2",
    model=models.finetune_resnet18,
    inputs=(128, 224, 224, 3),
    probe=NARROW,
    probe_inputs=(5, 33, 46, 3),
    data="hotdog",
    augment=Augment(Compose(RandomResizedCrop((224, 224)), RandomHorizontalFlip(), ToFloat(), Normalize()), NORMALISED),
    epochs=5,
)
DogBreeds = partial(
    Summed,
    section="14.14",
    model=models.DogBreeds,
    inputs=(32, 224, 224, 3),
    args={"num_classes": 120},
    probe={"num_classes": 7, "num_hiddens": 9, "layers": (1, 1, 1, 1), "num_features": 11, "width_mult": 0.125},
    probe_inputs=(5, 33, 46, 3),
    optimizer=partial(
        optim.SGD, lr=optim.ByEpoch(partial(optim.StepLR, 1e-4, 2, 0.9)), momentum=0.9, weight_decay=1e-4
    ),
    trains="output_new.",
    data="dogs",
    augment=Augment(
        Compose(
            RandomResizedCrop((224, 224)), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4), ToFloat(), Normalize()
        ),
        NORMALISED,
    ),
    epochs=10,
)

FINE_TUNING: tuple[Case, ...] = (
    Summed(
        "resnet18-cifar10",
        "14.1",
        "d2l.resnet18 (3 channels, CIFAR-10)",
        models.resnet18_cifar10,
        (256, 32, 32, 3),
        args={"num_classes": 10, "in_channels": 3},
        probe=NARROW,
        probe_inputs=(5, 16, 25, 3),
        optimizer=partial(optim.Adam, lr=0.001),
        data="cifar10",
        augment=Augment(Compose(RandomHorizontalFlip(), ToFloat()), ToFloat()),
        epochs=10,
    ),
    HotDogs(
        "resnet18-hotdog",
        title="torchvision resnet18 + fc(2) (hot dog fine-tuning)",
        optimizer=partial(
            optim.SGD,
            lr=5e-5,
            weight_decay=1e-3,
            groups={"fc.weight": {"lr": 5e-4}, "fc.bias": {"lr": 5e-4}},
        ),
    ),
    HotDogs(
        "resnet18-hotdog-scratch",
        title="ResNet-18 on hot dogs from scratch",
        optimizer=partial(optim.SGD, lr=5e-4, weight_decay=1e-3),
    ),
    supervised(
        "frozen-features",
        "14.2",
        "A head on frozen features",
        models.FrozenFeatures,
        (32, 28, 28, 3),
        probe=SMALL,
        probe_inputs=(5, 7, 9, 3),
        optimizer=partial(optim.SGD, lr=0.1, momentum=0.9),
        trains="fc.",
    ),
)

KAGGLE: tuple[Case, ...] = (
    Summed(
        "resnet18-kaggle-cifar10",
        "14.13",
        "d2l.resnet18 (Kaggle CIFAR-10)",
        models.resnet18,
        (32, 32, 32, 3),
        args={"num_classes": 10, "in_channels": 3},
        probe=NARROW,
        probe_inputs=(5, 16, 25, 3),
        optimizer=partial(
            optim.SGD, lr=optim.ByEpoch(partial(optim.StepLR, 2e-4, 4, 0.9)), momentum=0.9, weight_decay=5e-4
        ),
        data="cifar10_tiny",
        augment=Augment(
            Compose(
                Resize((40, 40)),
                RandomResizedCrop((32, 32), scale=(0.64, 1.0), ratio=(1.0, 1.0)),
                RandomHorizontalFlip(),
                ToFloat(),
                CIFAR,
            ),
            Compose(ToFloat(), CIFAR),
        ),
        epochs=20,
    ),
    DogBreeds("resnet34-dogs", title="ResNet-34 + MLP head (Kaggle dogs)"),
    DogBreeds(
        "resnet34-dogs-corrected",
        title="ResNet-34 + MLP head, in evaluation mode",
        args={"num_classes": 120, "corrected": True},
    ),
)
