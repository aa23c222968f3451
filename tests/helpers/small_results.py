"""Results made by hand for the tests of reports: one that passes, one that fails in several phases, one that broke."""

import math

from keys import key

from parity.compare.rows import Row
from parity.result import Blame, Distance, Result

UGLY = "a<b>&\"'\x00\x1b.weight"


def row(phase, name="output", gap=1e-15, threshold=1e-13, because="16 x noise 6.2e-15"):
    return Row(key(f"{phase}/{name}"), gap, threshold, because, "pass" if gap <= threshold else "fail")


TRAJECTORY = [Distance(n, 1e-7 * n, 2e-7 * n, 1.5e-7 * n, 1e-15) for n in range(1, 6)]
GOOD = Result(
    "good",
    "7.6",
    1234,
    {
        "float64": [
            row("evaluation"),
            row("evaluation", "bn.running_mean", 0.0),
            row("forward"),
            row("forward", "loss"),
            row("gradients", "conv.weight"),
            row("buffers", "bn.running_mean"),
            row("update", "conv.weight"),
            row("step 2 gradients", "conv.weight"),
            row("step 2 update", "conv.weight"),
            row("layer forward", "conv.output"),
            row("layer forward", "bn (call 2).output.0"),
            row("layer backward", "conv.weight"),
        ],
        "float32": [row("forward", gap=1e-7, threshold=1e-6), row("gradients", "conv.weight", 1e-7, 1e-6)],
    },
    seconds=1.5,
    trajectory=TRAJECTORY,
    settings={"probes": 4},
)
BAD = Result(
    "bad",
    "8.5",
    99,
    {
        "float64": [
            row("step 2 update", "conv.weight", 3e-3),
            row("layer forward", "bn.output", 1e-2),
            row("after 5 steps", "conv.weight", 4e-2),
            row("optimizer", "momentum_buffer:conv.weight", 2e-3),
            row("update", "conv.weight", 2e-3),
            row("buffers", "bn.running_var", 1e-3),
            row("gradients", UGLY, math.inf, 0.0, "missing in Flax"),
            row("forward", "loss", 1e-4),
            row("forward", gap=1e-5),
            row("evaluation"),
        ],
        "float32": [row("forward", gap=1e-2, threshold=1e-6)],
    },
    blame=Blame("bn", "buffers", "biased", "bn (BatchNorm2d), buffers: Flax keeps the <biased> variance"),
    skipped={"attention": "arguments [(3,)] in PyTorch, [] in Flax"},
)
BROKEN = Result("broken", "1.1", 0, error="TypeError: <x> & y")
ALL = [GOOD, BAD, BROKEN]
SETTINGS = {"jax": "0.10.2", "XLA_FLAGS": "<none>"}
