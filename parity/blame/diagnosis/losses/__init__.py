"""Why a loss differs: PyTorch's loss with one convention altered, or another formula, until it gives Flax's numbers."""

from parity.blame.diagnosis.losses.explain import explain_loss as explain_loss
