"""The two pictures of style transfer: in a folder, else drawn (book, section 14.12)."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.drawn.scenes import scene
from d2l_jax.data.files import files_in, read_picture
from d2l_jax.errors import InputError

# The names that a user's pictures may have, and those of the book's.
CONTENT = ("content", "rainier")
STYLE = ("style", "autumn-oak")
SUFFIXES = (".jpg", ".jpeg", ".png")


class Photos(NamedTuple):
    """A content and a style, uint8 (height, width, 3) each, of any sizes; `source` says where they come from."""

    content: np.ndarray
    style: np.ndarray
    source: str

    def resized(self, size: tuple[int, int]) -> "Photos":
        """Returns both in one size (height, width), whatever their aspects, as the section resizes them."""
        from PIL import Image

        content, style = (
            np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR))
            for picture in (self.content, self.style)
        )
        return Photos(content, style, self.source)


def photos(folder: Path | str | None = None) -> Photos:
    """Reads the two pictures of a folder; of None, those of D2L_DATA or its `photos`, or draws two.

    A picture is called content or style, or as the book's: rainier.jpg and autumn-oak.jpg.

    Raises:
      InputError: the folder lacks one of them, or it is damaged.
    """
    if folder is not None:
        if not Path(folder).is_dir():
            raise InputError(f"{folder} is no folder; one with a content and a style picture is right")
        return _read(Path(folder))
    variable = os.environ.get("D2L_DATA")
    for spot in (Path(variable), Path(variable) / "photos") if variable else ():
        if spot.is_dir() and _named(spot, CONTENT) and _named(spot, STYLE):
            return _read(spot)
    return drawn_photos()


def drawn_photos() -> Photos:
    """Draws a scene as content, and coloured waves as style."""
    content, _ = scene(300, 450, np.random.default_rng(4))
    rows, columns = np.mgrid[:300, :450] / 9
    waves = [np.sin(rows + turn + 2 * np.sin(columns / 3)) * np.cos(columns + turn) for turn in (0, 1, 2)]
    style = np.rint(127.5 + 127.5 * np.stack(waves, -1)).astype(np.uint8)
    return Photos(content, style, "embedded default (drawn pictures)")


def _read(folder: Path) -> Photos:
    pictures = []
    for kind, names in (("content", CONTENT), ("style", STYLE)):
        name = _named(folder, names)
        if not name:
            raise InputError(f"{folder} holds no {kind} picture; {kind}.jpg or {names[1]}.jpg is needed")
        pictures.append((name, read_picture(files_in(folder), name)))
    (content_name, content), (style_name, style) = pictures
    return Photos(content, style, f"{content_name} and {style_name} of {folder}")


def _named(folder: Path, names: tuple[str, ...]) -> str:
    """Returns the first file that has one of the names; "" if there is none."""
    there = {path.name.lower(): path.name for path in folder.iterdir() if path.is_file()}
    return next((there[stem + end] for stem in names for end in SUFFIXES if stem + end in there), "")
