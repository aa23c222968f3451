"""How each data set that lies in files is read, downloaded and missed."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.lookup import Reader
from d2l_jax.data.find.places import Place
from d2l_jax.data.find.ratings import CLICK_SETS, ML100K, read_ml100k
from d2l_jax.data.find.words import PTB_SETS, read_words
from d2l_jax.data.images.banana_set import fetch_bananas, no_bananas, read_bananas
from d2l_jax.data.images.folder import fetch_images, nothing_in, read_images
from d2l_jax.data.images.image_sets import IMAGE_SETS
from d2l_jax.data.images.photo_sets import PHOTO_SETS, fetch_photos, no_photos, read_labelled, read_photos
from d2l_jax.data.ratings.clicks import fetch_ctr, no_ctr
from d2l_jax.data.ratings.ml100k import fetch_ml100k, no_ml100k
from d2l_jax.data.tables.airfoil import fetch_airfoil, no_airfoil, read_airfoil
from d2l_jax.data.tables.houses import fetch_houses, no_houses, read_houses
from d2l_jax.data.text.bert_pairs import for_bert
from d2l_jax.data.text.book_texts import BOOK_TEXTS, fetch_book_text, no_book_text, read_book_text, read_raw
from d2l_jax.data.text.pretraining import WIKITEXT, fetch_wikitext, no_wikitext, read_wikitext
from d2l_jax.data.text.ptb import fetch_ptb, no_ptb
from d2l_jax.data.text.reviews import IMDB, fetch_imdb, no_imdb, read_imdb
from d2l_jax.data.text.snli import SNLI, fetch_snli, no_snli, read_snli
from d2l_jax.errors import InputError

Fetch = Callable[[], Path]
Missing = Callable[[Path], InputError]


def image_reader(name: str | None) -> Reader[Dataset]:
    """Returns the reader of an image set; for None, of whatever images a folder holds."""
    return Reader(
        read=lambda place: read_images(place.folder, name, itself=place.named) or _any_pictures(place, name),
        fetch=partial(fetch_images, name or "fashion_mnist"),
        missing=partial(nothing_in, name=name),
    )


def raw_reader(name: str) -> Reader[str]:
    """Returns the reader of a whole text."""
    return Reader(
        read=lambda place: read_raw(place.folder, name),
        fetch=partial(fetch_book_text, name),
        missing=partial(no_book_text, name=name),
    )


def _any_pictures(place: Place, name: str | None) -> Dataset | None:
    """The pictures with classes of a folder that the user named without saying what it holds, or the book's in it."""
    if name is not None or not place.named:
        return None
    known = (read_photos(place.folder, each) for each in PHOTO_SETS)
    return read_labelled(place.folder, place.folder.absolute().name) or next(filter(None, known), None)


def _one(read: Callable[[Path], Dataset | None], fetch: Fetch, missing: Missing) -> Reader[Dataset]:
    return Reader(lambda place: read(place.folder), fetch, missing)


def _forms(
    names: Iterable[str], read: Callable[[Path, str], Dataset | None], fetch: Fetch, missing: Missing
) -> dict[str, Reader[Dataset]]:
    """The readers of several forms of one set, which come from the same files."""
    return {name: _one(lambda folder, name=name: read(folder, name), fetch, missing) for name in names}


def _photos(name: str) -> Reader[Dataset]:
    return _one(lambda folder: read_photos(folder, name), partial(fetch_photos, name), partial(no_photos, name=name))


def _book_text(name: str) -> Reader[Dataset]:
    read = partial(read_book_text, name=name)
    return _one(read, partial(fetch_book_text, name), partial(no_book_text, name=name))


def _snli_bert(folder: Path) -> Dataset | None:
    data = read_snli(folder, "snli_corrected")
    return None if data is None else for_bert(data, "snli_bert")


def _clicks(name: str) -> Reader[Dataset]:
    fetch, missing = (fetch_ctr, no_ctr) if name == "ctr" else (fetch_ml100k, no_ml100k)
    return _one(CLICK_SETS[name], fetch, missing)


READERS: dict[str, Reader[Dataset]] = {
    **{name: image_reader(name) for name in IMAGE_SETS},
    **{name: _photos(name) for name in PHOTO_SETS},
    "bananas": _one(read_bananas, fetch_bananas, no_bananas),
    "houses": _one(read_houses, fetch_houses, no_houses),
    "airfoil": _one(read_airfoil, fetch_airfoil, no_airfoil),
    **{name: _book_text(name) for name in BOOK_TEXTS},
    **_forms(IMDB, read_imdb, fetch_imdb, no_imdb),
    **_forms(SNLI, read_snli, fetch_snli, no_snli),
    "snli_bert": _one(_snli_bert, fetch_snli, no_snli),
    **_forms(WIKITEXT, read_wikitext, fetch_wikitext, no_wikitext),
    **_forms(PTB_SETS, read_words, fetch_ptb, no_ptb),
    **_forms(ML100K, read_ml100k, fetch_ml100k, no_ml100k),
    **{name: _clicks(name) for name in CLICK_SETS},
}
