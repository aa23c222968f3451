"""PyTorch's functions under other conventions, where a model calls them outside of any layer that Flax has too."""

from parity.blame.diagnosis.functions.altering import Altering as Altering
from parity.blame.diagnosis.functions.trials import function_trials as function_trials
