"""How a user's own pair learns: a loss and an optimiser on either side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import jax.numpy as jnp
import optax
import torch

from d2l_jax import optim
from d2l_jax.errors import InputError
from d2l_jax.turns import Observed, Turn, supervised
from parity.arrays.layout import named_leaves
from parity.models.flax_model import FlaxModel
from parity.reference import losses as torch_losses
from parity.reference import optimizers
from parity.reference import turns as torch_turns
from parity.twin.losses import in_precision, of_classes, of_probabilities
from parity.twin.rates import scheduler_of
from parity.twin.torch_side import namesake, torch_optimizer
from parity.twin.twin import FlaxSide, TorchSide, TorchTurn, leave
from parity.twin.whole_arrays import of_whole_arrays

FlaxAndTorch = tuple[Any, Any]
RIGHT = {
    "loss": "a function of d2l_jax.losses, or (Flax's, PyTorch's), each of (outputs, targets),",
    "scheduler": "lambda optimizer: StepLR(optimizer, 2)",
    "before_step": "lambda model: clip_grad_norm_(model.parameters(), 1.0)",
}
PLAIN_SGD = partial(optim.SGD, lr=0.1)
SLOWER = partial(optim.SGD, lr=1e-5), partial(optim.SGD, lr=1e-8)  # in its place, in turn, where training diverges


@dataclass(frozen=True)
class Learning:
    """A loss and an optimiser; see `parity.check`."""

    loss: Callable | FlaxAndTorch | None = None
    optimizer: Callable | FlaxAndTorch = PLAIN_SGD
    scheduler: Callable | None = None
    before_step: Callable | None = None

    def __post_init__(self) -> None:
        functions = {"scheduler": self.scheduler, "before_step": self.before_step}
        for name, function in functions.items():
            if function is not None and not callable(function):
                raise InputError(f"{name}={function!r} is no function; {RIGHT[name]} is right")
        losses = self.loss if isinstance(self.loss, tuple) else (self.loss,)
        if self.loss is not None and not all(map(callable, losses)) or len(losses) not in (1, 2):
            raise InputError(f"loss={self.loss!r} is no function; {RIGHT['loss']} is right")
        if _of_torch(losses[0]):
            alone = "loss is PyTorch's alone" if len(losses) == 1 else "the first loss is PyTorch's"
            raise InputError(f"{alone}; {RIGHT['loss']} is right")

    @property
    def plain(self) -> bool:
        """Tells whether the user has said nothing of the optimiser."""
        return self.optimizer in (PLAIN_SGD, *SLOWER)

    def of_classes(self, outputs: Any) -> bool:
        """Tells whether the targets of outputs, which are shapes of Flax's, have to be classes."""
        return self.loss is not None and of_classes(_losses(self.loss), outputs)

    def of_probabilities(self, outputs: Any) -> bool:
        """Tells whether the targets of outputs, which are shapes of Flax's, have to be within 0 and 1."""
        return self.loss is not None and of_probabilities(_losses(self.loss)[1], outputs)

    def sides(self, flax: FlaxModel, model: torch.nn.Module, outputs: Any) -> tuple[FlaxSide, TorchSide]:
        """Returns both models with the one turn in which they learn; outputs: Flax's, as shapes."""
        flax_loss, torch_loss = _losses(self.loss, [name for name, _ in named_leaves(outputs, "output")])
        transformation, make = _optimizers(self.optimizer)
        turn = TorchTurn(
            torch_turns.Supervised(torch_loss),
            make,
            scheduler=self.scheduler or scheduler_of(self.optimizer),
            prepare=self.before_step or leave,
        )
        ours = FlaxSide(flax, supervised(flax_loss, of_whole_arrays(flax, transformation)), Observed(flax_loss))
        return ours, TorchSide(model, (turn,), torch_turns.Observed(torch_loss))


def _of_torch(function: Any) -> bool:
    function = function.func if isinstance(function, partial) else function
    return isinstance(function, torch.nn.Module) or str(getattr(function, "__module__", "")).startswith("torch")


def _optimizers(
    optimizer: Callable | FlaxAndTorch,
) -> tuple[optax.GradientTransformation, Callable[[torch.nn.Module], torch.optim.Optimizer]]:
    if isinstance(optimizer, tuple):
        transformation, make = optimizer if len(optimizer) == 2 else (None, None)
        if not isinstance(transformation, optax.GradientTransformation) or not callable(make):
            raise InputError("optimizer=(an Optax transformation, a function of PyTorch's parameters) is right")
        return transformation, lambda model: cast(torch.optim.Optimizer, make(model.parameters()))
    if not isinstance(optimizer, partial) or optimizer.args:
        raise InputError(
            "optimizer is a partial of a factory of d2l_jax.optim with named options, or a pair for both sides;"
            f" {getattr(optimizer, '__name__', optimizer)!r} is neither"
        )
    namesake(optimizer, torch.optim, optimizers)
    return optimizer(), partial(torch_optimizer, Turn(leave, optimizer))  # type: ignore[arg-type]


def _losses(loss: Callable | FlaxAndTorch | None, names: Sequence[str] = ()) -> FlaxAndTorch:
    """Returns both losses; names: of Flax's outputs, in the order of their targets."""
    if loss is None:
        return _squares(jnp, names), _squares(torch, names)
    if isinstance(loss, tuple):
        return loss[0], in_precision(loss[1])
    return loss, in_precision(namesake(loss, torch_losses))


def _squares(numpy: Any, names: Sequence[str]) -> Callable:
    """Returns half the mean square of every output's distance to its target; a record's fields stand in any order."""

    def loss(outputs: Any, targets: Any) -> Any:
        by_name = dict(named_leaves(outputs, "output"))
        arrays = [by_name[name] for name in names]
        expected = targets if isinstance(targets, list) else [targets]
        floating = [(a, t) for a, t in zip(arrays, expected, strict=True) if "float" in str(a.dtype)]
        return sum(numpy.mean((a - t) ** 2) / 2 for a, t in floating)

    return loss
