"""Cases of chapter 6: building blocks, with a loss only so that their gradients can be compared."""

from functools import partial

from d2l_jax import losses, models
from d2l_jax.case import Case, supervised

Block = partial(supervised, labels=False, loss=losses.mse)
WIDE = {"num_inputs": 19, "num_hiddens": 37, "num_outputs": 11}
SMALL = {"num_inputs": 9, "num_hiddens": 7, "num_outputs": 3}

BUILDERS: tuple[Case, ...] = (
    Block(
        "sequential-mlp",
        "6.1",
        "Sequential MLP 20-256-10 (builders guide)",
        models.sequential_mlp,
        (2, 20),
        probe=WIDE,
        probe_inputs=(5, 19),
    ),
    Block(
        "mlp-custom",
        "6.1",
        "MLP (builders guide)",
        models.CustomMLP,
        (2, 20),
        probe=WIDE,
        probe_inputs=(5, 19),
    ),
    Block(
        "my-sequential",
        "6.1",
        "MySequential",
        models.my_sequential_mlp,
        (2, 20),
        probe=WIDE,
        probe_inputs=(5, 19),
    ),
    Block(
        "fixed-hidden-mlp",
        "6.1",
        "FixedHiddenMLP",
        models.FixedHiddenMLP,
        (2, 20),
        probe={"num_inputs": 19},
        probe_inputs=(5, 19),
    ),
    Block(
        "chimera",
        "6.1",
        "chimera (NestMLP + Linear + FixedHiddenMLP)",
        models.chimera,
        (2, 20),
        probe={"num_inputs": 9},
        probe_inputs=(5, 9),
    ),
    Block(
        "nest-mlp",
        "6.1",
        "NestMLP",
        models.NestMLP,
        (2, 20),
        probe={"num_inputs": 9},
        probe_inputs=(5, 9),
    ),
    Block(
        "sequential-481",
        "6.2",
        "Sequential MLP 4-8-1 (parameter management)",
        models.sequential_mlp,
        (2, 4),
        args={"num_inputs": 4, "num_hiddens": 8, "num_outputs": 1},
        probe=SMALL,
        probe_inputs=(5, 9),
    ),
    Block(
        "tied-mlp",
        "6.2",
        "tied-parameter MLP",
        models.tied_mlp,
        (2, 4),
        probe=SMALL,
        probe_inputs=(5, 9),
    ),
    Block(
        "centered",
        "6.5",
        "Linear + CenteredLayer",
        models.centered_linear,
        (4, 8),
        probe={"num_inputs": 9, "num_outputs": 37},
        probe_inputs=(5, 9),
    ),
    Block(
        "my-linear",
        "6.5",
        "MyLinear",
        models.MyLinear,
        (2, 5),
        args={"in_units": 5, "units": 3},
        probe={"in_units": 9, "units": 7},
        probe_inputs=(5, 9),
    ),
    Block(
        "my-linear-x2",
        "6.5",
        "MyLinear x2",
        models.my_linear_mlp,
        (2, 64),
        probe=SMALL,
        probe_inputs=(5, 9),
    ),
    Block(
        "mlp-io",
        "6.6",
        "MLP (file I/O)",
        models.SavedMLP,
        (2, 20),
        probe=WIDE,
        probe_inputs=(5, 19),
    ),
)
