"""Why an update differs: PyTorch's optimiser with one option altered, until it takes Flax's step."""

from parity.blame.diagnosis.optimizers.explain import explain_update as explain_update
