"""A PyTorch weight file and a Flax checkpoint, one from the other."""

from pathlib import Path

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.runs.load import case_of, is_run
from d2l_jax.runs.settings import plain
from d2l_jax.train import TrainState, checkpoint
from parity.weights.files import OTHERS, SUFFIXES, write_state_dict
from parity.weights.state_dict import load_state_dict, state_dict


def convert(source: Path, target: Path, name: str = "", entry: str = "") -> None:
    """Reads weights from `source` and writes them to `target`.

    source: what `load_state_dict` reads
    target: a path with a suffix of PyTorch's (.pt, .pth, .bin, .ckpt, .safetensors) is a weight file, any other a
            new checkpoint folder
    name:   the case whose weights these are; "" where `source` is a run, which knows its model
    entry:  name under which the weights stand, where several would fit

    Raises InputError if the source is corrupt or of another model, or the target exists as a folder or is named as
    another program's file.
    """
    if target.suffix in OTHERS:
        raise InputError(f"{target}: not a kind that is written; {', '.join(SUFFIXES)}, or a new folder, are right")
    case = _case(source, name)
    model = load_state_dict(case.build(), source, entry=entry)
    if target.suffix in SUFFIXES:
        write_state_dict(state_dict(model), target)
        return
    if target.exists():
        raise InputError(f"{target} exists already; give the name of a new folder")
    settings = {"model": case.name, "args": plain(case.args), "source": str(source)}
    meta = {"settings": settings, "records": [], "seconds": []}
    checkpoint.save(target / checkpoint.FOLDER, 0, TrainState.create(model, case.turns), meta)


def _case(source: Path, name: str) -> Case:
    """Returns the case of a run, made for its data; or else that of the name."""
    if is_run(source):
        case = case_of(source)
        if name in ("", case.name):
            return case
        raise InputError(f"{source} is a run of {case.name}, not of {get(name).name}; leave --model out")
    if not name:
        raise InputError(f"{source} does not say which model it is of; give --model NAME, `d2l-jax list` shows them")
    return get(name)
