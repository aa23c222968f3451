"""Proof that a Flax model and a PyTorch model are the same."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.match import load_by_map as load_by_map
    from parity.match import save_map as save_map
    from parity.own_pair import check as check
    from parity.report.repro import save_repro as save_repro
    from parity.result import Result as Result
    from parity.training_step.check_step import check_step as check_step
    from parity.weights.state_dict import load_state_dict as load_state_dict
    from parity.weights.state_dict import state_dict as state_dict

PLACES = {
    "check": "own_pair",
    "check_step": "training_step.check_step",
    "Result": "result",
    "load_by_map": "match",
    "save_map": "match",
    "save_repro": "report.repro",
    "load_state_dict": "weights.state_dict",
    "state_dict": "weights.state_dict",
}


def __getattr__(name: str) -> Any:
    """Loads PyTorch and JAX at the first use of either."""
    if name not in PLACES:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    from parity.environment import torch_problem

    if problem := torch_problem():
        raise ImportError(problem)
    value = getattr(import_module(f"parity.{PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(PLACES)
