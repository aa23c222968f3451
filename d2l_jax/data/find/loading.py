"""The entrance to every data set: a name becomes a data set, and no name the default of its kind."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.drawn.bananas import bananas
from d2l_jax.data.drawn.sequence import noisy_sine
from d2l_jax.data.drawn.shapes import shapes
from d2l_jax.data.drawn.synthetic import ohms_law, synthetic_regression, weight_decay_data
from d2l_jax.data.find.lookup import Reader, look_up
from d2l_jax.data.find.names import spelled
from d2l_jax.data.find.places import Place
from d2l_jax.data.find.ratings import CLICK_SETS, DRAWN_RATINGS, ML100K, drawn, read_ml100k
from d2l_jax.data.find.segmented import SEGMENTED, load_segmentation
from d2l_jax.data.find.words import HELP_SETS, PTB_SETS, help_words, read_words
from d2l_jax.data.images.banana_set import fetch_bananas, no_bananas, read_bananas
from d2l_jax.data.images.digits import digits
from d2l_jax.data.images.folder import fetch_images, nothing_in, read_images
from d2l_jax.data.images.image_sets import IMAGE_SETS
from d2l_jax.data.images.photo_sets import PHOTO_SETS, fetch_photos, no_photos, read_labelled, read_photos
from d2l_jax.data.images.resize import resize_images
from d2l_jax.data.ratings.clicks import drawn_clicks, fetch_ctr, no_ctr
from d2l_jax.data.ratings.ml100k import fetch_ml100k, no_ml100k
from d2l_jax.data.tables.airfoil import drawn_airfoil, fetch_airfoil, no_airfoil, read_airfoil
from d2l_jax.data.tables.diabetes import diabetes
from d2l_jax.data.tables.houses import fetch_houses, no_houses, read_houses
from d2l_jax.data.text.bert_pairs import for_bert
from d2l_jax.data.text.book_texts import BOOK_TEXTS, fetch_book_text, no_book_text, read_book_text, read_raw
from d2l_jax.data.text.drawn_sentences import drawn_pairs, drawn_reviews
from d2l_jax.data.text.number_words import number_words
from d2l_jax.data.text.pretraining import WIKITEXT, fetch_wikitext, no_wikitext, read_wikitext, topic_pairs
from d2l_jax.data.text.ptb import fetch_ptb, no_ptb
from d2l_jax.data.text.reviews import IMDB, fetch_imdb, no_imdb, read_imdb
from d2l_jax.data.text.snli import SNLI, fetch_snli, no_snli, read_snli
from d2l_jax.data.text.topics import topics
from d2l_jax.errors import InputError, one_of

BUILT_IN: dict[str, Callable[[int], Dataset]] = {
    "digits": lambda seed: digits(),
    "diabetes": lambda seed: diabetes(),
    "topics": lambda seed: topics(),
    "number_words": lambda seed: number_words(),
    "drawn_reviews": lambda seed: drawn_reviews(seed=seed),
    "drawn_reviews_corrected": lambda seed: drawn_reviews(seed=seed, corrected=True),
    "drawn_pairs": lambda seed: drawn_pairs(seed=seed),
    "drawn_pairs_corrected": lambda seed: drawn_pairs(seed=seed, corrected=True),
    "drawn_pairs_bert": lambda seed: for_bert(drawn_pairs(seed=seed, corrected=True), "drawn_pairs_bert", 24),
    "topic_pairs": lambda seed: topic_pairs(),
    "topic_pairs_dynamic": lambda seed: topic_pairs(dynamic=True),
    "synthetic": lambda seed: synthetic_regression([2, -3.4], 4.2, seed=seed),
    "weight_decay": lambda seed: weight_decay_data(seed=seed),
    "ohms_law": lambda seed: ohms_law(seed=seed),
    "noisy_sine": lambda seed: noisy_sine(seed=seed),
    "drawn_airfoil": lambda seed: drawn_airfoil(seed),
    "shapes": lambda seed: shapes(seed=seed),
    "two_shapes": lambda seed: shapes(2, 240, 80, seed=seed),
    "drawn_bananas": lambda seed: bananas(seed=seed),
    **{name: partial(help_words, name=name) for name in HELP_SETS},
    "drawn_clicks": drawn_clicks,
    **{name: partial(drawn, name=name) for name in DRAWN_RATINGS},
}
TEXTS = (*BOOK_TEXTS, *IMDB, *SNLI, "snli_bert", *WIKITEXT, *PTB_SETS)
KNOWN = (*IMAGE_SETS, *PHOTO_SETS, "bananas", "houses", "airfoil", *TEXTS, *ML100K, *CLICK_SETS, *BUILT_IN, *SEGMENTED)
KINDS = {
    "image": ("fashion_mnist", digits),
    "tabular": ("houses", diabetes),
    "text": ("time_machine", topics),
    "translation": ("fra_eng", number_words),
    "boxes": ("bananas", bananas),
    "reviews": ("imdb", drawn_reviews),
    "inference": ("snli", drawn_pairs),
    "masked": ("wikitext2", topic_pairs),
    "words": ("ptb", help_words),
    "labelled_pairs": ("snli_bert", partial(BUILT_IN["drawn_pairs_bert"], 0)),
    "ratings": ("ml100k", drawn),
    "item_rows": ("ml100k_items", partial(drawn, 0, "drawn_ratings_items")),
    "ranking": ("ml100k_ranking", partial(drawn, 0, "drawn_ratings_ranking")),
    "clicks": ("ctr", drawn_clicks),
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
        if source is not None:
            raise InputError(f"{name} is built in and read from no folder; leave out {source} or the name")
        data = BUILT_IN[name](seed)
    elif name is not None:
        data = look_up(name, _reader(name), source, download)
    else:
        data = _of_kind(kind, source, download)
    log.info("data %s: %s", data.name, data.source)
    return data if resize is None else _resized(data, resize)


def load_raw(name: str, *, source: Path | str | None = None, download: bool = False) -> str:
    """Loads the whole text of time_machine (for `text_data`) or fra_eng (for `read_pairs`) from the places of `load`.

    Raises:
      InputError: the name is another one, no place has the text, or the text is damaged.
    """
    known = spelled(name, BOOK_TEXTS)
    if known is None:
        raise one_of("text", name, list(BOOK_TEXTS))
    reader = Reader(
        read=lambda place: read_raw(place.folder, known),
        fetch=partial(fetch_book_text, known),
        missing=partial(no_book_text, name=known),
    )
    return look_up(known, reader, source, download)


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
    name, default = KINDS[kind]
    any_images = kind == "image" and source is not None
    reader = _image_reader(None) if any_images else _reader(name)
    return look_up(name, reader, source, download, default)


def _reader(name: str) -> Reader[Dataset]:
    if name in IMAGE_SETS:
        return _image_reader(name)
    if name in PHOTO_SETS:
        return Reader(
            read=lambda place: read_photos(place.folder, name),
            fetch=partial(fetch_photos, name),
            missing=partial(no_photos, name=name),
        )
    if name == "bananas":
        return Reader(lambda place: read_bananas(place.folder), fetch_bananas, no_bananas)
    if name in PTB_SETS:
        return Reader(lambda place: read_words(place.folder, name), fetch_ptb, no_ptb)
    if name in CLICK_SETS:
        fetch, missing = (fetch_ctr, no_ctr) if name == "ctr" else (fetch_ml100k, no_ml100k)
        return Reader(lambda place: CLICK_SETS[name](place.folder), fetch, missing)
    if name in ML100K:
        return Reader(lambda place: read_ml100k(place.folder, name), fetch_ml100k, no_ml100k)
    if name == "houses":
        return Reader(lambda place: read_houses(place.folder), fetch_houses, no_houses)
    if name == "airfoil":
        return Reader(lambda place: read_airfoil(place.folder), fetch_airfoil, no_airfoil)
    if name in IMDB:
        return Reader(lambda place: read_imdb(place.folder, name), fetch_imdb, no_imdb)
    if name in SNLI:
        return Reader(lambda place: read_snli(place.folder, name), fetch_snli, no_snli)
    if name == "snli_bert":
        return Reader(lambda place: _snli_bert(place.folder), fetch_snli, no_snli)
    if name in WIKITEXT:
        return Reader(lambda place: read_wikitext(place.folder, name), fetch_wikitext, no_wikitext)
    return Reader(
        read=lambda place: read_book_text(place.folder, name),
        fetch=partial(fetch_book_text, name),
        missing=partial(no_book_text, name=name),
    )


def _snli_bert(folder: Path) -> Dataset | None:
    data = read_snli(folder, "snli_corrected")
    return None if data is None else for_bert(data, "snli_bert")


def _image_reader(name: str | None) -> Reader[Dataset]:
    """The reader of an image set; for None, of whatever images a folder holds."""
    return Reader(
        read=lambda place: read_images(place.folder, name, itself=place.named) or _any_pictures(place, name),
        fetch=partial(fetch_images, name or "fashion_mnist"),
        missing=partial(nothing_in, name=name),
    )


def _any_pictures(place: Place, name: str | None) -> Dataset | None:
    """The pictures with classes of a folder that the user named without saying what it holds."""
    return read_labelled(place.folder, place.folder.absolute().name) if name is None and place.named else None


def _resized(data: Dataset, size: tuple[int, int]) -> Dataset:
    if data.kind not in ("image", "boxes"):
        raise InputError(f"{data.name} holds no images to resize; leave out the size")
    redraw = data.redraw
    return replace(
        data,
        train=data.train if data.sizes is not None else _of_size(data.train, size),
        test=_of_size(data.test, size),
        redraw=None if redraw is None else lambda epoch: _of_size(redraw(epoch), size),
    )


def _of_size(split: Split, size: tuple[int, int]) -> Split:
    X, y = split
    return _resized_images(X, size), y


def _resized_images(X: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns images in another size, of the dtype that they have; numbers are whole, from 0 to 255."""
    return resize_images(X.astype(np.uint8), size).astype(X.dtype)
