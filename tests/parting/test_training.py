"""Averages of a model, fused and scheduled steps, and what a step writes and loads, that differ."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from flax import nnx
from jax._src.interpreters.partial_eval import JaxprStackFrame
from torch.optim.swa_utils import AveragedModel
from versions import is_from


@pytest.mark.filterwarnings("ignore")
def test_an_average_of_a_model_with_dropout(promoting):
    ours = nnx.Sequential(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    average = nnx.EMA(ours, 0.9)
    with pytest.raises(TypeError, match="key<fry>"):
        average.update(ours)
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    AveragedModel(theirs).update_parameters(theirs)


def trained(**options: bool) -> torch.Tensor:
    """Returns parameters after 20 steps of Adam."""
    random = torch.Generator().manual_seed(0)
    parameter = torch.randn(10000, generator=random, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=0.01, **options)
    for _ in range(20):
        parameter.grad = torch.randn(10000, generator=random, dtype=torch.float64)
        optimizer.step()
    return parameter.detach()


def test_fused_steps_of_adam():
    one_by_one, fused = trained(foreach=False), trained(fused=True)
    assert torch.equal(one_by_one, trained(foreach=True))
    if torch.equal(one_by_one, fused):
        pytest.skip("this processor rounds both alike")
    torch.testing.assert_close(one_by_one, fused, rtol=0, atol=1e-14)


def rates(count: int, make) -> list[float]:
    """Returns the rates of PyTorch's scheduler before each of `count` calls of it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = make(optimizer)
    seen = []
    for _ in range(count):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*[1.0] * isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau))
    return seen


def test_patience_on_a_plateau(promoting):
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    assert rates(6, lambda o: plateau(o, factor=0.5, patience=2))[1:] == [1, 1, 1, 0.5, 0.5]
    tx = optax.contrib.reduce_on_plateau(factor=0.5, patience=2)
    state, ours = tx.init(jnp.ones(1)), []
    for _ in range(5):
        _, state = tx.update(jnp.ones(1), state, value=1.0)
        ours.append(float(state.scale))  # type: ignore[attr-defined]
    assert ours == [1, 1, 0.5, 0.5, 0.25]


def test_the_peak_of_one_cycle(promoting):
    cycle = torch.optim.lr_scheduler.OneCycleLR
    assert rates(9, lambda o: cycle(o, 1.0, total_steps=10, pct_start=0.3)).index(1.0) == 2
    ours = optax.cosine_onecycle_schedule(10, 1.0, pct_start=0.3)
    assert [float(ours(count)) == 1 for count in range(5)].index(True) == 3


def test_the_momentum_of_muon():
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    muon, sgd = torch.optim.Muon([weight]), torch.optim.SGD([weight], momentum=0.95)
    muon.step()
    sgd.step()
    buffers = [optimizer.state[weight]["momentum_buffer"][0, 0].item() for optimizer in (muon, sgd)]
    assert buffers == pytest.approx([0.05, 1])


def assign(variable: nnx.Variable, x: jax.Array) -> None:
    variable[...] = x


@pytest.mark.skipif(is_from("jax", "0.11"), reason="newer ones search nothing")
def test_what_an_assignment_searches_while_jax_traces(monkeypatch: pytest.MonkeyPatch):
    searches = []
    search = JaxprStackFrame.find_progenitors
    monkeypatch.setattr(JaxprStackFrame, "find_progenitors", lambda *args: searches.append(1) or search(*args))

    def count(write) -> int:
        searches.clear()
        jax.jit(lambda x: write(nnx.Variable(x), jnp.sin(x))).trace(jnp.ones(3))
        return len(searches)

    assert count(assign) > 0 and count(nnx.Variable.set_value) == 0


@pytest.mark.slow
def test_what_an_optimiser_loads():
    loaded = "print('torch._dynamo' in sys.modules)"
    make = "torch.optim.SGD([torch.ones(1, requires_grad=True)])"
    code = f"import sys, torch; {loaded}; {make}; {loaded}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"]
