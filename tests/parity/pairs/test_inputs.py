"""A user's inputs: what people hand over is taken, or refused in one line that says what is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.errors import InputError
from parity.twin.inputs import Inputs
from parity.twin.other_batches import another

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 3)).astype(np.float32)
IDS = RANDOM.integers(0, 11, (4, 5))
MASK = (np.arange(5) < np.array([5, 3, 2, 4])[:, None]).astype(np.int32)
IMAGES = RANDOM.random((4, 6, 5, 3)).astype(np.float32)
SHORT = {"steps": 1, "tiers": ("float64",), "layers": False}


class Ours(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.fc = nnx.Linear(3, 4, rngs=rngs)

    def __call__(self, x):
        return self.fc(x)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)

    def forward(self, x):
        return self.fc(x)


class OurWords(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.table, self.fc = nnx.Embed(11, 6, rngs=rngs), nnx.Linear(17, 3, rngs=rngs)

    def __call__(self, ids, mask=None, *, deterministic=True):
        x = jnp.concatenate([self.table(ids), jax.nn.one_hot(ids, 11)], -1)
        return self.fc(x.sum(1) if mask is None else (x * mask[..., None]).sum(1))


class LinenWords(linen.Module):
    @linen.compact
    def __call__(self, ids, mask=None, train=False):
        x = jnp.concatenate([linen.Embed(11, 6)(ids), jax.nn.one_hot(ids, 11)], -1)
        return linen.Dense(3)((x * mask[..., None]).sum(1))


class TheirWords(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.fc = torch.nn.Embedding(11, 6), torch.nn.Linear(17, 3)

    def forward(self, ids=None, labels=None, mask=None):
        rows = self.table(ids)
        x = torch.cat([rows, torch.nn.functional.one_hot(ids, 11).to(rows.dtype)], -1)
        return self.fc(x.sum(1) if mask is None else (x * mask[..., None]).sum(1))


class OurImages(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv, self.norm = nnx.Conv(3, 4, (3, 3), rngs=rngs), nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x).mean((1, 2)))


class TheirImages(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(self.conv(x).mean((2, 3)))


class ChannelsFirst(OurImages):
    def __call__(self, x):
        return super().__call__(x.transpose(0, 2, 3, 1))


class OurSequence(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, 4, (3,), rngs=rngs)

    def __call__(self, x):
        return self.conv(x).mean(1)


class TheirSequence(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).mean(2)


class OurNorm(Ours):
    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.fc(x))


class TheirNorm(Theirs):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.fc(x))


def checked(ours, theirs, inputs, **options):
    return parity.check(ours(nnx.Rngs(0)), theirs(), inputs, **(SHORT | options))


@pytest.mark.parametrize(
    "inputs",
    [
        torch.tensor(X, requires_grad=True),
        torch.tensor(X).bfloat16(),
        jnp.asarray(X, jnp.bfloat16),
        X.astype(np.float64),
        X.astype(np.float16),
        X.tolist(),
        (X,),
        {"x": X},
    ],
    ids=["grad", "bfloat16", "jax-bfloat16", "float64", "float16", "numbers", "tuple", "dict"],
)
def test_numbers_are_taken_as_people_have_them(inputs):
    assert checked(Ours, Theirs, inputs)


def test_integers_go_to_pytorch_as_ids_and_classes_want_them():
    assert [x.dtype for x in Inputs.of((IDS.astype(np.int32), MASK.astype(bool))).tensors()] == [
        torch.int64,
        torch.bool,
    ]
    assert checked(OurWords, TheirWords, IDS.astype(np.int32))


@pytest.mark.parametrize("ours", [OurWords(nnx.Rngs(0)), LinenWords()], ids=["nnx", "linen"])
def test_a_dict_is_keywords_on_both_sides_in_whatever_place(ours):
    inputs = {"mask": torch.tensor(MASK), "ids": IDS}
    assert parity.check(ours, TheirWords(), inputs, steps=2, tiers=("float64",))
    swapped = {"mask": MASK, "ids": IDS}
    swapped["mask"] = 1 - MASK
    assert parity.check(ours, TheirWords(), swapped, **SHORT), "another mask, the same on both sides"


def test_control_a_mask_that_one_side_ignores_is_seen():
    class Ignores(OurWords):
        def __call__(self, ids, mask=None):
            return super().__call__(ids)

    assert checked(Ignores, TheirWords, {"ids": IDS, "mask": MASK}).status == "fail"


def test_rows_that_belong_together_stay_together_in_further_batches():
    ids = np.arange(40).reshape(8, 5)
    first, second = another((ids, ids[:, 0].copy()), np.random.default_rng(0))
    assert (first[:, 0] == second).all() and (second != ids[:, 0]).any()


@pytest.mark.slow
def test_axes_are_those_on_which_pytorch_runs():
    assert checked(OurImages, TheirImages, IMAGES)
    assert checked(ChannelsFirst, TheirImages, np.moveaxis(IMAGES, -1, 1)), "both have the channels first"
    assert checked(OurSequence, TheirSequence, RANDOM.normal(size=(6, 7, 3))), "Conv1d"


def refused(match, ours, theirs, inputs):
    with pytest.raises(InputError, match=match) as error:
        checked(ours, theirs, inputs)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(IMAGES), torch.arange(4)), 4)
MISTAKES = {
    "an id that is too large": (r"table \(Embedding of 11\) gets the id 12; .* 0 to 10", OurWords, TheirWords, IDS + 2),
    "an id below 0": ("gets the id -1", OurWords, TheirWords, IDS - 1),
    "ids as floats": ("ids are integers", OurWords, TheirWords, IDS.astype(np.float32)),
    "channels first": ("have their channels first", OurImages, TheirImages, np.moveaxis(IMAGES, -1, 1)),
    "pixels in uint8": ("uint8, and .* / 255", OurImages, TheirImages, (IMAGES * 255).astype(np.uint8)),
    "a batch of images and labels": ("the images alone", OurImages, TheirImages, next(iter(LOADER))),
    "a loader": ("is a DataLoader; one batch", OurImages, TheirImages, LOADER),
    "an iterator": ("list_iterator; one batch", Ours, Theirs, iter([X])),
    "text": ("text; numbers", Ours, Theirs, ["a", "b"]),
    "nothing among several": (r"inputs\[1\] is None", Ours, Theirs, (X, None)),
    "rows of several lengths": ("rows differ in length", Ours, Theirs, [[1.0, 2.0, 3.0], [1.0]]),
    "a flag": (r"inputs\['train'\] is True; flags", Ours, Theirs, {"x": X, "train": True}),
    "another keyword": ("is given the inputs ids, valid", OurWords, TheirWords, {"ids": IDS, "valid": MASK}),
    "a batch of 1": ("a batch of 1 is too few", OurNorm, TheirNorm, X[:1]),
    "another width": (r"PyTorch's model does not run on inputs \(6, 2\)", Ours, Theirs, X[:, :2]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_usual_mistakes_are_one_line_each(name):
    refused(*MISTAKES[name])


def test_a_flax_model_that_does_not_run_says_so():
    class Broken(Ours):
        def __call__(self, x):
            return super().__call__(x[:, :2])

    refused("Flax's model does not run on inputs", Broken, Theirs, X)


def test_a_model_that_takes_the_dict_itself_is_told_of_keywords():
    class OfABatch(Theirs):
        def forward(self, batch):
            return super().forward(batch["x"])

    refused("a dict are keywords: a model that takes the dict itself needs one around it", Ours, OfABatch, {"x": X})


def test_variables_without_their_collection():
    params = LinenWords().init(jax.random.key(0), IDS, MASK)["params"]
    for variables, match in ((params, "no 'params'"), ([1], "variables is a list")):
        with pytest.raises(InputError, match=match):
            parity.check(LinenWords(), TheirWords(), {"ids": IDS, "mask": MASK}, variables=variables)


def test_models_in_the_wrong_place():
    def line(ours, theirs):
        with pytest.raises(InputError) as error:
            parity.check(ours, theirs, X)
        return str(error.value)

    assert "Flax's comes first" in line(Theirs(), Ours(nnx.Rngs(0)))
    assert "takes no arguments" in line(Ours(nnx.Rngs(0)), torch.nn.Linear)
    assert "torch_model is a int" in line(Ours(nnx.Rngs(0)), 3)
    assert "is no module" in line(Ours, Theirs())
