"""Which kind of data each known set is, and which embedded set stands in for it."""

EMBEDDED = {
    "image": "digits",
    "tabular": "diabetes",
    "text": "topics",
    "translation": "number_words",
    "segmentation": "scenes",
    "boxes": "drawn_bananas",
}
PHOTOS = {"cifar10": "shapes", "cifar10_tiny": "shapes", "hotdog": "two_shapes", "dogs": "shapes"}
STAND_INS = PHOTOS | {"airfoil": "drawn_airfoil"}
NOT_TABLES = {
    **dict.fromkeys([*PHOTOS, *PHOTOS.values()], "image"),
    "mnist": "image",
    "fashion_mnist": "image",
    "digits": "image",
    "time_machine": "text",
    "topics": "text",
    "fra_eng": "translation",
    "number_words": "translation",
    "voc2012": "segmentation",
    "voc2012_corrected": "segmentation",
    "camvid": "segmentation",
    "scenes": "segmentation",
    "photos": "pictures",
    "bananas": "boxes",
    "drawn_bananas": "boxes",
}


def kind_of(name: str) -> str:
    """Returns the kind of a known data set: "image", "tabular", "text", "translation", "segmentation" or "boxes"."""
    return NOT_TABLES.get(name, "tabular")


def stand_in(name: str) -> str:
    """Returns the embedded set that takes the place of a known one: drawn shapes for photographs in colour."""
    return STAND_INS.get(name) or EMBEDDED[kind_of(name)]
