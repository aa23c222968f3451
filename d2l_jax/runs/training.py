"""A training run from the options of `d2l-jax train`, in this process."""

from typing import Any

import jax

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.cpu.memory import keep_memory
from d2l_jax.data import kind_of
from d2l_jax.data.text.buckets import bucketed
from d2l_jax.errors import InputError
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.compilation import keep_compiled
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.folds import cross_validate, unanswered
from d2l_jax.runs.options import Options, folder_of
from d2l_jax.runs.points import descended, is_point
from d2l_jax.runs.run import Job, Listener, refuse_overwriting
from d2l_jax.runs.run import train as run
from d2l_jax.runs.sentences import with_found_vectors
from d2l_jax.runs.settings import configured
from d2l_jax.runs.sprites import draw_sprites
from d2l_jax.runs.style import transfer
from d2l_jax.train.devices import mesh_of
from d2l_jax.train.parallel import SYNCHRONISED, Devices


def trained(options: Options, listener: Listener) -> dict[str, Any]:
    """Trains as the options say, and returns the content of `metrics.json`.

    Where this is one of several processes, it has joined the others. Raises what `d2l_jax.runs.run.train` raises.
    """
    keep_memory()
    if is_point(options.name):
        return descended(options, listener)
    if kind_of(get(options.name).data) == "pictures":
        if options.devices is not None or jax.process_count() > 1:
            raise InputError(f"{options.name} learns one image, on one device; leave --devices and --processes out")
        return transfer(options, options.weights, listener).metrics
    if kind_of(get(options.name).data) == "sprites":
        return draw_sprites(options, listener)
    case = configured(options)
    if options.compilation_cache:
        keep_compiled(options.compilation_cache)
    devices = devices_of(options, case)
    refuse_overwriting(folder_of(options), options.resume)  # before the data is read, which may take a minute
    data = choose_data(case, options.data, options.download)
    data = data if options.buckets is None else bucketed(data, options.buckets)
    case = with_found_vectors(fitted(case, data), data)
    job = Job(case, data, folder_of(options), options.seed, options.framework, options.resume, devices)
    return (cross_validate if unanswered(data) else run)(job, listener).metrics


def devices_of(options: Options, case: Case) -> Devices | None:
    """Returns the devices that share every batch; None for one.

    Raises InputError where there are fewer, or where the batch does not divide over them.
    """
    several = jax.process_count() > 1
    if not several and options.devices is None:
        if options.batch_norm != SYNCHRONISED:
            raise InputError(f"--batch-norm {options.batch_norm} needs several devices: --devices or --processes")
        return None
    mesh = mesh_of(None if several else options.devices)
    if case.batch_size % mesh.size:
        raise InputError(
            f"--batch-size {case.batch_size} does not divide over {mesh.size} devices; a multiple is right"
        )
    return Devices(mesh, options.batch_norm)
