"""The step that is proved is the step that users run: a bug planted there is seen, and there is no second one."""

import ast
from pathlib import Path

import numpy as np
import optax
import pytest
from written import ROOT

from d2l_jax.catalog import get
from parity.proof.cases import check_case

UPDATES = {"apply_updates", "value_and_grad"}


def failures(result, tier: str = "float64") -> list[str]:
    return [str(row.key) for row in result.rows[tier] if not row.passed]


@pytest.mark.slow
def test_a_bug_in_the_step_fails_the_check(monkeypatch):
    right = optax.apply_updates
    planted = lambda params, updates: right(params, optax.tree.scale(1 + 1e-6, updates))  # noqa: E731
    monkeypatch.setattr("d2l_jax.train.steps.optax.apply_updates", planted)
    result = check_case(get("sequential-mlp"), steps=1, tiers=("float64",))
    assert result.status == "fail" and failures(result)[0].startswith("update/")
    monkeypatch.undo()
    assert check_case(get("sequential-mlp"), steps=1, tiers=("float64",)).status == "pass"


@pytest.mark.slow
def test_a_bug_in_users_scan_fails_the_float32_tier(monkeypatch):
    """Several steps in a row are one `make_epoch`: here it takes a batch too few."""
    from d2l_jax.train import make_epoch

    def forgetful(one):
        epoch = make_epoch(one)
        return lambda state, data, order: epoch(state, data, np.repeat(order[:1], len(order), 0))

    monkeypatch.setattr("parity.sides.flax.make_epoch", forgetful)
    result = check_case(get("mlp"), steps=3, layers=False)
    assert failures(result) == [] and any("free run" in name for name in failures(result, "float32"))


def calls(path: Path) -> set[str]:
    """The names of the functions that a file calls, and of those that it passes on."""
    tree = ast.parse(path.read_text())
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & UPDATES


@pytest.mark.slow
@pytest.mark.parametrize("room", ["d2l_jax", "parity"])
def test_there_is_no_second_copy_of_the_update(room: str):
    calls_by_file = {str(path.relative_to(ROOT)): calls(path) for path in sorted((ROOT / room).rglob("*.py"))}
    # These take no step: a line search asks for the objective, an evaluation for the slopes of a likelihood.
    asking = dict.fromkeys(["d2l_jax/optim/lbfgs.py", "d2l_jax/algorithms/drawn_curves.py"], {"value_and_grad"})
    assert {name: used for name, used in calls_by_file.items() if used} == (
        {"d2l_jax/train/steps.py": UPDATES} | asking if room == "d2l_jax" else {}
    )


def test_control_a_copy_is_seen(tmp_path):
    (tmp_path / "copy.py").write_text("import jax\nstep = jax.value_and_grad(lambda x: x)\n")
    assert calls(tmp_path / "copy.py") == {"value_and_grad"}
