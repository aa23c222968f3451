"""Why a tensor differs between PyTorch and Flax: the cause by name, where one hypothesis explains all of it."""

from parity.blame.diagnosis.cause import Cause
from parity.blame.diagnosis.layers import explain_layer
from parity.blame.diagnosis.losses import explain_loss
from parity.blame.diagnosis.optimizers import explain_update
from parity.blame.diagnosis.tensors import explain_tensor

__all__ = ["Cause", "explain_layer", "explain_loss", "explain_tensor", "explain_update"]
