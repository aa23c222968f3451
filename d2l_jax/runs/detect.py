"""Objects in a picture, by a trained detector: `python -m d2l_jax.runs.detect RUN PICTURE [OUT.png]`."""

import sys
from pathlib import Path

import numpy as np

from d2l_jax.data.images.files import Files, read_picture
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from d2l_jax.runs.boxes import THRESHOLD, Sighting, sightings
from d2l_jax.runs.load import load, settings_of
from d2l_jax.runs.texts import Trained

BOOK_SIZE = (256, 256)


def detect(run: Path, picture: Path, out: Path | None = None) -> list[Sighting]:
    """Returns the objects in a picture, which is resized to the size of the run's; `out` is it with boxes drawn.

    Raises InputError where there is no run, or no whole picture.
    """
    from PIL import Image, ImageDraw

    size = settings_of(run).get("resize") or BOOK_SIZE
    alone = Files(picture.parent, (picture.name,), lambda name: picture.read_bytes())
    image = Image.fromarray(read_picture(alone, picture.name))
    pixels = np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32)
    model = load(run)
    _, params, buffers = functional(model)
    (objects,) = sightings(Trained(model, params, buffers), pixels[None])
    if out:
        draw = ImageDraw.Draw(image)
        for each in objects:
            draw.rectangle(in_pixels(each, image.size), outline=(31, 95, 168), width=2)
        image.save(out)
    return objects


def in_pixels(sighting: Sighting, size: tuple[int, int]) -> tuple[int, ...]:
    """Returns left, top, right and bottom in a picture of `size`, (width, height)."""
    return tuple(round(side * length) for side, length in zip(sighting.box, (*size, *size)))


def main(arguments: list[str]) -> None:
    """Prints a line for each object; status 2 and one line where the call was wrong."""
    from PIL import Image

    try:
        if len(arguments) not in (2, 3):
            raise InputError("two or three arguments are right: RUN PICTURE [OUT.png]")
        run, picture, *out = map(Path, arguments)
        objects = detect(run, picture, *out)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    with Image.open(picture) as image:
        for each in objects:
            print(f"class {each.label}  confidence {each.confidence:.3f}  box", *in_pixels(each, image.size))
    print(f"{len(objects)} objects of a confidence of {THRESHOLD} or more in {picture}")


if __name__ == "__main__":
    main(sys.argv[1:])
