"""A run of a DCGAN: sprites, two nets in turns, and pictures of what the generator makes on its way (section 20.2)."""

import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from d2l_jax.algorithms.set_distances import frechet_distance, kernel_distance
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data.images.sprites import Sprites, sprites
from d2l_jax.errors import InputError
from d2l_jax.runs.adversaries import Adversaries, JaxAdversaries
from d2l_jax.runs.features import MEASURED, Features, features_of, scaled
from d2l_jax.runs.options import Options, refuse
from d2l_jax.runs.plot import picture
from d2l_jax.runs.run import SILENT, Listener, refuse_fewer, refuse_overwriting, twin_learner
from d2l_jax.train.checkpoint import FOLDER
from d2l_jax.train.fit import Event, check_finite
from d2l_jax.weights import file
from d2l_jax.write import explained, write_json

BATCH = 256
SHOWN = 28  # images in a grid
LATENT = 100


def configured(options: Options) -> Case:
    """Returns the case with the epochs and the rate of the options; InputError where one has no meaning here."""
    case = get(options.name)
    without = ("compilation_cache", "download", "weights", "image_size", "buckets", "devices")
    refuse(options, without, "learns anew, on one device")
    for name, least in (("epochs", 1), ("batch_size", 2), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} {value} is too small; give {least} or more")
    if options.lr is not None:
        if not options.lr > 0:
            raise InputError(f"--lr {options.lr} is no learning rate; give a number above 0")
        turns = tuple(turn._replace(optimizer=partial(turn.optimizer, lr=options.lr)) for turn in case.turns)
        case = replace(case, turns=turns)
    return replace(case, epochs=options.epochs or case.epochs)


def draw_sprites(options: Options, listener: Listener = SILENT) -> dict[str, Any]:
    """Trains in the framework of the options, and returns the content of `metrics.json`.

    Beside it lie, in the folder of the options, `samples/epoch-N.png`, of the same latent numbers after each epoch,
    `curves.png`, the weights of both nets, and `checkpoints`, or `training.pt` of PyTorch's, from which a resumed run
    ends as if it had never stopped.

    Raises InputError where an option or a picture does not fit, and TrainingDiverged at a loss that is not finite,
    with the turn and the step.
    """
    case = configured(options)
    adversaries = JaxAdversaries if options.framework == "jax" else twin_learner(options.framework).adversaries
    out = options.out or Path("runs") / case.name
    refuse_overwriting(out, options.resume)
    data, size = _pictures(options)
    listener.line(f"pictures  {data.source}: {len(data.X):,}, batches of {size}")
    nets = adversaries(case, case.build(options.seed))
    with explained(out):
        (out / "samples").mkdir(parents=True, exist_ok=True)
    rates = {turn.name: turn.optimizer.keywords["lr"] for turn in case.turns}  # type: ignore[attr-defined]
    settings = {"model": case.name, "args": case.args, "batch_size": size, "seed": options.seed, "lr": rates}
    settings["pictures"] = len(data.X)
    records = nets.resume(out / FOLDER, settings).meta["records"] if options.resume else []
    refuse_fewer(out, len(records), case.epochs)
    features = features_of(data)
    listener.line(f"features  of a FeatureCNN that tells {features.accuracy:.0%} of the pictures' classes")
    metrics = {
        "model": case.name,
        "section": case.section,
        "framework": options.framework,
        "settings": settings | {"epochs": case.epochs},
        "data": {"source": data.source, "train": len(data.X)},
        "versions": {"python": platform.python_version(), **nets.versions},
        "records": records,
    }
    listener.begin(case.epochs)
    for epoch in range(len(records) + 1, case.epochs + 1):
        records.append(_epoch(nets, data, size, options.seed, epoch, listener) | _distances(nets, features))
        _tell(records[-1], case.epochs, listener)
        draw_grid(nets.images(latents(0, SHOWN)), out / "samples" / f"epoch-{epoch:03}.png")
        write_json(out / "metrics.json", metrics)
        draw_losses([metrics], out / "curves.png")
        nets.save(out / FOLDER, epoch, {"settings": settings, "records": records})
    file.write(nets.weights(), out / file.NAME)
    listener.line(f"written   {out / 'samples'}, {out / 'curves.png'}, {out / file.NAME}")
    return metrics


