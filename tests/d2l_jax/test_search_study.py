"""Chapter 19: trials in processes that are stopped, die, diverge, and are taken up from a journal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_trials import Leaving, accidents, silent, slope

from d2l_jax.errors import InputError
from d2l_jax.search import (
    AshaScheduler,
    BasicScheduler,
    Choice,
    Journal,
    LogUniform,
    RandomSearcher,
    Study,
    SuccessiveHalvingScheduler,
)
from d2l_jax.search.journal import NAME
from d2l_jax.search.results import summary
from d2l_jax.search.trial_process import share_of_gpu

SPACE = {"x": LogUniform(0.1, 1)}
SETTINGS = {"space": "x"}


def random_search(seed=0):
    return BasicScheduler(RandomSearcher(SPACE, seed=seed))


def asha():
    return AshaScheduler(RandomSearcher(SPACE), eta=2, r_min=1, r_max=4)


class Listed(RandomSearcher):
    """Draws the options in their order."""

    def __init__(self, *options):
        super().__init__({"x": Choice(options)})
        self.options = list(options)

    def sample_configuration(self):
        return {"x": self.options.pop(0)}


class Strict(BasicScheduler):
    """Stops who has not reached 0.5 after two epochs: whoever comes first, unlike ASHA."""

    def goes_on(self, trial, epoch, error):
        return epoch < 2 or error < 0.5


def study(folder, scheduler, objective=slope, resume=False, workers=1, settings=SETTINGS):
    return Study(scheduler, objective, Journal(folder, settings, resume), workers)


def told(study):
    return [(trial.config, trial.errors, trial.ended, trial.why) for trial in study.trials]


def read_events(folder):
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_two_workers_run_random_search_as_one_would(tmp_path):
    two, one = study(tmp_path / "2", random_search(), workers=2), study(tmp_path / "1", random_search())
    two.run(5)
    one.run(5)
    assert told(two) == told(one) and len(told(one)) == 5
    assert two.incumbent_error == min(trial.error for trial in two.trials)
    assert two.incumbent == two.trials[two.incumbent_trial].config
    errors = [point.error for point in two.incumbent_trajectory]
    assert errors == sorted(errors, reverse=True) and len(errors) == 20
    assert two.seconds >= two.incumbent_trajectory[-1].seconds > 0


def test_halving_with_two_workers_tries_what_it_tries_with_one(tmp_path):
    def halved(name, workers):
        scheduler = SuccessiveHalvingScheduler(RandomSearcher(SPACE), eta=2, r_min=1, r_max=4)
        each = study(tmp_path / name, scheduler, workers=workers)
        each.run(7)
        return sorted((trial.config["max_epochs"], trial.config["x"]) for trial in each.trials)

    assert halved("1", 1) == halved("2", 2) and [epochs for epochs, _ in halved("3", 2)] == [1, 1, 1, 1, 2, 2, 4]


def test_a_trial_that_the_scheduler_stops_has_ended_with_its_process(tmp_path):
    heard = {}

    def hear(event, study):
        if event.get("ended") == "stopped":
            heard[event["trial"]] = study.seconds
            if len(heard) == 2:
                raise KeyboardInterrupt  # the best would go on for a minute

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, Strict(Listed(0.1, 0.9, 0.8)), Leaving(tmp_path), workers=2).run(3, hear=hear)
    assert heard.keys() == {1, 2}
    pids = [int((tmp_path / x).read_text()) for x in ("0.1", "0.9", "0.8")]
    assert len(set(pids)) == 3 and not any(is_alive(pid) for pid in pids)
    ended = [event for event in read_events(tmp_path) if "ended" in event]
    assert [(event["trial"], event["ended"]) for event in ended] == [(1, "stopped"), (2, "stopped")]


def test_a_study_whose_time_is_over_stops_what_runs(tmp_path):
    each = study(tmp_path, random_search(), Leaving(tmp_path), workers=2)
    each.run(5, seconds=0.5)
    assert [(trial.ended, trial.why) for trial in each.trials] == 2 * [("stopped", "time is over")]
    each.run(5, seconds=0.5)
    assert len(each.trials) == 2  # none begins after the time


def test_who_is_nan_raises_dies_or_says_nothing_is_recorded_and_the_study_goes_on(tmp_path):
    each = study(tmp_path / "a", BasicScheduler(Listed("nan", "raises", "dies", "well")), accidents, workers=2)
    each.run(4)
    assert [(trial.ended, trial.why) for trial in each.trials] == [
        ("diverged", ""),
        ("failed", "ValueError: no such"),
        ("failed", "the process was ended by SIGKILL"),
        ("completed", ""),
    ]
    assert [trial.error for trial in each.trials] == [float("inf")] * 3 + [0.25] and each.incumbent == {"x": "well"}
    none = study(tmp_path / "b", random_search(), silent)
    none.run(1)
    assert none.trials[0].why == "it has reported no error" and none.incumbent is None


KILLED = """
import os
import signal
import sys
from pathlib import Path
from test_search_study import *

