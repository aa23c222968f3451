"""Proof that a Flax model and a PyTorch model are the same."""

from parity.check import Result as Result
from parity.check import check as check
from parity.weights import load_state_dict as load_state_dict
from parity.weights import state_dict as state_dict
