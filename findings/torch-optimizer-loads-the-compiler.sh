#!/bin/sh
# Making an eager optimiser loads torch.compile, and a gradient with cotangents loads a computer algebra system.
#
# One would guess: a program that never calls torch.compile does not load it, as `import torch` alone does not.
# What happens: the constructor of torch.optim.SGD loads torch._dynamo and with it some 890 further modules, more than a
#   second of CPU time in a new process; torch.autograd.grad with `grad_outputs` loads sympy (by the symbolic shapes in
#   which it compares those of outputs and cotangents), and the same gradient of (y * cotangent).sum() does not.
# Versions: torch 2.14.1 (CPU), Python 3.11.
# Source: torch/optim/optimizer.py, add_param_group under torch._disable_dynamo; torch/autograd/__init__.py, _make_grads.
#
# Output seen:
#   import torch: torch._dynamo False, sympy False
#   a gradient of (y * cotangent).sum(): torch._dynamo False, sympy False
#   torch.autograd.grad(y, x, grad_outputs=cotangent): torch._dynamo False, sympy True
#   torch.optim.SGD(parameters, lr=0.1): torch._dynamo True, sympy True
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 numpy
cat > "$work/loads.py" <<'END'
import subprocess
import sys

START = "import sys, torch; x = torch.ones(3, requires_grad=True); y = x * 2; c = torch.ones(3)\n"
STEPS = {
    "import torch": ("", (False, False)),
    "a gradient of (y * cotangent).sum()": ("torch.autograd.grad((y * c).sum(), x)", (False, False)),
    "torch.autograd.grad(y, x, grad_outputs=cotangent)": ("torch.autograd.grad(y, x, grad_outputs=c)", (False, True)),
    "torch.optim.SGD(parameters, lr=0.1)": ("torch.optim.SGD([x], lr=0.1)", (True, True)),
}
right = True
for name, (code, expected) in STEPS.items():
    end = "\nprint('torch._dynamo' in sys.modules, 'sympy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", START + code + end], capture_output=True, text=True, check=True).stdout
    loaded = tuple(word == "True" for word in out.split())
    print(f"{name}: torch._dynamo {loaded[0]}, sympy {loaded[1]}")
    right &= loaded == expected
sys.exit(not right)
END
"$work/env/bin/python" "$work/loads.py"
