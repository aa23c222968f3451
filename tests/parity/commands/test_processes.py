"""Workers end with the command that started them: by SIGTERM, by SIGINT, and where it is killed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from written import ROOT

from parity.processes import processes

PROGRAM = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from parity.processes import processes

with {pool} as pool:
    pids = {{pool.submit(os.getpid).result() for _ in range(4)}}
    working = [pool.submit(time.sleep, 600) for _ in range(4)]
    print(*pids, flush=True)
    working[0].result()
"""
PLAIN = 'ProcessPoolExecutor(2, get_context("spawn"))'


def started(pool):
    """Returns a program that has workers, and their process ids."""
    program = PROGRAM.format(pool=pool)
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def running(pid):
    """Tells whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def ended(pids, seconds):
    end = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(running, pids))


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc which processes run")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(number):
    parent, pids = started("processes(2)")
    try:
        assert pids and all(map(running, pids))
        parent.send_signal(number)
        assert parent.wait(60)
        assert ended(pids, 60)
    finally:
        for pid in filter(running, pids):
            os.kill(pid, signal.SIGKILL)


@needs_proc
@pytest.mark.slow
def test_workers_of_a_plain_pool_stay():
    """Shows that the test above can fail."""
    parent, pids = started(PLAIN)
    try:
        parent.terminate()
        parent.wait(60)
        assert not ended(pids, 2)
    finally:
        for pid in filter(running, pids):
            os.kill(pid, signal.SIGKILL)


def test_an_exception_does_not_wait_for_what_runs():
    with pytest.raises(KeyError), processes(1) as pool:
        future = pool.submit(time.sleep, 600)
        raise KeyError
    assert isinstance(future.exception(60), BrokenExecutor) or future.cancelled()


def test_every_pool_of_the_product_is_such_a_one():
    files = [path for path in (ROOT / "parity").rglob("*.py") if "ProcessPoolExecutor(" in path.read_text()]
    assert files == [ROOT / "parity/processes.py"]
