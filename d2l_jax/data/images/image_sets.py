"""Names, labels, hashes and addresses of MNIST and Fashion-MNIST."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from d2l_jax.data.images.idx import read_bytes

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class ImageSet(NamedTuple):
    """A public data set of idx files.

    Attributes:
      folders: the usual names of its folder.
      classes: label names.
      mirrors: addresses of folders that serve `FILES`, in the order to try.
      sha256: hash of each of `FILES`, gunzipped: the name and time in a gzip header do not change it.
    """

    folders: tuple[str, ...]
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    sha256: tuple[str, ...]


IMAGE_SETS = {
    "fashion_mnist": ImageSet(
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST", "fashionmnist"),
        classes=(
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),  # fmt: skip
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "mnist": ImageSet(
        folders=("mnist", "MNIST"),
        classes=tuple("0123456789"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
}


def identify(folder: Path, files: dict[str, Path]) -> str | None:
    """The name of the set in a folder of idx files, by its test labels and else by the folder's name; None if unknown.

    MNIST and Fashion-MNIST name their files alike, so that only the content tells them apart.
    """
    if "t10k-labels" in files:
        digest = hashlib.sha256(read_bytes(files["t10k-labels"])).hexdigest()
        for name, known in IMAGE_SETS.items():
            if digest == known.sha256[3]:
                return name
    here = folder.parent.name if folder.name == "raw" else folder.name
    return next((name for name, known in IMAGE_SETS.items() if here in known.folders), None)
