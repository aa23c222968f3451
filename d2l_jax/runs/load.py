"""The model that a training run left, out of its folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from flax import nnx

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.runs.results import METRICS
from d2l_jax.runs.settings import plain
from d2l_jax.train import checkpoint
from d2l_jax.weights import file
from d2l_jax.weights.state_dict import put


def load(path: str | Path) -> nnx.Module:
    """Returns the model that `d2l-jax train` left, in either framework, with the weights of its last epoch.

    path: the run's folder, "runs/lenet"; or one of its checkpoints, "runs/lenet/checkpoints/3"

    `eval_view(model)` is the same model with dropout off and running statistics in use.
    Raises InputError where there is no run, or where it is damaged.
    """
    path = Path(path)
    model = case_of(path).build()
    if (path / file.NAME).is_file() and not checkpoint.epochs_in(path / checkpoint.FOLDER):
        return put(model, file.read(path / file.NAME), source=str(path / file.NAME))
    if any(path.glob("fold-*")):
        raise InputError(f"{path} holds a model of each fold; name one, {path / 'fold-0'}")
    return checkpoint.load_params(path, model)


def is_run(path: Path) -> bool:
    """Tells whether it is the folder of a run, or of its checkpoints."""
    return (path / METRICS).is_file() or checkpoint.holds_checkpoints(path)


def case_of(path: Path) -> Case:
    """Returns the case of a run, made for the data of the run. Raises InputError where there is no run."""
    settings = settings_of(path)
    case = get(settings["model"])
    # JSON has no tuples and no functions; where nothing was changed, the case itself knows better.
    same = {name: value for name, value in case.args.items() if plain(value) == settings["args"].get(name)}
    changed = {name: tuple(value) if isinstance(value, list) else value for name, value in settings["args"].items()}
    return replace(case, args={**case.args, **changed, **same})


def settings_of(path: Path) -> dict[str, Any]:
    """Returns the settings of a run, as its `metrics.json` has them. Raises InputError where there is no run."""
    if not path.exists():
        raise InputError(f"no such run: {path}")
    if not is_run(path):
        other = f"parity.load_state_dict(model, {str(path)!r}) reads weights of other programs"
        raise InputError(f"{path} is no run of `d2l-jax train`; {other}")
    try:
        if (path / METRICS).is_file():
            settings = json.loads((path / METRICS).read_text())["settings"]
        else:
            settings = checkpoint.read_meta(checkpoint.last_good(path.absolute()))["settings"]
        return {"args": {}, **settings}
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is damaged: it holds no settings of a run") from error
