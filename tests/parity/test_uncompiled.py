"""PyTorch's compiler is loaded by a check only where a model uses it."""

import subprocess
import sys

import pytest

SETTING = """
import inspect, sys, numpy as np, torch
from contextlib import nullcontext
from flax import nnx
import parity
from parity.sides.uncompiled import REMEMBERED, made_uncompiled, step_uncompiled
x = np.ones((3, 4), np.float32)
parameters = [torch.nn.Parameter(torch.ones(2))]
parameters[0].grad = torch.ones(2)
"""
HEAVY = ["torch._dynamo", "torch._inductor", "sklearn", "matplotlib", "orbax", "PIL", "torchvision"]


def printed(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", SETTING + code], capture_output=True, text=True)
    assert not ended.returncode, ended.stderr
    return ended.stdout.strip()


def test_a_check_loads_no_compiler_and_nothing_for_pictures_or_data():
    code = "r = parity.check(lambda: nnx.Linear(4, 2, rngs=nnx.Rngs(0)), torch.nn.Linear(4, 2), x, steps=2)\n"
    assert printed(f"{code}print(r.status, [name for name in {HEAVY} if name in sys.modules])") == "pass []"


@pytest.mark.parametrize(
    "kind", ["SGD(parameters, 0.5, momentum=0.9)", "Adam(parameters, 0.5)", "AdamW(parameters, 0.5)"]
)
def test_an_optimiser_steps_as_ever_without_the_compiler(kind: str):
    ends = {}
    for loaded in (False, True):  # the control: as PyTorch has it
        making = "made_uncompiled()" if not loaded else "nullcontext()"
        step = "step_uncompiled(optimizer)" if not loaded else "optimizer.step()"
        code = f"with {making}:\n    optimizer = torch.optim.{kind}\n{step}\n"
        end, there = printed(f"{code}print(parameters[0].tolist(), 'torch._dynamo' in sys.modules)").rsplit(" ", 1)
        assert there == str(loaded)
        ends[loaded] = end
    assert ends[False] == ends[True]


def test_the_compiler_works_afterwards():
    code = """
with made_uncompiled():
    optimizer = torch.optim.Adam(parameters, 0.5)
step_uncompiled(optimizer)
assert not hasattr(inspect.unwrap(torch.optim.Optimizer.add_param_group), REMEMBERED)
torch.compile(optimizer.step, backend="eager")()
torch.optim.SGD(parameters)
print(torch.compile(lambda x: x * 2, backend="eager")(torch.ones(1)).item(), hasattr(torch._dynamo, "optimize"))
step_uncompiled(optimizer)
"""
    assert printed(code) == "2.0 True"


def test_an_optimiser_with_hooks_has_the_compiler():
    code = """
with made_uncompiled():
    optimizer = torch.optim.SGD(parameters, 0.5)
double = lambda x: torch.compile(lambda x: x * 2, backend="eager")(x)
optimizer.register_step_pre_hook(lambda *_: print(double(torch.ones(1)).item()))
step_uncompiled(optimizer)
"""
    assert printed(code) == "2.0"
