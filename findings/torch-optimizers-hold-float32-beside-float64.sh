#!/bin/sh
# NAdam and ASGD keep part of their state in float32 beside parameters of float64.
#
# One would guess: an optimiser's state has the dtype of its parameter, so that 100 steps in float64 are float64 throughout.
# What happens: NAdam's mu_product and ASGD's eta and mu are float32 tensors, so that after a step ASGD's rate of 0.01 is float32's 0.01,
#   and a port of either that computes in float64 parts from PyTorch in the eighth digit. A parameter of float64 moves by that rate.
# Versions: torch 2.14.1, CPU, Python 3.11.
# Source: torch/optim/nadam.py and asgd.py: these entries are made with _get_scalar_dtype(), which is float32 unless the default dtype is float64.
#
# Output seen:
#   NAdam: {'step': 'float32', 'mu_product': 'float32', 'exp_avg': 'float64', 'exp_avg_sq': 'float64'}
#   ASGD: {'step': 'float32', 'eta': 'float32', 'mu': 'float32', 'ax': 'float64'}
#   ASGD's first step of 0.01 on a slope of 1: 0.009999999776482582
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 numpy
cat > "$work/state.py" <<'END'
import sys

import torch

seen = {}
for kind in (torch.optim.NAdam, torch.optim.ASGD):
    parameter = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = kind([parameter], lr=0.01)
    for _ in range(2):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    seen[kind.__name__] = {name: str(value.dtype)[6:] for name, value in optimizer.state[parameter].items()}
    print(f"{kind.__name__}: {seen[kind.__name__]}")
parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
parameter.grad = torch.ones_like(parameter)
torch.optim.ASGD([parameter], lr=0.01, lambd=0.0).step()
moved = -parameter.item()
print(f"ASGD's first step of 0.01 on a slope of 1: {moved}")
right = seen["NAdam"]["mu_product"] == "float32" and seen["ASGD"]["eta"] == "float32" and moved != 0.01
sys.exit(not right)
END
"$work/env/bin/python" "$work/state.py"
