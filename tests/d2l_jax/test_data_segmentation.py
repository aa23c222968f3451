"""Images with masks: Pascal VOC, CamVid and drawn scenes, their colours, crops, and what is refused (section 14.9)."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d2l_jax.data import load
from d2l_jax.data.drawn.scenes import scenes
from d2l_jax.data.images.camvid import read_camvid
from d2l_jax.data.images.palette import (
    IGNORED,
    NO_CLASS,
    VOC_BORDER,
    class_indices,
    color_lookup,
    colored,
    voc_palette,
)
from d2l_jax.data.images.picture import denormalised, normalised
from d2l_jax.data.images.segmentation import random_crop
from d2l_jax.data.images.voc import CLASSES, read_voc
from d2l_jax.errors import InputError

RANDOM = np.random.default_rng(0)


def write_voc(folder: Path, sizes: dict[str, tuple[int, int]], border: tuple = VOC_BORDER) -> Path:
    """Writes a development kit with images of these (height, width), the first of which is held out."""
    kit = folder / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (kit / part).mkdir(parents=True)
    for name, (height, width) in sizes.items():
        image = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
        mask = np.zeros((height, width, 3), np.uint8)
        mask[1:4, 2:6] = voc_palette()[15]
        mask[0, 0] = border
        Image.fromarray(image).save(kit / "JPEGImages" / f"{name}.jpg")
        Image.fromarray(mask).save(kit / "SegmentationClass" / f"{name}.png")
    held_out, *trained = sizes
    (kit / "ImageSets/Segmentation/val.txt").write_text(f"{held_out}\n")
    (kit / "ImageSets/Segmentation/train.txt").write_text("".join(f"{name}\n" for name in trained))
    return kit


def write_camvid(path: Path, without: str = "", highest: int = 11) -> Path:
    labels = (np.arange(8 * 9).reshape(8, 9) % (highest + 1)).astype(np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for split in ("train", "val"):
            for name, array in ((f"{split}/a.jpg", np.zeros((8, 9, 3), np.uint8)), (f"{split}annot/a.png", labels)):
                if name != without:
                    with archive.open(f"camvid/{name}", "w") as file:
                        Image.fromarray(array).save(file, "PNG")
    return path


def test_the_palette_is_vocs():
    palette = voc_palette()
    assert palette.shape == (len(CLASSES), 3) == (21, 3)
    assert [tuple(map(int, palette[i])) for i in (0, 1, 2, 3, 8, 15, 20)] == [
        *((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (64, 0, 0), (192, 128, 128), (0, 64, 128))
    ]


def test_every_colour_has_a_class_and_unknown_ones_are_background():
    lookup = color_lookup(voc_palette())
    assert lookup.shape == (256**3,)
    labels = RANDOM.integers(0, 21, (5, 6))
    mask = colored(labels, voc_palette())
    np.testing.assert_array_equal(class_indices(mask, lookup), labels)
    mask[0, :2] = VOC_BORDER, (1, 2, 3)
    assert class_indices(mask, lookup)[0, :2].tolist() == [0, 0]


def test_corrected_borders_do_not_count_and_other_colours_are_refused():
    lookup = color_lookup(voc_palette(), NO_CLASS, {VOC_BORDER: IGNORED})
    mask = colored(np.full((4, 5), 3), voc_palette())
    mask[0, 0] = VOC_BORDER
    assert class_indices(mask, lookup)[0].tolist() == [IGNORED, 3, 3, 3, 3]
    mask[2, 1] = (1, 2, 3)
    with pytest.raises(InputError, match=r"m.png has the colour \(1, 2, 3\) at row 2, column 1, .* 1 of its 20 pixels"):
        class_indices(mask, lookup, "m.png")


def test_normalisation_and_back():
    image = RANDOM.integers(0, 256, (4, 5, 3), np.uint8)
    numbers = normalised(image)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers[0, 0, 0], (image[0, 0, 0] / 255 - 0.485) / 0.229, rtol=1e-5)
    np.testing.assert_array_equal(denormalised(numbers), image)


def test_a_crop_cuts_image_and_labels_alike():
    image = RANDOM.integers(0, 256, (20, 30, 3), np.uint8)
    places = set()
    for _ in range(200):
        cut, labels = random_crop(image, image[..., 0], (18, 27), RANDOM)
        assert cut.shape == (18, 27, 3)
        np.testing.assert_array_equal(cut[..., 0], labels)
        places |= {(i, j) for i in range(3) for j in range(4) if np.array_equal(image[i : i + 18, j : j + 27], cut)}
    assert len(places) == 12


def test_vocs_kit_and_its_small_images(tmp_path: Path):
    write_voc(tmp_path, {"a": (20, 32), "b": (21, 30), "c": (20, 30), "d": (12, 40)})
    data = load("voc2012", source=tmp_path, resize=(16, 24))
    assert data.kind == "segmentation" and data.classes == CLASSES
    assert data.train[0].shape == (2, 16, 24, 3) and data.test[1].shape == (1, 16, 24)
    assert data.train[0].dtype == np.float32 and data.train[1].dtype == np.int32
    assert set(np.unique(data.train[1])) <= {0, 15}
    whole = load("voc2012_corrected", source=tmp_path, resize=(20, 30))
    assert (whole.train[1] == IGNORED).sum() >= 1


def test_each_epoch_has_crops_of_its_own_and_the_same_again(tmp_path: Path):
    write_voc(tmp_path, {"a": (40, 60), "b": (40, 60), "c": (50, 60)})
    data = load("voc2012", source=tmp_path, resize=(16, 24))
    first = data.of_epoch(1)
    second = data.of_epoch(2)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], load("voc2012", source=tmp_path, resize=(16, 24)).of_epoch(1)[0])
    other = load("voc2012", source=tmp_path, resize=(16, 24), seed=1)
    assert not np.array_equal(first[0], other.of_epoch(1)[0])


def test_camvid_in_its_zip(tmp_path: Path):
    write_camvid(tmp_path / "camvid_subset.zip")
    data = load("camvid", source=tmp_path)
    assert data.train[1].shape == (1, 8, 9) and len(data.classes) == len(data.palette) == 11
    assert data.train[1][0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert data.train[1][0, 1].tolist()[:3] == [9, 10, IGNORED]


def test_a_folder_of_the_users_may_hold_either(tmp_path: Path):
    write_camvid(tmp_path / "camvid_subset.zip")
    assert load(source=tmp_path, kind="segmentation").name == "camvid"
    with pytest.raises(InputError, match="holds no images with masks"):
        load(source=tmp_path / "..", kind="segmentation")


def test_drawn_scenes_are_always_the_same():
    data = load("scenes", resize=(32, 48))
    assert data.train[0].shape == (96, 32, 48, 3) and data.test[0].shape == (24, 32, 48, 3)
    assert set(np.unique(data.train[1])) == set(range(5)) and len(data.classes) == 5
    again = scenes((32, 48)).cropped((32, 48))
    np.testing.assert_array_equal(data.train[0], again.train[0])
    assert 0.4 < (data.train[1] == 0).mean() < 0.9


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda kit: (kit / "JPEGImages/b.jpg").unlink(), "JPEGImages/b.jpg is no whole picture .*No such file"),
        (lambda kit: cut(kit / "JPEGImages/b.jpg"), "JPEGImages/b.jpg is no whole picture .*[Tt]runcated"),
        (lambda kit: cut(kit / "SegmentationClass/b.png"), "SegmentationClass/b.png is no whole picture"),
        (lambda kit: (kit / "JPEGImages/b.jpg").write_bytes(b"none"), "b.jpg is no whole picture .*no format"),
        (lambda kit: smaller(kit / "SegmentationClass/b.png"), "the mask of b is 9x9 pixels, its image 21x30"),
        (lambda kit: (kit / "ImageSets/Segmentation/train.txt").unlink(), "cannot read .*train.txt"),
        (lambda kit: (kit / "ImageSets/Segmentation/train.txt").write_text(""), "train.txt names no image"),
    ],
)
def test_damaged_kits_are_refused_in_a_line(tmp_path: Path, damage, words):
    damage(write_voc(tmp_path, {"a": (20, 32), "b": (21, 30)}))
    with pytest.raises(InputError, match=words):
        read_voc(tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def smaller(path: Path) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(path)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_colour_in_no_palette_is_refused(tmp_path: Path, corrected: bool):
    write_voc(tmp_path, {"a": (20, 32), "b": (21, 30)}, border=(9, 9, 9))
    with pytest.raises(InputError, match=r"b.png has the colour \(9, 9, 9\) at row 0, column 0"):
        read_voc(tmp_path, corrected)


@pytest.mark.parametrize("corrected, label", [(False, 0), (True, IGNORED)])
def test_borders_of_objects_are_background_or_do_not_count(tmp_path: Path, corrected: bool, label: int):
    write_voc(tmp_path, {"a": (20, 32), "b": (21, 30)})
    assert read_voc(tmp_path, corrected).train[0][1][0, 0] == label


def test_images_that_are_too_small_for_the_crop_are_refused(tmp_path: Path):
    write_voc(tmp_path, {"a": (20, 32), "b": (21, 30)})
    with pytest.raises(InputError, match=r"no train image of voc2012 is as large as 320x480 .* largest is 21x30"):
        load("voc2012", source=tmp_path, resize=(320, 480))
    write_voc(tmp_path / "two", {"a": (20, 32), "b": (21, 30), "c": (20, 30)})
    with pytest.raises(InputError, match="have 2 sizes"):
        load("voc2012", source=tmp_path / "two")


def test_a_damaged_camvid_is_refused(tmp_path: Path):
    (tmp_path / "camvid.zip").write_bytes(b"PK none")
    with pytest.raises(InputError, match="camvid.zip is no sound zip"):
        read_camvid(tmp_path)
    write_camvid(tmp_path / "camvid.zip", without="trainannot/a.png")
    with pytest.raises(InputError, match="has no mask for a.jpg"):
        read_camvid(tmp_path)
    write_camvid(tmp_path / "camvid.zip", highest=12)
    with pytest.raises(InputError, match="other numbers than the classes 0 to 11"):
        read_camvid(tmp_path)


def test_folders_without_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("D2L_DATA", raising=False)
    for name, words in (("voc2012", "holds no Pascal VOC"), ("camvid", "holds no CamVid")):
        with pytest.raises(InputError, match=words):
            load(name, source=tmp_path)
    with pytest.raises(InputError, match="unpack it by hand"):
        load("voc2012", source=None, download=True)
