"""A PyTorch weight file and a Flax checkpoint, one from the other."""

from pathlib import Path

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.train import TrainState, checkpoint
from parity.weights.files import SUFFIXES, write_state_dict
from parity.weights.state_dict import load_state_dict, state_dict


def convert(source: Path, target: Path, name: str) -> None:
    """Reads the weights of case `name` from `source` and writes them to `target`.

    A path with a suffix of PyTorch's (.pt, .pth, .safetensors) is a weight file, any other is a checkpoint
    folder. Raises InputError if the source is corrupt or of another model, or the target exists as a folder.
    """
    case = get(name)
    model = case.build()
    if source.suffix in SUFFIXES:
        load_state_dict(model, source)
    else:
        checkpoint.load_params(source, model)
    if target.suffix in SUFFIXES:
        write_state_dict(state_dict(model), target)
        return
    if target.exists():
        raise InputError(f"{target} exists already; give the name of a new folder")
    meta = {"settings": {"model": name, "source": str(source)}, "records": [], "seconds": []}
    checkpoint.save(target / checkpoint.FOLDER, 0, TrainState.create(model, case.turns), meta)