def _pictures(options: Options) -> tuple[Sprites, int]:
    """Returns the pictures to learn from, and how many are in a batch; InputError where they are fewer than that."""
    data = sprites(options.data)
    if len(data.X) < 2:
        raise InputError(f"{data.source}: {len(data.X)} picture; two or more are right")
    if options.batch_size and options.batch_size > len(data.X):
        raise InputError(f"--batch-size {options.batch_size} does not fit {len(data.X)} pictures; fewer are right")
    return data, min(options.batch_size or BATCH, len(data.X))


def latents(seed: Any, number: int) -> np.ndarray:
    """Returns latent numbers N(0, 1), float32 (number, 1, 1, 100)."""
    return np.random.default_rng(seed).normal(size=(number, 1, 1, LATENT)).astype(np.float32)


def _epoch(nets: Adversaries, data: Sprites, size: int, seed: int, epoch: int, listener: Listener) -> dict[str, Any]:
    """Takes the steps of an epoch, the same in either framework; the last batch, where it is smaller, is dropped."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(data.X))
    steps = len(order) // size
    losses = list[dict[str, float]]()
    seconds = list[float]()
    for number in range(steps):
        X = scaled(data.X[order[number * size : (number + 1) * size]])
        Z = random.normal(size=(size, 1, 1, LATENT)).astype(np.float32)
        since = time.perf_counter()
        losses.append(jax.tree.map(float, nets.step({"X": X, "Z": Z})))
        seconds.append(time.perf_counter() - since)
        check_finite(losses[-1], f"epoch {epoch}, step", (epoch - 1) * steps + number)
        listener.event(Event(epoch, number + 1, steps, None, None))
    means = {name: float(np.mean([each[name] for each in losses])) for name in losses[0]}
    return {"epoch": epoch, **means, "steps": steps, "seconds_per_step": float(np.median(seconds))}


def _distances(nets: Adversaries, features: Features) -> dict[str, float]:
    made = features.of(np.clip(nets.images(latents(1, MEASURED)), -1, 1))
    return {"fid": frechet_distance(features.real, made), "kid": kernel_distance(features.real, made)}


def _tell(record: dict[str, Any], epochs: int, listener: Listener) -> None:
    names = ("discriminator_loss", "generator_loss", "fid", "kid", "seconds_per_step")
    words = "  ".join(f"{name.replace('_', ' ')} {record[name]:.4g}" for name in names)
    listener.line(f"epoch {record['epoch']}/{epochs}  {words}")


def draw_grid(images: np.ndarray, path: Path) -> None:
    """Writes images in [-1, 1], (number, height, width, 3), side by side, seven in a row."""
    with picture(path, (7.0, 1.0 * -(-len(images) // 7))) as figure:
        for axis, image in zip(figure.subplots(-(-len(images) // 7), 7).ravel(), images):
            axis.imshow(np.clip((image + 1) / 2, 0, 1))
            axis.set_axis_off()


def draw_losses(runs: list[dict[str, Any]], path: Path) -> None:
    """Draws the losses of both turns over the epochs, and the Frechet distance, of one or of several runs."""
    with picture(path, (8.0, 3.2)) as figure:
        of_losses, of_distance = figure.subplots(1, 2)
        for number, run in enumerate(runs):
            line = ("-", "--")[number % 2]
            epochs = [record["epoch"] for record in run["records"]]
            for name in ("discriminator_loss", "generator_loss"):
                label = f"{run['framework']} {name.removesuffix('_loss')}"
                of_losses.plot(epochs, [record[name] for record in run["records"]], line, label=label)
            of_distance.plot(epochs, [record["fid"] for record in run["records"]], line, label=run["framework"])
        of_losses.set(xlabel="epoch", ylabel="loss of the batch", yscale="log")
        of_distance.set(xlabel="epoch", ylabel="Frechet distance", yscale="log")
        for axis in (of_losses, of_distance):
            axis.legend(frameon=False, fontsize=8)
