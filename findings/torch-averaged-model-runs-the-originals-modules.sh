#!/bin/sh
# An averaged copy of a model whose feed-forward is a lambda over its submodules computes with the live model's weights.
#
# One would guess: AveragedModel(model) is a model of its own, whose outputs change only by update_parameters.
# What happens: it is a deep copy, and copy.deepcopy hands functions on as they are. A block that keeps
#   self.feed = lambda x: m.last(m.first(x)), as minGPT's does, goes on running the original's first and last layers: the copy has
#   its own tensors, the average moves them, and no output of the copy depends on them. Nothing warns.
# Versions: torch 2.14.1, CPU, Python 3.11.
# Source: torch/optim/swa_utils.py (AveragedModel), Python's copy module (functions are atomic).
#
# Output seen:
#   the average holds its own weights: True
#   zeroing the average's weights changes its output: False
#   zeroing the live model's weights changes the average's output: True
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 numpy
cat > "$work/average.py" <<'END'
import sys

import torch
from torch.optim.swa_utils import AveragedModel


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = torch.nn.ModuleDict({"first": torch.nn.Linear(3, 4), "last": torch.nn.Linear(4, 2)})
        m = self.parts
        self.feed = lambda x: m["last"](torch.relu(m["first"](x)))

    def forward(self, x):
        return self.feed(x)


def zeroed(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


torch.manual_seed(0)
live = Block()
average = AveragedModel(live)
x = torch.ones(1, 3)
own = all(a is not b for a, b in zip(average.parameters(), live.parameters()))
before = average(x)
zeroed(average)
by_its_own = not torch.equal(average(x), before)
zeroed(live)
by_the_live = not torch.equal(average(x), before)
print(f"the average holds its own weights: {own}")
print(f"zeroing the average's weights changes its output: {by_its_own}")
print(f"zeroing the live model's weights changes the average's output: {by_the_live}")
sys.exit((own, by_its_own, by_the_live) != (True, False, True))
END
"$work/env/bin/python" "$work/average.py"
