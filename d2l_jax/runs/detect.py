"""Objects in a picture, by a trained detector: `python -m d2l_jax.runs.detect RUN PICTURE [OUT.png]`."""

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from d2l_jax.command_line import Arguments
from d2l_jax.data.files import Files, read_picture
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from d2l_jax.models import TinySSD
from d2l_jax.runs.boxes import THRESHOLD, Sighting, sightings
from d2l_jax.runs.load import case_of, load, settings_of
from d2l_jax.runs.texts import Trained
from d2l_jax.write import replacing

BOOK_SIZE = (256, 256)
Picture = UInt8[np.ndarray, "height width 3"]


def opened(path: Path) -> Picture:
    """Returns the picture in a file. Raises InputError where there is none, or no whole one."""
    return read_picture(Files(path.parent, (path.name,), lambda name: path.read_bytes()), path.name)


def detect(run: Path, picture: Picture, confidence: float = THRESHOLD) -> list[Sighting]:
    """Returns the objects in a picture of at least that confidence, the most certain first.

    The picture is resized to the size of the run's pictures.

    Raises InputError where there is no run of a detector.
    """
    from PIL import Image

    case = case_of(run)
    if case.model is not TinySSD:
        raise InputError(f"{run} is a run of {case.name}, which sees no boxes; one of tiny-ssd is right")
    height, width = settings_of(run).get("resize") or BOOK_SIZE
    small = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    model = load(run)
    _, params, buffers = functional(model)
    (objects,) = sightings(Trained(model, params, buffers), np.asarray(small, np.float32)[None], confidence)
    return objects


def draw(picture: Picture, objects: list[Sighting], out: Path) -> None:
    """Writes the picture with the boxes of its objects, in the format of the suffix of `out`."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for each in objects:
        pen.rectangle(in_pixels(each, picture), outline=(31, 95, 168), width=2)
    kind = Image.registered_extensions().get(out.suffix.lower())
    if kind not in Image.SAVE:
        raise InputError(f"{out} has the suffix of no picture; .png or .jpg is right")
    with replacing(out) as part:
        image.save(part, format=kind)


def in_pixels(sighting: Sighting, picture: Picture) -> tuple[int, ...]:
    """Returns left, top, right and bottom of an object in the pixels of its picture."""
    height, width, _ = picture.shape
    return tuple(round(side * length) for side, length in zip(sighting.box, (width, height, width, height)))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Arguments("python -m d2l_jax.runs.detect", description="Objects in a picture, by a trained detector.")
    parser.epilog = "example: python -m d2l_jax.runs.detect runs/tiny-ssd photo.png found.png --confidence 0.5"
    parser.add_argument("run", type=Path, help="folder of a run of tiny-ssd")
    parser.add_argument("picture", type=Path)
    parser.add_argument("out", type=Path, nargs="?", help="where to draw the picture with its boxes")
    parser.add_argument("--confidence", type=float, default=THRESHOLD, help="least one, in [0, 1] (%(default)s)")
    options = parser.parse_args(arguments)
    if not 0 <= options.confidence <= 1:
        raise InputError(f"--confidence {options.confidence} is no probability; a number from 0 to 1 is right")
    return options


def main(arguments: list[str]) -> None:
    """Prints a line for each object; status 2 and one line where the call was wrong."""
    try:
        options = _options(arguments)
        path, least = options.picture, options.confidence
        picture = opened(path)
        objects = detect(options.run, picture, least)
        if options.out:
            draw(picture, objects, options.out)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for each in objects:
        print(f"class {each.label}  confidence {each.confidence:.3f}  box", *in_pixels(each, picture))
    print(f"{len(objects)} objects of a confidence of {least} or more in {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
