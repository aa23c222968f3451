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
x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
parameters = [torch.nn.Parameter(torch.ones(2))]
parameters[0].grad = torch.ones(2)
"""
HEAVY = ["torch._dynamo", "torch._inductor", "sympy", "sklearn", "matplotlib", "orbax", "PIL", "torchvision"]


def printed(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", SETTING + code], capture_output=True, text=True)
    assert not ended.returncode, ended.stderr
    return ended.stdout.strip()


def test_a_check_loads_no_compiler_and_nothing_for_pictures_or_data():
    code = """
class Ours(nnx.Module):
    def __init__(self, epsilon):
        self.first = nnx.Linear(4, 6, rngs=nnx.Rngs(0))
        self.second = nnx.LayerNorm(6, epsilon=epsilon, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.second(self.first(x))

for epsilon in (1e-5, 1e-3):
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LayerNorm(6))
    result = parity.check(Ours(epsilon), theirs, x, steps=2)
    print(result.status, result.blame and result.blame.cause)
"""
    ended = printed(f"{code}print([name for name in {HEAVY} if name in sys.modules])")
    assert ended.split("\n") == ["pass None", "fail eps", "[]"]


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
