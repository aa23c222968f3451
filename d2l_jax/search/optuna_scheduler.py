"""A scheduler that is Optuna: many machines search in one study, which a database or a journal file keeps."""

import importlib
import math
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.search.scheduler import Scheduler
from d2l_jax.search.space import Choice, Config, LogUniform, Space

OWNER = "owner"  # of a trial: the folder of the study that runs it, and its number there


class OptunaScheduler(Scheduler):
    """Asks Optuna for configurations, and tells it what they reach.

    What Optuna has kept is not asked or told again, so that a study which repeats its journal changes nothing.

    space:   what is searched
    storage: the file of an Optuna journal, or the URL of a database
    name:    of the study, the same on every machine
    owner:   of this machine's part of it
    trials:  of all machines; close to the end, each may begin one too many
    asha:    (grace, eta) of Optuna's successive halving; None runs every trial to its end

    Raises InputError where Optuna is not installed, or the storage cannot be used.
    """

    def __init__(
        self, space: Space, storage: str, name: str, owner: str, trials: int, asha: tuple[int, int] | None = None
    ):
        optuna = _optuna()
        self.optuna = optuna
        self.owner = owner
        self.trials = trials
        self.distributions = {each: _distribution(optuna, domain) for each, domain in space.items()}
        self.asked: list[Any] = []
        pruners = optuna.pruners
        pruner = pruners.SuccessiveHalvingPruner(asha[0], asha[1]) if asha else pruners.NopPruner()
        try:
            self.study = optuna.create_study(
                storage=_storage(optuna, storage),
                sampler=optuna.samplers.TPESampler(constant_liar=True),  # which knows of trials that still run
                pruner=pruner,
                study_name=name,
                load_if_exists=True,
            )
        except Exception as error:  # of any database
            raise InputError(f"Optuna cannot keep the study in {storage}: {str(error).splitlines()[0]}") from error

    def suggest(self) -> Config | None:
        """Returns what Optuna asks for next; None when all machines together have begun enough."""
        owner = [self.owner, len(self.asked)]
        known = self.study.get_trials(deepcopy=False)
        (before,) = [each for each in known if each.user_attrs.get(OWNER) == owner] or [None]
        if before is not None:
            trial = self.optuna.trial.Trial(self.study, before._trial_id)
        elif len(known) >= self.trials:
            return None
        else:
            trial = self.study.ask(self.distributions)
            trial.set_user_attr(OWNER, owner)
        self.asked.append(trial)
        return dict(trial.params)

    def goes_on(self, trial: int, epoch: int, error: float) -> bool:
        """Reports the error, and asks whether the trial is to be pruned."""
        asked = self.asked[trial]
        kept = self.study.get_trials(deepcopy=False)[asked.number]
        if kept.state.is_finished():
            return True
        if epoch not in kept.intermediate_values:
            asked.report(error, epoch)
        return not asked.should_prune()

    def update(self, config: Config, error: float, info: Any = None) -> None:
        """Tells Optuna how a trial has ended, unless it knows."""
        state = self.optuna.trial.TrialState
        number = self.asked[info["trial"]].number
        if not math.isfinite(error):
            self.study.tell(number, state=state.FAIL, skip_if_finished=True)
        elif info["ended"] == "stopped":
            self.study.tell(number, state=state.PRUNED, skip_if_finished=True)
        else:
            self.study.tell(number, error, skip_if_finished=True)


def _optuna() -> Any:
    try:
        optuna = importlib.import_module("optuna")
    except ModuleNotFoundError as error:
        raise InputError("--storage needs Optuna: pip install 'd2l-jax[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _storage(optuna: Any, storage: str) -> Any:
    if "://" in storage:
        return storage
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    backend = importlib.import_module("optuna.storages.journal").JournalFileBackend(storage)
    return optuna.storages.JournalStorage(backend)


def _distribution(optuna: Any, domain: Any) -> Any:
    kinds = optuna.distributions
    if isinstance(domain, Choice):
        return kinds.CategoricalDistribution(domain.options)
    if isinstance(domain, LogUniform):
        return kinds.FloatDistribution(domain.low, domain.high, log=True)
    return kinds.IntDistribution(domain.low, domain.high - 1)  # Optuna's bounds are both inside
