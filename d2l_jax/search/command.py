"""A study from the options of `d2l-jax search`."""

import math
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.runs.search_options import SearchOptions
from d2l_jax.search.case_objective import CaseObjective, case_epochs, command_of
from d2l_jax.search.halving import SuccessiveHalvingScheduler
from d2l_jax.search.journal import Journal
from d2l_jax.search.pictures import PICTURE, draw_study
from d2l_jax.search.results import RESULT, incumbent_epoch, summary
from d2l_jax.search.scheduler import AshaScheduler, BasicScheduler, Scheduler
from d2l_jax.search.searcher import RandomSearcher
from d2l_jax.search.space import Config, Space, space_of, value
from d2l_jax.search.study import Study
from d2l_jax.search.telling import Telling, shown
from d2l_jax.search.trial_process import load_beforehand
from d2l_jax.write import write_json


def search(options: SearchOptions, to_stderr: bool = False) -> dict[str, Any]:
    """Runs the study, leaves its files in its folder, and returns the content of `study.json`.

    Raises InputError for options that do not fit, before the first trial, and where no trial has reached anything.
    """
    for option, count in {"trials": options.trials, "workers": options.workers}.items():
        if count < 1:
            raise InputError(f"--{option} {count} is too few; give 1 or more")
    if options.minutes is not None and not options.minutes > 0:
        raise InputError(f"--minutes {options.minutes} is no time; give a number above 0")
    space = space_of(options.space)
    training = Options(
        options.name, options.data, options.epochs, seed=options.seed, framework=options.framework,
        download=options.download,
    )  # fmt: skip
    scheduler = scheduler_of(options, space, case_epochs(training))
    objective = CaseObjective(training).checked(space)
    out = options.out or Path("runs") / f"{options.name}-search"
    settings = settings_of(options, space, objective)
    load_beforehand(CaseObjective.__module__)
    study = Study(scheduler, objective, Journal(out, settings, options.resume), options.workers)
    with Telling(to_stderr, options.trials) as telling:
        telling.begin(study, settings)
        try:
            study.run(options.trials, 60 * (options.minutes or math.inf), telling.hear)
        finally:
            result = summary(study, settings)
            write_json(out / RESULT, result)
            study.journal.close()
        draw_study(result, out / PICTURE)
        if study.incumbent is None:
            raise InputError(f"no trial has reached an error: the first {study.trials[0].ended}, {study.trials[0].why}")
        epoch = incumbent_epoch(study) or 1
        after = f"after {epoch} epoch{'s' * (epoch > 1)}"
        telling.line(f"best      error {study.incumbent_error:.4f} {after}, {shown(study.incumbent)}")
        if (last := result["best_at_end"]) is not None:
            telling.line(f"at end    error {study.trials[last].error:.4f}, {shown(study.trials[last].config)}")
        if again := command_of(objective.options, study.incumbent, epoch):
            telling.line(f"again     {again}")
        telling.line(f"written   {out / RESULT}, {out / PICTURE}")
    return result


def scheduler_of(options: SearchOptions, space: Space, epochs: int) -> Scheduler:
    """Returns the scheduler that the options name. Raises InputError where they do not fit each other."""
    first = first_of(options.first)
    searcher = RandomSearcher(space, first, options.seed)
    if options.storage is not None:
        from d2l_jax.search.optuna_scheduler import OptunaScheduler

        if options.scheduler == "halving" or first:
            raise InputError("--storage leaves configurations and rungs to Optuna: no halving and no --first is right")
        asha = (options.grace, options.eta) if options.scheduler == "asha" else None
        owner = str((options.out or Path("runs") / f"{options.name}-search").absolute())
        return OptunaScheduler(space, options.storage, f"d2l-jax {options.name}", owner, options.trials, asha)
    if options.scheduler == "asha":
        return AshaScheduler(searcher, options.eta, options.grace, epochs)
    if options.scheduler == "halving":
        return SuccessiveHalvingScheduler(searcher, options.eta, options.grace, epochs)
    return BasicScheduler(searcher)


def first_of(texts: tuple[str, ...]) -> Config:
    """Returns the configuration that texts such as "lr=0.1" describe. Raises InputError for another form."""
    parts = [text.partition("=") for text in texts]
    if wrong := [text for text, (name, _, given) in zip(texts, parts) if not name or not given]:
        raise InputError(f"--first {wrong[0]} is no value; NAME=VALUE is right, as lr=0.1")
    names = [name for name, _, _ in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"--first gives {twice[0]} twice; once is right")
    return {name: value(given) for name, _, given in parts}


def settings_of(options: SearchOptions, space: Space, objective: CaseObjective) -> dict[str, Any]:
    """Returns what makes it the same study when it is taken up: all but how many trials, and how many at a time."""
    case, data = objective.prepared({})
    return {
        "model": options.name,
        "data": data.name,
        "framework": options.framework,
        "epochs": case.epochs,
        "seed": options.seed,
        "space": {name: str(domain) for name, domain in space.items()},
        "first": list(options.first),
        "scheduler": options.scheduler + (" by Optuna" if options.storage else ""),
        **({} if options.scheduler == "random" else {"eta": options.eta, "grace": options.grace}),
    }
