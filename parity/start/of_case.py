"""The start of a case of the catalogue."""

import torch

from d2l_jax.case import Case
from d2l_jax.weights.leaf import Leaf
from parity.start.compare import Started, compared
from parity.start.draws import FreshFlax, exported, seeds_for, torch_arrays, torch_draws
from parity.start.modes import compare_modes
from parity.start.naming import Fans
from parity.twin.torch_side import torch_model
from parity.twin.twin import Twin


def compare_case(case: Case, fresh: FreshFlax, twin: Twin) -> list[Started]:
    """Returns every tensor of a case, and the mode of every module, as fresh models of both sides have them."""
    seeds = seeds_for(sum(parameter.numel() for parameter in twin.torch.model.parameters()))
    ours = [exported(twin.leaves, tree, tree) for tree in fresh.draws(seeds)]
    models = list(torch_draws(lambda: torch_model(case, probe=True), seeds))
    theirs = [torch_arrays(model, twin.leaves) for model in models]
    return compare_modes(fresh.model, models[0], twin.names) + compared(ours, theirs, fans_of(twin.leaves, models[0]))


def fans_of(tensors: list[Leaf], model: torch.nn.Module) -> dict[str, Fans]:
    """Returns the fans of every weight; of the book's own layout, which Flax's is too, the inputs come first."""
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    return {
        leaf.name: Fans.of(shapes[leaf.key], leaf.axes == tuple(range(len(leaf.axes))))
        for leaf in tensors
        if len(shapes[leaf.key]) > 1
    }
