"""Optimisers' slots of parameters that nothing moves: PyTorch keeps none without a gradient, Optax zeros."""

import numpy as np

from parity.arrays.key import Key, Record

COUNT = "step"  # which goes on for all parameters together in Optax


def without_idle_slots(oracle: Record, flax: Record) -> tuple[Record, Record]:
    """Returns both records without the slots of parameters of which one side holds none and the other zeros alone.

    Nothing depends on them, and the first number that is none is a difference again.
    """
    return _without_idle(oracle, flax), _without_idle(flax, oracle)


def _without_idle(record: Record, other: Record) -> Record:
    there = {_parameter(key) for key in other if key.phase == "optimizer"}
    alone = [key for key in record if key.phase == "optimizer" and _parameter(key) not in there]
    moments = [key for key in alone if key.slot != COUNT]
    moving = {_parameter(key) for key in moments if np.any(record[key])}
    idle = {_parameter(key) for key in moments} - moving
    left_out = {key for key in alone if _parameter(key) in idle}
    return {key: array for key, array in record.items() if key not in left_out}


def _parameter(key: Key) -> Key:
    return key._replace(slot="")
