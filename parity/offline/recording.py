"""One side's run of a twin as a Recording.

PyTorch's side of a case needs JAX, too, on the CPU: the Case is written in Flax. Flax's side, given PyTorch's file,
needs no PyTorch.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.train.steps import Observe
from d2l_jax.turns import Turn
from d2l_jax.weights.rules import leaves
from parity.arrays.key import Record
from parity.compare.policy import POLICY
from parity.compare.probes import errors_of, noise_of
from parity.environment import jax_device, jax_precision, pinned, torch_device
from parity.models.nnx_model import NNXModel
from parity.offline.file import About, Recording, fingerprint
from parity.offline.given import flattened, restored
from parity.sides.flax import FlaxRun
from parity.twin.twin import STEPS, FlaxHalf, FlaxSide, State, Twin

if TYPE_CHECKING:  # Flax's side needs no PyTorch
    from parity.proof.judging import Roundings
    from parity.sides.torch import TorchRun

PROBES = 4
TIERS = ("float64", "float32")


def record_case(
    case: Case,
    side: str,
    given: Recording | None = None,
    *,
    full: bool = False,
    steps: int = STEPS,
    device: str = "cpu",
    tf32: bool = False,
    probes: int = PROBES,
) -> Recording:
    """Runs one side ("torch" or "flax") of a case of the catalogue.

    given:  PyTorch's recording, for Flax's side, or for PyTorch's elsewhere; its sizes and steps are taken
    probes: runs of PyTorch that measure noise; where a float32 row fails, more may show that PyTorch is as far off

    Raises InputError where there is nothing to start from, or `given` is of another case.
    """
    if given and (given.about.side, given.about.name) != ("torch", case.name):
        raise InputError(
            f"--given is {given.about.side}'s run of {given.about.name}; PyTorch's of {case.name} is right"
        )
    full = given.about.full if given else full
    if side == "flax":
        if not given:
            raise InputError("Flax's side starts from PyTorch's states: --given FILE, of --side torch, is right")
        twin = flax_twin(case.build(probe=not full), given, case.turns, case.checked)
        return record_flax(twin, given, device=device, tf32=tf32)
    from parity.twin.pairing import twin_of

    twin = twin_of(case, full=full, steps=1 if full else steps)
    found = record_torch(twin, given, device=device, tf32=tf32, probes=1 if full else probes)
    return replace(found, about=replace(found.about, section=case.section, full=full))


def flax_twin(model: nnx.Module, given: Recording, turns: tuple[Turn, ...], observe: Observe | None = None) -> FlaxHalf:
    """Returns a twin whose PyTorch side is a recording; the model's tensors have PyTorch's names and layout.

    turns:   as `d2l_jax.supervised` makes them; observe: `d2l_jax.Observed(loss)`
    """
    states, batches = restored(given.given)
    tensors = leaves(model)
    layout = given.about.layout
    _check_tensors(given, {leaf.key: leaf.shape for leaf in tensors}, states[0])
    return FlaxHalf(
        name=given.about.name,
        leaves=tensors,
        start=states[0],
        batches=batches,
        axes={name: tuple(axes) for name, axes in layout["axes"].items()},
        order=tuple(layout["order"]),
        names={},
        turns=tuple((turn.name, turn.trains) for turn in turns),
        flax=FlaxSide(NNXModel(model), turns, observe),
    )


def record_torch(
    twin: Twin,
    given: Recording | None = None,
    *,
    device: str = "cpu",
    tf32: bool = False,
    probes: int = PROBES,
    tiers: tuple[str, ...] = TIERS,
) -> Recording:
    """Returns PyTorch's side of any twin, from its own states, or from those in `given`.

    Raises InputError where the model gives another result for the same numbers.
    """
    from parity.proof.judging import check_repeatable
    from parity.sides.torch import TorchRun
    from parity.sides.torch_runs import run_torch

    _check_probes(probes)
    where = torch_device(device)
    states, twin = (None, twin) if given is None else _started_from(twin, given)
    with pinned(tf32=tf32):
        oracle, states = run_torch(twin, "float64", where, states)
        check_repeatable(twin, where, oracle)

        def disturbed(dtype: str, seeds: range) -> Iterator[Record]:
            return (run_torch(twin, dtype, where, states, seed)[0] for seed in seeds)

        records = {"float64": oracle}
        records |= {tier: run_torch(twin, tier, where, states)[0] for tier in tiers if tier != "float64"}
        spread: Record = {}
        noise = noise_of(oracle, disturbed(dtype="float64", seeds=range(probes)), spread)
        errors = {t: errors_of(oracle, disturbed(dtype=t, seeds=range(-1, probes))) for t in records if t != "float64"}
        measured = _roundings(TorchRun(twin, "float64", where), states)
    about = replace(
        _about(twin, states, {"torch": version("torch"), "device": where, "tf32": tf32}),
        probes=probes,
        noise=noise,
        errors=errors,
        subtracted=measured.subtracted,
        corrected=measured.corrected,
    )
    wide = {key: array for key, array in spread.items() if POLICY.noise_factor * noise[key] > POLICY.ceiling}
    return Recording(about, _plain(records), flattened(states, twin.batches), wide)


def _check_probes(probes: int) -> None:
    if probes < 1:
        raise InputError(f"--probes {probes} is too few; 1 or more is right")


def _started_from(twin: Twin, given: Recording) -> tuple[list[State], Twin]:
    """Returns the states of a recording, and the twin on its batches."""
    states, batches = restored(given.given)
    return states, replace(twin, batches=batches, start=states[0])


def _roundings(run: "TorchRun", states: Sequence[State]) -> "Roundings":
    """Returns the roundings of all steps together."""
    from parity.proof.judging import Roundings

    steps = [Roundings.of(run, number, state) for number, state in enumerate(states[:-1], 1)]
    return Roundings(*(dict(ChainMap(*each)) for each in zip(*steps, strict=True)))


def _about(twin: Twin, states: Sequence[State], environment: dict[str, Any]) -> About:
    from parity.twin.pairing import longest_sum

    return About(
        side="torch",
        name=twin.name,
        section="",
        params=sum(parameter.numel() for parameter in twin.torch.model.parameters()),
        full=False,
        given=fingerprint(flattened(states, twin.batches)),
        longest_sum=longest_sum(twin),
        layout={"axes": twin.axes, "order": twin.order},
        environment=environment,
    )


def record_flax(
    twin: FlaxHalf, given: Recording, *, device: str = "cpu", tf32: bool = False, tiers: tuple[str, ...] = TIERS
) -> Recording:
    """Flax's side of any twin, from the states and on the batches of PyTorch's recording."""
    states, batches = restored(given.given)
    twin = replace(twin, batches=batches, start=states[0])
    where = jax_device(device)
    records = {tier: FlaxRun(twin, tier, where, tf32).teacher_forced(states) for tier in tiers}
    settings = {name: version(name) for name in ("jax", "flax", "optax")}
    settings |= {"device": where.device_kind, "matmul_precision": jax_precision(tf32)}
    asked = given.about
    about = About(
        "flax",
        asked.name,
        asked.section,
        asked.params,
        asked.full,
        asked.given,
        asked.longest_sum,
        environment=settings,
    )
    return Recording(about, _plain(records))


def _plain(records: Mapping[str, Record]) -> dict[str, Record]:
    return {tier: {key: np.asarray(array) for key, array in record.items()} for tier, record in records.items()}


def _check_tensors(given: Recording, ours: dict[str, tuple], start: State) -> None:
    theirs = {key: array.shape for key, array in start.tensors.items()}
    if wrong := sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)):
        key = wrong[0]
        raise InputError(
            f"{given.about.name}: {key} is {theirs.get(key, 'missing')} in the file, {ours.get(key, 'missing')} in Flax"
        )
