"""Which data set `load` takes, from where, and what it says when there is none."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real, same, toy_images, write_idx  # noqa: F401

from d2l_jax.data import KNOWN, kind_of, load
from d2l_jax.data.find.ratings import CLICK_SETS, ML100K
from d2l_jax.errors import InputError

LAYOUTS = ["", "raw", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", ["source", "D2L_DATA"])
def test_layouts_of_a_named_folder(alone: Path, monkeypatch: pytest.MonkeyPatch, layout: str, how: str):
    arrays = toy_images(alone / "mine" / layout)
    source = alone / "mine" if how == "source" else None
    if how == "D2L_DATA":
        monkeypatch.setenv("D2L_DATA", str(alone / "mine"))
    data = load("fashion_mnist", source=source)
    assert same(data, arrays) and data.name == "fashion_mnist" and data.classes[9] == "ankle boot"


CACHES = [
    "here/data/FashionMNIST/raw",
    "home/data/FashionMNIST/raw",
    "cache/FashionMNIST/raw",
    "system/fashion-mnist",
    "cache/d2l_jax/fashion_mnist",
]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("name", ["fashion_mnist", None])
def test_usual_caches(alone: Path, cache: str, name: str | None):
    arrays = toy_images(alone / cache)
    assert same(load(name), arrays)


def test_order_of_the_places(alone: Path, monkeypatch: pytest.MonkeyPatch):
    in_cache = toy_images(alone / "cache/d2l_jax/fashion_mnist", seed=1)
    assert same(load(), in_cache)
    in_variable = toy_images(alone / "env/fashion-mnist", seed=2)
    monkeypatch.setenv("D2L_DATA", str(alone / "env"))
    assert same(load(), in_variable)
    in_source = toy_images(alone / "named", seed=3)
    assert same(load("fashion_mnist", source=str(alone / "named")), in_source)


@pytest.mark.parametrize("name", ["fashion-mnist", "FashionMNIST", "FASHION_MNIST"])
def test_spellings(alone: Path, name: str):
    toy_images(alone / "data")
    assert load(name, source=alone / "data").name == "fashion_mnist"


def test_folder_names_tell_mnist_from_fashion(alone: Path):
    toy_images(alone / "MNIST/raw")
    assert load(source=alone / "MNIST/raw").name == "mnist"
    assert load(source=alone).name == "mnist"
    with pytest.raises(InputError, match="holds mnist, not fashion_mnist"):
        load("fashion_mnist", source=alone / "MNIST/raw")


@needs_real("mnist")
def test_content_tells_mnist_from_fashion(alone: Path):
    (alone / "fashion-mnist").symlink_to(REAL / "mnist")
    with pytest.raises(InputError, match="holds mnist, not fashion_mnist"):
        load("fashion_mnist", source=alone / "fashion-mnist")


def test_not_found_names_the_places(alone: Path):
    (alone / "home/data").mkdir(parents=True)
    with pytest.raises(InputError, match="mnist was not found .*home/data.*--download.*D2L_DATA"):
        load("mnist")
    with pytest.raises(InputError, match="holds no mnist; four idx files"):
        load("mnist", source=alone / "home")


def test_nothing_found_takes_the_embedded_default(alone: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        data = load()
        table = load(kind="tabular")
    assert data.name == "digits" and table.name == "diabetes"
    assert "data digits: embedded default (scikit-learn digits, 28x28)" in caplog.text


def test_a_damaged_cache_is_skipped_but_a_named_folder_is_an_error(
    alone: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    broken = alone / "cache/fashion-mnist"
    toy_images(broken)
    (broken / "train-images-idx3-ubyte.gz").write_bytes(b"torn")
    assert load().name == "digits"
    assert "train-images-idx3-ubyte.gz is no sound gzip file" in caplog.text
    with pytest.raises(InputError, match="was not found .*no sound gzip file"):
        load("fashion_mnist")
    monkeypatch.setenv("D2L_DATA", str(alone / "cache"))
    with pytest.raises(InputError, match="^.*train-images-idx3-ubyte.gz is no sound gzip file"):
        load()


BAD_CALLS = {
    "unknown name": (dict(name="fashionmist"), "unknown data set 'fashionmist'; did you mean"),
    "unknown kind": (dict(kind="imag"), "unknown kind of data 'imag'; did you mean image"),
    "no such folder": (dict(source="nowhere"), "nowhere does not exist"),
    "a file": (dict(source=__file__), "is a file; give the folder"),
    "folder for built-in data": (dict(name="digits", source="."), "is built in and read from no folder"),
    "resize of a table": (dict(name="synthetic", resize=(8, 8)), "holds no images to resize"),
    "resize to nothing": (dict(name="digits", resize=(0, 8)), "cannot resize images to"),
    "resize to a number": (dict(name="digits", resize=32), "cannot resize images to 32"),
    "negative seed": (dict(name="synthetic", seed=-1), "seed of 0 or more"),
    "empty folder": (dict(source="."), "holds no images"),
    "empty folder, tabular": (dict(source=".", kind="tabular"), "holds no houses"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls(alone: Path, case: str):
    arguments, message = BAD_CALLS[case]
    with pytest.raises(InputError, match=message):
        load(**arguments)


def test_the_variable_must_name_a_folder(alone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("D2L_DATA", str(alone / "gone"))
    with pytest.raises(InputError, match="D2L_DATA .*gone does not exist"):
        load()


@pytest.mark.slow
def test_all_known_names_load_or_say_where_they_are_missing(alone: Path):
    missing = []
    for name in KNOWN:
        try:
            data = load(name)
            assert data.name == name and data.kind == kind_of(name)
        except InputError as error:
            assert "was not found" in str(error)
            missing.append(name)
    photos = ["cifar10", "cifar10_tiny", "hotdog", "dogs", "bananas"]
    segmented = ["voc2012", "voc2012_corrected", "camvid"]
    texts = ["time_machine", "fra_eng", "imdb", "imdb_corrected", "snli", "snli_corrected"]
    texts += ["snli_bert", "wikitext2", "wikitext2_dynamic"]
    texts += ["ptb", "ptb_second_edition", "ptb_cbow", "ptb_tree", "ptb_glove"]
    assert missing == ["fashion_mnist", "mnist", *photos, "houses", "airfoil", *texts, *ML100K, *CLICK_SETS, *segmented]


@needs_real("fashion-mnist")
@pytest.mark.parametrize("name, folder", [("fashion_mnist", "fashion-mnist"), ("mnist", "mnist")])
def test_real_images(name: str, folder: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("D2L_DATA", str(REAL))
    data = load(name)
    assert data.name == name and data.source == f"idx files in {REAL / folder}" and len(data.classes) == 10
    assert data.train[0].shape == (60000, 28, 28, 1) and data.test[0].shape == (10000, 28, 28, 1)
    counts = np.bincount(data.train[1], minlength=10)
    if name == "fashion_mnist":
        assert (counts == 6000).all() and (np.bincount(data.test[1]) == 1000).all()
        assert data.classes[data.train[1][0]] == "ankle boot"
    else:
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@needs_real("fashion-mnist")
def test_real_folder_without_a_name():
    assert load(source=REAL).name == "fashion_mnist"
    assert load(source=REAL / "mnist").name == "mnist"


def test_write_idx_is_what_read_idx_reads(alone: Path):
    toy_images(alone / "data")
    write_idx(alone / "data" / "train-labels-idx1-ubyte.gz", np.ones(30))
    assert (load(source=alone / "data").train[1] == 1).all()


PURE = """
import sys, types
package = types.ModuleType("d2l_jax"); package.__path__ = [sys.argv[1]]; sys.modules["d2l_jax"] = package
import d2l_jax.data
heavy = ["torch", "jax", "tensorflow", "tensorflow_datasets", "sklearn", "PIL", "pandas", "num2words", "pydoc_data"]
sys.exit(str([name for name in heavy if name in sys.modules]) if set(heavy) & set(sys.modules) else 0)
"""


def test_import_is_light():
    """The data room alone: the package's own __init__ may import jax, so a bare one stands in for it."""
    import d2l_jax

    call = [sys.executable, "-c", PURE, str(Path(d2l_jax.__file__).parent)]
    assert subprocess.run(call, capture_output=True, text=True).stderr == ""
