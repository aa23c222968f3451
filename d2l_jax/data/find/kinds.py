"""Which kind of data each known set is, and which embedded set stands in for it."""

EMBEDDED = {"image": "digits", "tabular": "diabetes", "text": "topics", "translation": "number_words"}
NOT_TABLES = {
    "mnist": "image",
    "fashion_mnist": "image",
    "digits": "image",
    "time_machine": "text",
    "topics": "text",
    "fra_eng": "translation",
    "number_words": "translation",
}


def kind_of(name: str) -> str:
    """Returns the kind of a known data set: "image", "tabular", "text" or "translation"."""
    return NOT_TABLES.get(name, "tabular")
