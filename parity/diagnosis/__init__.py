"""Why a tensor differs between PyTorch and Flax: the cause by name, where one hypothesis explains all of it."""

from parity.diagnosis.cause import Cause
from parity.diagnosis.layers import explain_layer
from parity.diagnosis.losses import explain_loss
from parity.diagnosis.optimizers import explain_update
from parity.diagnosis.tensors import explain_tensor

__all__ = ["Cause", "explain_layer", "explain_loss", "explain_tensor", "explain_update"]
