#!/bin/sh
# The gradient of hardsigmoid in float64 has 1/6 in float32.
#
# One would guess: in float64 the slope between -3 and 3 is 1/6 to sixteen digits, as it is of relu6(x + 3) / 6.
# What happens: on a CPU it is float32's 1/6, off by 3e-8, so that a numerical check of second order, or a comparison with
#   another framework in float64, sees another function. The values themselves are right to all digits.
# Versions: torch 2.14.1 (CPU), Python 3.11.
# Source: aten/src/ATen/native/cpu/Activation.cpp, hardsigmoid_backward_kernel.
#
# Output seen:
#   hardsigmoid: value off by 0.0e+00, slope off by 5.0e-09
#   relu6(x + 3) / 6: value off by 0.0e+00, slope off by 0.0e+00
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 numpy
cat > "$work/slope.py" <<'END'
import sys

import torch
import torch.nn.functional as F

x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
expected = (x.item() + 3) / 6
off = {}
for name, y in {"hardsigmoid": F.hardsigmoid(x), "relu6(x + 3) / 6": F.relu6(x + 3) / 6}.items():
    (slope,) = torch.autograd.grad(y.sum(), x)
    off[name] = abs(y.item() - expected), abs(slope.item() - 1 / 6)
    print(f"{name}: value off by {off[name][0]:.1e}, slope off by {off[name][1]:.1e}")
right = off["hardsigmoid"][0] < 1e-15 and 1e-9 < off["hardsigmoid"][1] < 1e-7
sys.exit(not (right and max(off["relu6(x + 3) / 6"]) < 1e-15))
END
"$work/env/bin/python" "$work/slope.py"
