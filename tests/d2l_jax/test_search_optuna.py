"""Chapter 19: the same studies in Optuna, whose storage several machines share."""

import pytest
from toy_trials import accidents, slope

from d2l_jax.errors import InputError
from d2l_jax.search import Choice, Journal, LogUniform, RandInt, Study

optuna = pytest.importorskip("optuna")
from d2l_jax.search.optuna_scheduler import OptunaScheduler  # noqa: E402

SPACE = {"x": LogUniform(0.1, 1), "size": RandInt(4, 6), "kind": Choice(("a", 2))}


def storage_of(kind, folder):
    return f"sqlite:///{folder / 'studies.db'}" if kind == "database" else str(folder / "studies.log")


def part(folder, owner, storage, trials, space=SPACE, objective=slope, resume=False, asha=None):
    scheduler = OptunaScheduler(space, storage, "toy", owner, trials, asha)
    return Study(scheduler, objective, Journal(folder / owner, {}, resume), workers=2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["file", "database"])
def test_two_machines_search_in_one_study_and_resume(tmp_path, kind):
    storage = storage_of(kind, tmp_path)
    one = part(tmp_path, "one", storage, 5)
    one.run(2)
    one.journal.close()
    two = part(tmp_path, "two", storage, 5)
    two.run(99)
    assert len(two.trials) == 3
    again = part(tmp_path, "one", storage, 5, resume=True)
    again.run(99)
    assert [trial.config for trial in again.trials] == [trial.config for trial in one.trials]
    kept = two.scheduler.study.trials
    assert [trial.state.name for trial in kept] == ["COMPLETE"] * 5
    ours = sorted((trial.config["x"], trial.error) for study in (one, two) for trial in study.trials)
    assert sorted((trial.params["x"], trial.value) for trial in kept) == ours
    assert all(SPACE[name].holds(value) for trial in kept for name, value in trial.params.items())


@pytest.mark.filterwarnings("ignore")
def test_a_trial_that_was_cut_off_goes_on_under_its_number(tmp_path):
    storage = storage_of("file", tmp_path)
    study = part(tmp_path, "one", storage, 3)

    def stop(event, study):
        if event.get("epoch") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.run(3, hear=stop)
    study.journal.close()
    again = part(tmp_path, "one", storage, 3, resume=True)
    again.run(3)
    kept = again.scheduler.study.trials
    assert [trial.state.name for trial in kept] == ["COMPLETE"] * 3
    assert [trial.value for trial in kept] == pytest.approx([trial.error for trial in again.trials])


@pytest.mark.filterwarnings("ignore")
def test_optuna_prunes_and_is_told_of_those_that_fail(tmp_path):
    study = part(tmp_path, "one", storage_of("file", tmp_path), 12, {"x": LogUniform(0.1, 1)}, asha=(1, 2))
    study.run(12)
    kept = study.scheduler.study.trials
    assert [(trial.state.name == "PRUNED") for trial in kept] == [each.ended == "stopped" for each in study.trials]
    assert {trial.state.name for trial in kept} == {"COMPLETE", "PRUNED"}
    kinds = {"x": Choice(("nan", "raises"))}
    other = part(tmp_path / "b", "one", storage_of("database", tmp_path), 3, kinds, accidents)
    other.run(3)
    assert [trial.state.name for trial in other.scheduler.study.trials] == ["FAIL"] * 3


def test_a_storage_that_cannot_be_used_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="^Optuna cannot keep the study in nosuch://x: [^\n]*$"):
        OptunaScheduler(SPACE, "nosuch://x", "toy", "one", 3)
