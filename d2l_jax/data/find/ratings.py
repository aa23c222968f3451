"""The data sets of ratings and clicks by name: MovieLens-100K and drawn ones, each in several forms."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.ratings.clicks import CLICKS, read_ctr, read_film_clicks
from d2l_jax.data.ratings.drawn import drawn_ratings
from d2l_jax.data.ratings.ml100k import read_ratings
from d2l_jax.data.ratings.rating_sets import RANKING, RATINGS, ROWS, item_rows, rankings, rating_set, sequences

FORMS: dict[str, tuple[str, Callable[..., Dataset]]] = {
    "": (RATINGS, rating_set),
    "_random": (RATINGS, partial(rating_set, random_split=True)),
    "_items": (ROWS, item_rows),
    "_ranking": (RANKING, rankings),
    "_ranking_corrected": (RANKING, partial(rankings, corrected=True)),
    "_sequences": (RANKING, sequences),
    "_sequences_corrected": (RANKING, partial(sequences, corrected=True)),
}
ML100K = tuple(f"ml100k{form}" for form in FORMS)
DRAWN_RATINGS = tuple(f"drawn_ratings{form}" for form in FORMS)
CLICK_SETS: dict[str, Callable[[Path], Dataset | None]] = {"ctr": read_ctr, "ml100k_clicks": read_film_clicks}
RATING_KINDS = {f"{start}{form}": kind for start in ("ml100k", "drawn_ratings") for form, (kind, _) in FORMS.items()}
RATING_KINDS |= dict.fromkeys([*CLICK_SETS, "drawn_clicks"], CLICKS)
RATING_STAND_INS = dict(zip(ML100K, DRAWN_RATINGS))


def read_ml100k(folder: Path, name: str) -> Dataset | None:
    """Reads one of `ML100K`; None, or an error, as `read_ratings`."""
    ratings = read_ratings(folder)
    return None if ratings is None else FORMS[name.removeprefix("ml100k")][1](ratings, name)


def drawn(seed: int = 0, name: str = "drawn_ratings") -> Dataset:
    """Returns one of `DRAWN_RATINGS`, which need no file."""
    return FORMS[name.removeprefix("drawn_ratings")][1](drawn_ratings(seed), name)
