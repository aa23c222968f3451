"""The entrance to every data set: a name becomes a data set, and no name the default of its kind."""

import logging
from functools import partial
from pathlib import Path

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.embedded import BUILT_IN
from d2l_jax.data.find.kinds import EMBEDDED
from d2l_jax.data.find.lookup import look_up
from d2l_jax.data.find.names import spelled
from d2l_jax.data.find.readers import READERS, image_reader, raw_reader
from d2l_jax.data.find.segmented import SEGMENTED, load_segmentation
from d2l_jax.data.images.resize import resized
from d2l_jax.data.text.book_texts import BOOK_TEXTS
from d2l_jax.errors import InputError, one_of

KNOWN = (*READERS, *BUILT_IN, *SEGMENTED)
KINDS = {  # the book's data set of each
    "image": "fashion_mnist",
    "tabular": "houses",
    "text": "time_machine",
    "translation": "fra_eng",
    "boxes": "bananas",
    "reviews": "imdb",
    "inference": "snli",
    "masked": "wikitext2",
    "words": "ptb",
    "labelled_pairs": "snli_bert",
    "ratings": "ml100k",
    "item_rows": "ml100k_items",
    "ranking": "ml100k_ranking",
    "clicks": "ctr",
}

log = logging.getLogger(__name__)


def load(
    name: str | None = None,
    *,
    source: Path | str | None = None,
    resize: tuple[int, int] | None = None,
    download: bool = False,
    kind: str = "image",
    seed: int = 0,
) -> Dataset:
    """Loads a data set into memory from the first place that has it; the log says which place that was.

    The places are, in this order: `source`, and nothing else where it is not None; the folder in the
    environment variable D2L_DATA; the caches of torchvision, tensorflow-datasets, Debian and this project;
    a download, where `download` allows it; and, where `name` is None, the embedded default of `kind`.

    Args:
      name: one of `KNOWN`, in any spelling; None takes the book's data set of `kind` where it can be had
        without network, and for images with a `source` whatever that folder holds.
      source: a folder of idx files, csv files, the book's text files, pictures in folders of classes or beside
        their masks, or a prepared tfds folder, or a parent of such.
      resize: (height, width) for the images, of a segmentation that of its crops; None leaves them as they are.
        Training images of several sizes stay as they are in any case: a random crop makes them alike.
      download: fetch what no folder holds, with its hash checked.
      kind: `"image"`, `"tabular"`, `"text"`, `"translation"`, `"words"` or `"segmentation"`: that to load where
        `name` is None.
      seed: seed of the data that is drawn (synthetic, weight_decay, ohms_law, noisy_sine, drawn_airfoil, shapes,
        two_shapes, scenes, help_words), and of crops.

    Returns:
      The data set; `Dataset` gives the shapes and dtypes of each kind.

    Raises:
      InputError: the name or kind is unknown, no place has the data, or the data is damaged.
    """
    if kind not in (*KINDS, "segmentation"):
        raise one_of("kind of data", kind, [*KINDS, "segmentation"])
    name = None if name is None else canonical(name)
    if name in SEGMENTED or (name is None and kind == "segmentation"):
        data = load_segmentation(name, source, resize, download, seed)
        resize = None
    elif name in BUILT_IN:
        data = _built_in(name, source, seed)
    elif name is not None:
        data = look_up(name, READERS[name], source, download)
    else:
        data = _of_kind(kind, source, download)
    log.info("data %s: %s", data.name, data.source)
    return data if resize is None else resized(data, resize)


def load_raw(name: str, *, source: Path | str | None = None, download: bool = False) -> str:
    """Loads the whole text of time_machine (for `text_data`) or fra_eng (for `read_pairs`) from the places of `load`.

    Raises:
      InputError: the name is another one, no place has the text, or the text is damaged.
    """
    known = spelled(name, BOOK_TEXTS)
    if known is None:
        raise one_of("text", name, list(BOOK_TEXTS))
    return look_up(known, raw_reader(known), source, download)


def canonical(name: str) -> str:
    """The name in `KNOWN` for any spelling of it, e.g. `"fashion_mnist"` for `"FashionMNIST"`.

    Raises:
      InputError: the name is unknown; the message tells the nearest known ones.
    """
    known = spelled(name, KNOWN)
    if known is None:
        raise one_of("data set", name, list(KNOWN))
    return known


def _of_kind(kind: str, source: Path | str | None, download: bool) -> Dataset:
    name = KINDS[kind]
    any_images = kind == "image" and source is not None
    reader = image_reader(None) if any_images else READERS[name]
    return look_up(name, reader, source, download, partial(BUILT_IN[EMBEDDED[kind]], 0))


def _built_in(name: str, source: Path | str | None, seed: int) -> Dataset:
    if source is not None:
        raise InputError(f"{name} is built in and read from no folder; leave out {source} or the name")
    return BUILT_IN[name](seed)
