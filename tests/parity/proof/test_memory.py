"""A check that cannot fit into memory says so before it starts; what there is, is read from the machine's files."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_pair import INPUTS, SmallTorch, small

from d2l_jax import InputError
from d2l_jax.catalog import get
from parity.cli import main
from parity.proof.cases import check_case, check_cases
from parity.proof.checking import Checking
from parity.proof.free_memory import free_memory
from parity.proof.memory import check_cases_fit, needed, size_of_twin
from parity.proof.proof import check_twin
from parity.proof.size import Size, size_of
from parity.twin.of_pair import twin_of_pair
from parity.twin.pairing import twin_of

GIGABYTE = 10**9
LARGE = ("vgg11", "alexnet", "resnet18")
SIZES = {name: size_of(get(name), full=True) for name in LARGE}


def refusal(sizes: dict[str, Size], jobs: int, free: float) -> str:
    with pytest.raises(InputError) as error:
        check_cases_fit(sizes, jobs, Checking(full=True, memory=int(free * GIGABYTE)))
    return str(error.value)


def test_what_does_not_fit_is_one_line_with_what_is_needed_what_is_free_and_what_is_right():
    assert refusal(SIZES, 1, 12) == (
        "vgg11 needs about 16.2 GB of memory, and 12.0 GB are free; its small size, without --full, is right"
    )


def test_control_what_fits_is_not_refused():
    check_cases_fit(SIZES, 1, Checking(full=True, memory=18 * GIGABYTE))
    check_cases_fit(SIZES, 3, Checking(full=True, memory=30 * GIGABYTE))
    check_cases_fit({}, 2, Checking(memory=1))


def test_fewer_workers_are_right_where_all_side_by_side_do_not_fit():
    line = refusal(SIZES, 3, 24)
    assert line.startswith("--jobs 3, with vgg11, alexnet, resnet18 side by side, needs about 25.0 GB")
    assert line.endswith("24.0 GB are free; --jobs 2 is right")
    assert refusal(SIZES, 2, 20).endswith("--jobs 1 is right")


def test_nothing_is_run_where_the_cases_do_not_fit():
    heard: list[str] = []
    with pytest.raises(InputError, match="mlp needs about"):
        list(check_cases([get("mlp")], listener=lambda *_: heard.append("phase"), memory=100_000))
    assert not heard


@pytest.mark.parametrize(
    "args, words",
    [
        (
            ["alexnet", "--full", "--memory", "2"],
            "alexnet needs about 6.5 GB of memory, and 2.0 GB are free; its small",
        ),
        (["my-linear", "mlp", "--jobs", "2", "--memory", "1.5"], "side by side, needs about 2.0 GB of memory"),
        (["my-linear", "--memory", "0"], "more than 0 GB is right"),
        (["my-linear", "--devices", "2", "--memory", "1"], "it does not go with --memory"),
    ],
)
def test_the_command_refuses_in_one_line_with_status_2(args, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["check", *args])
    message = capsys.readouterr().err
    assert exit.value.code == 2 and words in message
    assert message.startswith("error: ") and message.count("\n") == 1


@pytest.mark.slow
def test_a_case_alone_is_refused_before_its_first_step():
    heard: list[str] = []
    result = check_case(get("mlp"), memory=100_000, listener=lambda _, phase: heard.append(phase))
    assert result.refused and "a single step, a smaller batch or a smaller model is right" in result.error
    assert heard == ["two models"]
    assert check_case(get("mlp"), steps=1, layers=False, tiers=("float64",), memory=4 * GIGABYTE).status == "pass"


@pytest.mark.slow
def test_an_own_pair_that_does_not_fit_is_refused():
    twin = twin_of_pair(small(), SmallTorch(), (INPUTS,))
    with pytest.raises(
        InputError, match=r"Small needs about 0\.\d MB of memory, and 0\.1 MB are free; a single step, "
    ):
        check_twin(twin, memory=100_000)


def test_the_size_of_a_twin_counts_parameters_buffers_slots_and_what_layers_put_out():
    twin = twin_of(get("lenet"), steps=1)
    model = twin.torch.model
    size = size_of_twin(twin)
    assert (size.tensors, size.numbers, size.slots) == (10, sum(p.numel() for p in model.parameters()), 0)
    assert size.outputs > 3 * len(twin.batches[0].inputs[0]) * 10
    assert size_of_twin(twin_of(get("lenet5"), steps=1)).slots == size_of(get("lenet5")).slots


def test_more_of_anything_needs_more():
    plain = Size(numbers=10**6)
    assert needed(plain, 1) < needed(plain, 2) <= needed(plain, 5) < needed(plain, 20)
    assert needed(plain, 1) < needed(plain._replace(slots=10**6), 1)
    assert needed(plain, 1) < needed(plain._replace(outputs=10**6), 1)


MEMINFO = "MemTotal: 9000 kB\nMemAvailable: 5000 kB\nSwapFree: 1000 kB\nHugePages_Total: 0\n"


def machine(root: Path, **files: str) -> Path:
    """Returns the root of a file system with these files; __ is / in their names."""
    for name, text in {"proc__meminfo": MEMINFO, **files}.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_machine_has_what_is_available_and_swap(tmp_path):
    assert free_memory(machine(tmp_path)) == 6000 * 1024


def test_a_group_of_version_2_may_have_less_and_gets_its_cache_back(tmp_path):
    group = {
        "memory.max": "3000000\n",
        "memory.current": "2000000\n",
        "memory.stat": "anon 5\ninactive_file 400000\n",
    }
    files = {f"sys__fs__cgroup__a__{name}": text for name, text in group.items()}
    assert free_memory(machine(tmp_path, proc__self__cgroup="0::/a/b\n", **files)) == 1_400_000


def test_a_group_of_version_1(tmp_path):
    group = {"memory.limit_in_bytes": "3000000\n", "memory.usage_in_bytes": "1000000\n"}
    files = {f"sys__fs__cgroup__memory__{name}": text for name, text in group.items()}
    assert free_memory(machine(tmp_path, proc__self__cgroup="5:cpu:/x\n4:memory:/x/y\n", **files)) == 2_000_000


def test_control_a_group_without_a_limit_changes_nothing(tmp_path):
    files = {"sys__fs__cgroup__memory.max": "max\n", "sys__fs__cgroup__memory.current": "2000000\n"}
    assert free_memory(machine(tmp_path, proc__self__cgroup="0::/\n", **files)) == 6000 * 1024


def test_nothing_is_refused_where_nobody_says_what_is_free(tmp_path):
    assert free_memory(tmp_path) is None


MEASURED = """
import numpy as np, sys, torch
from flax import nnx
import parity
from parity.bench.memory import forget_peak, peak
wide = 1200
parity.check("my-linear", steps=1)
before = forget_peak()
ours = nnx.Sequential(nnx.Linear(wide, wide, rngs=nnx.Rngs(0)), nnx.Linear(wide, wide, rngs=nnx.Rngs(0)))
theirs = torch.nn.Sequential(torch.nn.Linear(wide, wide), torch.nn.Linear(wide, wide))
assert parity.check(ours, theirs, np.ones((3, wide), np.float32), steps=int(sys.argv[1])).status == "pass"
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4])
def test_the_estimate_is_near_what_a_check_takes(steps):
    done = subprocess.run([sys.executable, "-c", MEASURED, str(steps)], capture_output=True, text=True, check=True)
    estimate = needed(Size(numbers=2 * 1200 * 1201), steps)
    assert 0.5 < int(done.stdout) / estimate < 1.5
