"""PyTorch's half: the user's step, repeated from any state, recorded under PyTorch's names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map

from d2l_jax.errors import InputError
from parity.arrays.key import Arrays, Key, Record
from parity.arrays.layout import copied, inverse, of_inputs
from parity.arrays.torch_arrays import to_numpy, to_torch
from parity.models.copies import copy_of
from parity.models.torch_precision import torch_precision
from parity.sides.disturb_layers import Disturb, disturbed_layers
from parity.sides.disturb_operations import rounding_otherwise
from parity.training_step.losses import scalars
from parity.training_step.named_tensors import frozen_copies, named_tensors, of_part, unwrapped
from parity.training_step.seen import Seen
from parity.training_step.several_optimizers import as_module, as_optimizer, beside, moved_by
from parity.training_step.torch_memory import Memory, Snapshot, names_of, reached
from parity.training_step.views import with_parameters, without_children
from parity.twin.twin import State


class TorchStep:
    """The user's step with all that it reaches; `finish` leaves everything as it was."""

    parallel: Any = None
    _dtype = ""

    def __init__(
        self,
        step: Callable,
        model: Any,
        optimizer: Any,
        others: Mapping[str, Any],
        batches: Sequence[Any],
        channels_last: bool,
    ):
        self.step = step
        self.whole = model
        if isinstance(model, DistributedDataParallel):  # it is bound to the precision that it was made in
            self.parallel = model.process_group
            self.model, optimizer, others = copy_of((unwrapped(model), optimizer, dict(others)))
            model = self.model
        self.model = unwrapped(as_module(model) or model)
        self.handed = optimizer
        self.others = dict(others)
        self.batches = batches
        self.channels_last = channels_last
        self.memory = Memory([model, optimizer, self.others, step])
        self.optimizer = as_optimizer(optimizer, reached(self.memory.roots, torch.optim.Optimizer))
        self.model = with_parameters(self.model, beside(self.model, self.optimizer, names_of(self.memory.roots)))
        self.original = self.memory.taken()
        self.scalers = reached(self.memory.roots, torch.amp.GradScaler)
        self.within: Callable[[int], AbstractContextManager] = lambda number: nullcontext()  # for random numbers
        self._random = torch.get_rng_state()

    def set_aside(self) -> None:
        """Has models that nothing trains, target networks and references, as copies of what they are like."""
        copies = frozen_copies(self.model, self.moved())
        if not copies.keys() & self.others.keys():
            self.others = self.others | copies  # the dict of before is put back with all else
            self.model = without_children(self.model, copies)

    def moved(self) -> set[int]:
        """Returns the identities of the parameters that an optimiser moves."""
        return {id(parameter) for parameter in moved_by(self.optimizer) if parameter.requires_grad}

    def finish(self) -> None:
        """Puts everything back exactly as the user had it."""
        self.memory.put(self.original)
        torch.set_rng_state(self._random)

    def put(self, snapshot: Snapshot, dtype: str, disturb: Disturb = np.asarray) -> None:
        """Makes everything as it was then; two names of one tensor stay one."""
        self.memory.put(snapshot, dtype, disturb)

    def taken(self, number: int, dtype: str, disturb: Disturb = np.asarray) -> Record:
        """Takes the step of that number from the present state, its batch and its layers disturbed."""
        before = self.parameters()
        batch = self.batch(self.batches[number - 1], dtype, disturb)
        layers = disturb if dtype == "float64" else np.asarray
        torch.manual_seed(number)
        scalers = _by_themselves(self.scalers)
        roundings = disturbed_layers(self.model, layers), rounding_otherwise(disturb)
        with torch_precision(dtype), scalers, roundings[0], self.within(number), roundings[1]:
            returned = self.step(self._whole(dtype), self.handed, batch)
        record = {Key(number, "forward", name): array for name, array in scalars(returned).items()}
        after = self.parameters()
        record |= {Key(number, "update", name): after[name] - before[name] for name in after}
        record |= {Key(number, "buffers", name): array for name, array in self.buffers().items()}
        for other in self.others:
            tensors = self.tensors_of(other)
            record |= {Key(number, "buffers", name, "", other): to_numpy(value) for name, value in tensors.items()}
        return record | self._slots(number)

    def _whole(self, dtype: str) -> Any:
        """Returns the model as the step takes it; of one that is spread over processes, a new one in each precision."""
        if self.parallel is not None and dtype != self._dtype:
            self.whole = DistributedDataParallel(self.model, process_group=self.parallel)
            self._dtype = dtype
        return self.whole

    def batch(self, batch: Any, dtype: str, disturb: Disturb = np.asarray) -> Any:
        """Returns a batch as PyTorch's step takes it: images channels first, classes as int64."""

        def tensor(x: Any) -> Any:
            if not hasattr(x, "dtype"):
                return x
            array = copied(x, of_inputs(x.ndim) if self.channels_last and x.dtype.kind == "f" else tuple(range(x.ndim)))
            if array.dtype.kind == "f":
                return to_torch(disturb(array.astype(dtype)))
            return torch.as_tensor(array.astype(np.int64) if array.dtype.kind in "iu" and array.itemsize > 1 else array)

        return tree_map(tensor, batch)

    def parameters(self) -> Arrays:
        """Returns the parameters under all of their names."""
        return {name: to_numpy(p) for name, p in self.model.named_parameters(remove_duplicate=False)}

    def buffers(self) -> Arrays:
        """Returns the model's tensors that are no parameters."""
        parameters = {name for name, _ in self.model.named_parameters(remove_duplicate=False)}
        state = self.model.state_dict()
        return {key: to_numpy(value) for key, value in state.items() if key not in parameters}

    def tensors(self) -> Arrays:
        """Returns the whole state_dict."""
        return {key: to_numpy(value) for key, value in self.model.state_dict().items()}

    def tensors_of(self, name: str) -> Mapping[str, torch.Tensor]:
        """Returns the tensors of something in `torch_state` by the model's names; of a scheduler, none."""
        return of_part(name, named_tensors(self.others[name], self.model), self.model)

    def state(self) -> State:
        """Returns weights, buffers and slots as numbers."""
        slots = {
            name: {slot: to_numpy(torch.as_tensor(v)) for slot, v in self.optimizer.state[p].items() if v is not None}
            for name, p in self.model.named_parameters()
            if p in self.optimizer.state and self.optimizer.state[p]
        }
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups = self.optimizer.param_groups
        rated = [group for group in groups if "lr" in group]
        rates = {names[id(p)]: float(group["lr"]) for group in rated for p in group["params"] if id(p) in names}
        return State(self.tensors(), slots, rates)

    def _slots(self, number: int) -> Record:
        return {
            Key(number, "optimizer", name, "", slot): array
            for name, slots in self.state().slots.items()
            for slot, array in slots.items()
        }

    @contextmanager
    def watched(self) -> Iterator[Seen]:
        """Notes what happens in the steps within the block."""
        seen = Seen()
        names = {id(p): name for name, p in self.model.named_parameters()}

        def added(name: str, gradient: torch.Tensor) -> None:
            if not seen.passes or name in seen.passes[-1]:
                seen.passes.append({})
                here = ((to_numpy(p), seen.before[name]) for name, p in self.model.named_parameters() if seen.before)
                seen.away.append(not all(np.array_equal(now, then) for now, then in here))
            scale = next((scaler.get_scale() for scaler in self.scalers), 1.0)
            seen.passes[-1][name] = to_numpy(gradient) / scale

        def applied(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            every = [p for group in optimizer.param_groups for p in group["params"] if id(p) in names]
            seen.applied.append({names[id(p)]: to_numpy(p.grad) for p in every if p.grad is not None})
            seen.optimizers.append(optimizer)
            seen.backward.append(len(seen.passes))
            seen.options.append([{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups])

        handles = [self.optimizer.register_step_pre_hook(applied)]
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                handles.append(parameter.register_hook(lambda gradient, name=name: added(name, gradient)))
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def _by_themselves(scalers: Sequence[torch.amp.GradScaler]) -> Iterator[None]:
    """Lets gradient scalers have their float32, which their operators demand, where float32 stands for float64."""

    def plainly(method: Callable, *args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return method(*args, **kwargs)

    names = ("scale", "unscale_", "step", "update")
    for scaler in scalers:
        vars(scaler).update({name: partial(plainly, getattr(scaler, name)) for name in names})
    try:
        yield
    finally:
        for scaler, name in product(scalers, names):
            vars(scaler).pop(name, None)


Inputs = tuple[tuple[np.ndarray, ...], tuple[torch.Tensor, ...]]


def first_inputs(step: TorchStep) -> Inputs | None:
    """Returns what the first call of PyTorch's model is given, channels last and as it is; None of other things.

    Raises InputError where the step does not run on the first batch.
    """
    calls: list[tuple] = []
    handle = step.model.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
    )
    step.put(step.original, "float32")
    try:
        step.taken(1, "float32")
    except InputError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise InputError(f"torch_step does not run on the first batch: {type(error).__name__}: {reason}") from error
    finally:
        handle.remove()
    args = calls[0][0] if calls and not calls[0][1] else ()
    if not args or not all(isinstance(x, torch.Tensor) for x in args):
        return None
    tensors = tuple(x.detach().float() if x.is_floating_point() else x for x in args)
    axes = [inverse(of_inputs(x.ndim)) if step.channels_last and x.is_floating_point() else None for x in tensors]
    arrays = [to_numpy(x) for x in tensors]
    return tuple(a if order is None else copied(a, order) for a, order in zip(arrays, axes, strict=True)), tensors
