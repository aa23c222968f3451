"""The entrance to images with a class for each pixel."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.drawn.scenes import scenes
from d2l_jax.data.find.lookup import Reader, look_up
from d2l_jax.data.images.camvid import no_camvid, read_camvid
from d2l_jax.data.images.segmentation import Segmented
from d2l_jax.data.images.voc import no_voc, read_voc
from d2l_jax.errors import InputError


class Kit(NamedTuple):
    """Functions that read one set from a folder, and that make the error for a folder without it."""

    read: Callable[[Path], Segmented | None]
    missing: Callable[[Path], InputError]


KITS = {
    "voc2012": Kit(read_voc, no_voc),
    "voc2012_corrected": Kit(partial(read_voc, corrected=True), no_voc),
    "camvid": Kit(read_camvid, no_camvid),
}
SEGMENTED = (*KITS, "scenes")


def load_segmentation(
    name: str | None,
    source: Path | str | None = None,
    size: tuple[int, int] | None = None,
    download: bool = False,
    seed: int = 0,
) -> Dataset:
    """Loads one of `SEGMENTED` as random crops of `size` (height, width); see `d2l_jax.data.load`.

    Args:
      name: None takes whatever `source` holds; or Pascal VOC where it can be had, else the drawn scenes.
      size: None leaves the images whole.

    Raises:
      InputError: as `load`, or no image is as large as `size`.
    """
    if name == "scenes":
        return scenes(size or (96, 128), seed).cropped(size, seed)
    if name is not None:
        return look_up(name, _reader(name), source, download).cropped(size, seed)
    if source is not None:
        return look_up("segmentation", _any_reader(), source, download).cropped(size, seed)
    default = partial(scenes, size or (96, 128), seed)
    return look_up("voc2012", _reader("voc2012"), None, download, default).cropped(size, seed)


def _reader(name: str) -> Reader[Segmented]:
    kit = KITS[name]
    return Reader(lambda place: kit.read(place.folder), partial(_fetch, name), kit.missing)


def _any_reader() -> Reader[Segmented]:
    def read(folder: Path) -> Segmented | None:
        return read_voc(folder) or read_camvid(folder)

    return Reader(lambda place: read(place.folder), partial(_fetch, "segmentation"), _nothing)


def _nothing(folder: Path) -> InputError:
    return InputError(f"{folder} holds no images with masks; VOCdevkit/VOC2012 or a camvid*.zip is needed")


def _fetch(name: str) -> Path:
    raise InputError(f"{name} is not fetched by this program; unpack it by hand, and name the folder or set D2L_DATA")
