"""A trial: a loss under one hypothesis, or the value and the gradient that it would give."""

from collections.abc import Callable

import numpy as np
import torch

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
# A name, a line for people, the loss under this hypothesis.
AlteredLoss = tuple[str, str, Loss]
# A name, a line for people, value and gradient under this hypothesis.
Explanation = tuple[str, str, list[np.ndarray]]
