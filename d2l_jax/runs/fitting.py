"""A Case made for the data of a run: as many features, or words, as there are; or an error that says what differs."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from d2l_jax.abstract import abstract
from d2l_jax.augment import Augment
from d2l_jax.case import Case, tokens
from d2l_jax.data import Dataset, kind_of, stand_in
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional
from d2l_jax.optim import ByEpoch

CONTENT = {
    "image": "images",
    "tabular": "a table",
    "text": "text",
    "translation": "pairs of sentences",
    "segmentation": "images with masks",
    "boxes": "images with boxes",
    "reviews": "reviews",
    "inference": "pairs of sentences with labels",
    "masked": "sentences with masked words",
    "words": "words with their contexts",
    "labelled_pairs": "pairs of sentences as BERT takes them",
    "ratings": "ratings",
    "item_rows": "the ratings of an item by all users",
    "ranking": "items that users have rated",
    "clicks": "fields of categories",
}


def fitted(case: Case, data: Dataset) -> Case:
    """The Case, made for the features or vocabularies of `data`; InputError if the two do not fit."""
    _refuse_kind(case, data)
    case = FIT[data.kind](case, data)
    if case.batch_size > data.examples:
        raise InputError(
            f"--batch-size {case.batch_size} does not fit {data.examples} examples; give one from 1 to {data.examples}"
        )
    if "accuracy" in case.metrics and data.kind not in ("segmentation", "clicks"):
        _refuse_classes(case, data)
    return _paced(case, data)


def _paced(case: Case, data: Dataset) -> Case:
    """Returns the Case with a schedule by epochs that counts the updates of an epoch of this data."""
    optimizer = case.turn.optimizer if len(case.turns) == 1 else None
    lr = getattr(optimizer, "keywords", {}).get("lr")
    if optimizer is None or not isinstance(lr, ByEpoch):
        return case
    updates = -(-data.examples // case.batch_size)
    return case.with_turn(optimizer=partial(optimizer, lr=replace(lr, updates=updates)))


def _refuse_kind(case: Case, data: Dataset) -> None:
    takes = (CONTENT[kind_of(case.data)], "labels" if case.labels else "numbers")
    has = (CONTENT[data.kind], "labels" if _is_labelled(data) else "numbers")
    if takes != has:
        right = " or ".join(dict.fromkeys([case.data, stand_in(case.data)]))
        raise InputError(
            f"{case.name} learns {takes[1]} from {takes[0]}; {data.name} has {has[1]} for {has[0]}; {right} is right"
        )


def _is_labelled(data: Dataset) -> bool:
    y = data.train[1]
    return data.kind != "ranking" and not isinstance(y, tuple) and np.issubdtype(y.dtype, np.integer)


def _images(case: Case, data: Dataset) -> Case:
    shape = case.arrays[0].shape[1:]
    if data.sizes is not None and case.augment is None:
        raise InputError(f"{case.name} takes images of one size; those of {data.name} differ in size")
    shapes = [data.train[0].shape[1:], data.test[0].shape[1:]]
    if case.augment:
        shapes[0] = changed_shape(case.augment, data)
    if wrong := [each for each in shapes if each != shape]:
        takes, has = ("x".join(map(str, each)) for each in (shape, wrong[0]))
        raise InputError(f"{case.name} takes images of {takes} (height, width, channels); {data.name} has {has}")
    return case


def _segmentation(case: Case, data: Dataset) -> Case:
    case = replace(_images(case, data), args={**case.args, "num_classes": len(data.classes)})
    maps = _scores(case)[1:3]
    size = data.train[1].shape[1:]
    if maps != size:
        names = ["x".join(map(str, each)) for each in (maps, size)]
        raise InputError(
            f"{case.name} gives maps of {names[0]} for crops of {names[1]}; a size that 32 divides is right"
        )
    return case


def changed_shape(augment: Augment, data: Dataset) -> tuple[int, ...]:
    """Returns the shape of a training image behind its changes."""
    images = jax.ShapeDtypeStruct((1, *data.train[0].shape[1:]), data.train[0].dtype)
    sizes = None if data.sizes is None else jax.ShapeDtypeStruct((1, 2), data.sizes.dtype)
    return jax.eval_shape(augment.train, jax.random.key(0), images, sizes).shape[1:]


def _table(case: Case, data: Dataset) -> Case:
    features = data.train[0].shape[1]
    takes = case.arrays[0].shape[1]
    if features == takes:
        return case
    for name in ("in_features", "num_inputs"):
        if name in {**case.args, **case.probe}:
            return replace(case, args={**case.args, name: features}, inputs=(case.batch_size, features))
    raise InputError(f"{case.name} takes {takes} features; the data has {features}")


def _text(case: Case, data: Dataset) -> Case:
    (vocab,) = data.vocabs
    steps = data.train[0].shape[1]
    inputs = (tokens((case.batch_size, steps), len(vocab)),)
    return replace(case, args={**case.args, "vocab_size": len(vocab)}, inputs=inputs)


def _inference(case: Case, data: Dataset) -> Case:
    (vocab,) = data.vocabs
    inputs = tuple(tokens((case.batch_size, *array.shape[1:]), len(vocab)) for array in data.train[0])
    masked = {"pad": vocab["<pad>"]} if case.args.get("pad") is not None else {}
    return replace(case, args={**case.args, "vocab_size": len(vocab), **masked}, inputs=inputs)


def _translation(case: Case, data: Dataset) -> Case:
    source, target = data.vocabs
    sizes = {"src_vocab": len(source), "tgt_vocab": len(target)}
    shapes = [(case.batch_size, *array.shape[1:]) for array in data.train[0]]
    encoder, decoder, valid = (array._replace(shape=shape) for array, shape in zip(case.arrays, shapes))
    inputs = (encoder._replace(below=len(source)), decoder._replace(below=len(target)), valid)
    loss: Any = case.objective.loss
    return replace(case, args={**case.args, **sizes}, inputs=inputs).with_loss(partial(loss, pad=target["<pad>"]))


def _masked(case: Case, data: Dataset) -> Case:
    (vocab,) = data.vocabs
    shapes = [(case.batch_size, *array.shape[1:]) for array in data.train[0]]
    words, *others = (array._replace(shape=shape) for array, shape in zip(case.arrays, shapes))
    inputs = (words._replace(below=len(vocab)), *others)
    return replace(case, args={**case.args, "vocab_size": len(vocab)}, inputs=inputs)


def _words(case: Case, data: Dataset) -> Case:
    (vocab,) = data.vocabs
    args = {**case.args, "vocab_size": len(vocab)}
    arrays = []
    for declared, array in zip(case.arrays, data.train[0]):
        shape = (case.batch_size, *array.shape[1:])
        below = declared.below + len(vocab) - case.args["vocab_size"] if declared.least == 0 else declared.below
        arrays.append(declared._replace(shape=shape, below=below))
    return replace(case, args=args, inputs=tuple(arrays))


def _labelled_pairs(case: Case, data: Dataset) -> Case:
    case = _masked(case, data)
    return replace(case, args={**case.args, "num_classes": len(data.classes)})


def _refuse_classes(case: Case, data: Dataset) -> None:
    classes = int(max(data.train[1].max(), data.test[1].max())) + 1
    scores = _scores(case)[-1]
    if classes > scores:
        raise InputError(f"{case.name} tells {scores} classes apart; {data.name} has {classes}")


def _rated(case: Case, data: Dataset) -> Case:
    users, items = data.rows
    if len(case.arrays) != len(data.train[0]):
        takes, has = (f"{len(arrays)} arrays" for arrays in (case.arrays, data.train[0]))
        raise InputError(f"{case.name} takes {takes} of users and items; {data.name} has {has}: give {case.data}")
    below = (users, *[items] * (len(case.arrays) - 1))
    shapes = [(case.batch_size, *array.shape[1:]) for array in data.train[0]]
    inputs = tuple(tokens(shape, rows) for shape, rows in zip(shapes, below))
    return replace(case, args={**case.args, "num_users": users, "num_items": items}, inputs=inputs)


def _rows(case: Case, data: Dataset) -> Case:
    users, _ = data.rows
    return replace(case, args={**case.args, "num_users": users}, inputs=(case.batch_size, users))


def _clicks(case: Case, data: Dataset) -> Case:
    inputs = (tokens((case.batch_size, len(data.rows)), sum(data.rows)),)
    return replace(case, args={**case.args, "field_dims": list(data.rows)}, inputs=inputs)


def _scores(case: Case) -> tuple[int, ...]:
    """Returns the shape of the outputs for one example."""
    pure = functional(eval_view(abstract(case.build)))
    scores, _ = jax.eval_shape(pure.apply, pure.params, pure.buffers, *case.of_batch_size(1).abstract_inputs())
    return scores.shape


FIT: dict[str, Callable[[Case, Dataset], Case]] = {
    "image": _images,
    "boxes": _images,
    "tabular": _table,
    "text": _text,
    "translation": _translation,
    "segmentation": _segmentation,
    "reviews": _text,
    "inference": _inference,
    "masked": _masked,
    "words": _words,
    "labelled_pairs": _labelled_pairs,
    "ratings": _rated,
    "item_rows": _rows,
    "ranking": _rated,
    "clicks": _clicks,
}
