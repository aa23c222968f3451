"""The embedded text: the help topics that ship with Python."""

import platform

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.corpus import text_data


def topics(steps: int = 32, num_train: int = 10000, num_val: int = 5000, token: str = "char") -> Dataset:
    """Python's help topics, a text of more than 300,000 characters, in windows for a language model.

    The text is not the same in every version of Python; `source` names the version. Shapes and errors are
    those of `text_data`.
    """
    from pydoc_data.topics import topics as topic_texts

    text = " ".join(topic_texts.values())
    source = f"embedded default (help topics of Python {platform.python_version()})"
    return text_data(text, steps, num_train, num_val, token, name="topics", source=source)
