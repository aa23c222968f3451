"""The data sets of words by name: the Penn Treebank in five forms, and Python's help topics in four."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.ptb import read_ptb
from d2l_jax.data.text.word_forms import bags, pairs, trees
from d2l_jax.data.text.word_sets import help_texts, skip_grams

PTB_SETS: dict[str, Callable[..., Dataset]] = {
    "ptb": skip_grams,
    "ptb_second_edition": partial(skip_grams, second_edition=True),
    "ptb_cbow": bags,
    "ptb_tree": trees,
    "ptb_glove": pairs,
}
HELP_SETS: dict[str, Callable[..., Dataset]] = {
    "help_words": skip_grams,
    "help_words_cbow": bags,
    "help_words_tree": trees,
    "help_words_glove": pairs,
}
STAND_INS = {
    "ptb_second_edition": "help_words",
    "ptb_cbow": "help_words_cbow",
    "ptb_tree": "help_words_tree",
    "ptb_glove": "help_words_glove",
}


def read_words(folder: Path, name: str) -> Dataset | None:
    """Reads one of `PTB_SETS`; None, or an error, as `read_ptb`."""
    texts = read_ptb(folder)
    return None if texts is None else PTB_SETS[name](texts, name)


def help_words(seed: int = 0, name: str = "help_words") -> Dataset:
    """Returns one of `HELP_SETS`, which need no file."""
    return HELP_SETS[name](help_texts(), name, seed)
