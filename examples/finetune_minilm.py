"""Fine-tune MiniLM, a published BERT, on SNLI or IMDb, and beside it the PyTorch twin (section 16.7).

With the packages of `sentence_embeddings.py`, and PyTorch; in `$D2L_DATA/snli` lie SNLI's `snli_1.0_dev.txt` and
`snli_1.0_test.txt`, in `$D2L_DATA/imdb` an `aclImdb` folder or archive. Both start from the same weights and take the
same batches, dropout is drawn by each; tested on texts that neither has seen.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax import keep_memory, optim
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.command_line import Arguments, ending_in_one_line
from d2l_jax.data import Dataset
from d2l_jax.data.text import reviews, snli
from d2l_jax.data.text.word_pieces import Text, WordPieces
from d2l_jax.runs.comparison import compare
from d2l_jax.runs.progress import Terminal
from d2l_jax.runs.run import Job, train
from d2l_jax.weights.hugging_face import published_args, published_folder, published_tensors, put_published
from d2l_jax.weights.state_dict import state_dict

BATCH = 32
Example = tuple[Text, int]


class Source(NamedTuple):
    """Texts with their labels: how they are read, their classes and kind, and the tokens that a text is cut to."""

    read: Callable[[Path], list[list[Example]]]
    classes: tuple[str, ...]
    kind: str
    steps: int


def pairs(folder: Path) -> list[list[Example]]:
    splits = snli.read_pairs_of(folder / "snli")
    return [[((each.premise, each.hypothesis), each.label) for each in splits[part]] for part in ("dev", "test")]


def films(folder: Path) -> list[list[Example]]:
    found = sorted((folder / "imdb").glob("aclImdb*"))
    if not found:
        raise reviews.no_imdb(folder / "imdb")
    return [[(each.text, each.label) for each in part] for part in reviews.read_reviews(found[0])]


SOURCES = {
    "snli": Source(pairs, snli.LABELS, snli.KIND, 64),
    "imdb": Source(films, reviews.CLASSES, reviews.KIND, 128),
}


def data_of(name: str, count: int, pieces: WordPieces) -> Dataset:
    """Returns `count` drawn texts to train on and half as many to test on: X = (tokens, segments, lengths), y int32."""
    source = SOURCES[name]
    splits = []
    folder = Path(os.environ.get("D2L_DATA", "."))
    for examples, most in zip(source.read(folder), (count, max(BATCH, count // 2))):
        rows = np.random.default_rng(0).permutation(len(examples))[:most]
        texts, labels = zip(*(examples[row] for row in rows))
        X = pieces.encode(texts, source.steps, source.steps, cut=True)
        splits.append((tuple(X), np.array(labels, np.int32)))
    train_split, test_split = splits
    return Dataset(name, train_split, test_split, f"drawn from {name} in {folder}", source.classes, form=source.kind)


def case_of(data: Dataset, folder: Path, epochs: int) -> Case:
    """Returns a classifier that starts as the published BERT, with a new last layer."""
    case = replace(get("snli-bert").of_batch_size(BATCH), name=f"minilm-{data.name}", data=data.name, epochs=epochs)
    case = replace(case, args=published_args(folder) | {"num_classes": len(data.classes)})
    starts = state_dict(put_published(case.build(), published_tensors(folder)))
    return replace(case, starts=starts).with_turn(optimizer=partial(optim.Adam, lr=5e-5))


def main(name: str, count: int, epochs: int, out: Path) -> None:
    keep_memory()
    folder = published_folder()
    data = data_of(name, count, WordPieces(folder))
    case = case_of(data, folder, epochs)
    runs = {framework: out / f"{case.name}-{framework}" for framework in ("jax", "torch")}
    for framework, run in runs.items():
        with Terminal() as terminal:
            train(Job(case, data, run, framework=framework), terminal)
    compare(list(runs.values()), out / f"{case.name}.png")


if __name__ == "__main__":
    parser = Arguments(description=__doc__)
    parser.add_argument(
        "name", metavar="DATA", nargs="?", choices=SOURCES, default="snli", help="snli, if none, or imdb"
    )
    parser.add_argument("count", metavar="EXAMPLES", nargs="?", type=int, default=256, help="to train on; 256 if none")
    parser.add_argument("epochs", metavar="EPOCHS", nargs="?", type=int, default=1, help="1 if none")
    parser.add_argument("out", metavar="FOLDER", nargs="?", type=Path, help="for the runs and a picture of both")
    with ending_in_one_line(), tempfile.TemporaryDirectory() as scratch:
        given = parser.parse_args()
        main(given.name, given.count, given.epochs, given.out or Path(scratch))