def hear(event, study):
    if len(read_events(Path(sys.argv[1]))) == 9:  # in the second trial
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    Study({scheduler}(), {objective}, Journal(Path(sys.argv[1]), SETTINGS), 1).run(6, hear=hear)
"""


def killed(folder: Path, **parts: str) -> None:
    """Runs a study that kills itself."""
    (folder / "killed.py").write_text(KILLED.format(**parts))
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers"), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.run([sys.executable, folder / "killed.py", folder / "out"], env=environment)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("scheduler", ["random_search", "asha"])
def test_a_killed_study_ends_as_one_that_was_not(tmp_path, scheduler):
    killed(tmp_path, scheduler=scheduler, objective="slope")
    path = tmp_path / "out" / NAME
    with path.open("ab") as journal:
        journal.write(b'{"trial": 1, "ep')  # torn, as by a crash of the machine
    begun = path.read_bytes()

    make = {"random_search": random_search, "asha": asha}[scheduler]
    resumed, whole = study(tmp_path / "out", make(), resume=True), study(tmp_path / "whole", make())
    assert [trial.ended for trial in resumed.trials] == ["completed", ""] and resumed.trials[1].errors
    resumed.run(6)
    whole.run(6)
    assert told(resumed) == told(whole) and {trial.ended for trial in whole.trials} <= {"completed", "stopped"}
    assert path.read_bytes().startswith(begun.rpartition(b"\n")[0] + b"\n")
    events = read_events(tmp_path / "out")
    assert sum("again" in event for event in events) == 1
    assert [event["at"] for event in events[1:]] == sorted(event["at"] for event in events[1:])


def test_a_trial_that_is_interrupted_twice_has_no_best_epoch_yet(tmp_path):
    def interrupt(event, _):
        if event.get("error") is not None or "again" in event:
            raise KeyboardInterrupt

    for resume in (False, True):
        each = study(tmp_path / "out", random_search(), resume=resume)
        with pytest.raises(KeyboardInterrupt):
            each.run(1, hear=interrupt)
        each.journal.close()
        assert each.incumbent_trial == 0 and summary(each, {})["incumbent_epoch"] == (None if resume else 1)


def test_trials_end_when_their_study_is_killed(tmp_path):
    killed(
        tmp_path,
        scheduler="random_search",
        objective="Leaving(Path(sys.argv[1]))",
    )
    (pid,) = [int(path.read_text()) for path in (tmp_path / "out").glob("0.*")]
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_gpus_are_dealt_out_and_their_memory_is_shared(monkeypatch):
    memory = "XLA_PYTHON_CLIENT_MEM_FRACTION"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [share_of_gpu(place, 2) for place in (0, 1)] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("3", "5")]
    assert share_of_gpu(2, 3) == {"CUDA_VISIBLE_DEVICES": "3", memory: "0.450"}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("d2l_jax.search.trial_process.os.listdir", lambda folder: ["null", "nvidia0", "nvidiactl"])
    assert share_of_gpu(1, 2) == {"CUDA_VISIBLE_DEVICES": "0", memory: "0.450"}
    monkeypatch.setattr("d2l_jax.search.trial_process.os.listdir", lambda folder: ["null", "nvidiactl"])
    assert share_of_gpu(1, 2) == {}


def test_a_study_is_extended_by_further_trials(tmp_path):
    first = study(tmp_path, random_search())
    first.run(2)
    first.journal.close()
    more = study(tmp_path, random_search(), resume=True)
    more.run(4)
    assert [trial.number for trial in more.trials] == [0, 1, 2, 3] and told(more)[:2] == told(first)


def test_journals_that_do_not_fit_are_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no study to resume"):
        Journal(tmp_path, SETTINGS, resume=True)
    first = study(tmp_path, random_search())
    first.run(1)
    with pytest.raises(InputError, match="holds a study already"):
        Journal(tmp_path, SETTINGS)
    with pytest.raises(InputError, match="being written by another study"):
        Journal(tmp_path, SETTINGS, resume=True)
    first.journal.close()
    with pytest.raises(InputError, match="of another study: space was x, and is y"):
        Journal(tmp_path, {"space": "y"}, resume=True)
    other = Journal(tmp_path, SETTINGS, resume=True)
    with pytest.raises(InputError, match="where the scheduler suggests"):
        Study(random_search(seed=1), slope, other)
    other.close()
    with pytest.raises(InputError, match="0 workers are too few"):
        Study(random_search(), slope, first.journal, 0)
    with (tmp_path / NAME).open("a") as journal:
        journal.write("[}\n")
    with pytest.raises(InputError, match=r"trials.jsonl, line \d+, is damaged"):
        Journal(tmp_path, SETTINGS, resume=True)
