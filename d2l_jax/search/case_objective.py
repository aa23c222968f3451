"""The objective of a search: a Case that is trained as a configuration says (book, 19.1)."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import Dataset, kind_of
from d2l_jax.errors import InputError, one_of
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.folds import unanswered
from d2l_jax.runs.options import Options
from d2l_jax.runs.run import Job, learner_of
from d2l_jax.runs.sentences import with_found_vectors
from d2l_jax.runs.settings import configured
from d2l_jax.search.halving import EPOCHS
from d2l_jax.search.space import Choice, Config, Space
from d2l_jax.train import EpochMeans, Event, TrainingDiverged

OF_TRAINING = {"lr": "lr", "batch_size": "batch_size", "image_size": "image_size", EPOCHS: "epochs"}


@dataclass(frozen=True)
class CaseObjective:
    """Trains a Case, and reports its error on the test split after every epoch.

    The error is 1 - accuracy, where that is measured, else the loss; each a mean over all examples, as in the book's
    JAX tab. Every trial starts from the same seed. NaN is reported where the loss is not finite.
    """

    options: Options

    def __call__(self, config: Config, report: Callable[[float], None]) -> None:
        """Trains one trial."""
        case, data = self.prepared(config)
        job = Job(case, data, Path(), self.options.seed, self.options.framework)

        def hear(event: Event) -> None:
            if event.means is not None:
                report(error_of(event.means))

        try:
            learner_of(job.framework)(case, job.seed).fit(data, job.order, range(1, case.epochs + 1), (hear,))
        except TrainingDiverged:
            report(float("nan"))

    def prepared(self, config: Config) -> tuple[Case, Dataset]:
        """Returns the Case as the configuration says, and its data.

        Raises InputError for a hyperparameter that the Case does not have, or a value that it cannot have.
        """
        training = {OF_TRAINING[name]: value for name, value in config.items() if name in OF_TRAINING}
        options = replace(self.options, **training)
        refuse_without_error(get(options.name))
        case = configured(options)
        for name, value in config.items():
            if name not in OF_TRAINING:
                case = with_hyperparameter(case, name, value)
        data = choose_data(case, options.data, options.download)
        if unanswered(data):
            raise InputError(f"the test split of {data.name} has no answers to search by; another data set is right")
        return with_found_vectors(fitted(case, data), data), data

    def checked(self, space: Space) -> "CaseObjective":
        """Returns the objective with the data that it will take, after the ends of the space were tried.

        Raises what `prepared` raises, and of a model that no value suits does not blame the values.
        """
        refuse_without_error(configured(self.options))
        case, data = self._tried({name: ends(domain)[0] for name, domain in space.items()})
        self._tried({name: ends(domain)[1] for name, domain in space.items()})
        found = self.options.data or (data.name if data.name != case.data and not case.augment else None)
        return replace(self, options=replace(self.options, data=found))

    def _tried(self, config: Config) -> tuple[Case, Dataset]:
        """Returns what `prepared` does; a model that cannot be made is an InputError, too."""
        try:
            return self.prepared(config)
        except (TypeError, ValueError, ArithmeticError) as error:
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            values = ", ".join(f"{name} {value}" for name, value in config.items())
            raise InputError(
                f"{self.options.name} cannot be made with {values}: {why}; values that it takes are right"
            ) from error


def refuse_without_error(case: Case) -> None:
    """Raises InputError for a model that is not judged by an error on a test split."""
    if kind_of(case.data) == "pictures":
        raise InputError(f"{case.name} learns one image, and has no error on a test split; another model is right")
    if kind_of(case.data) == "sprites":
        raise InputError(f"{case.name} makes images, and has no error on a test split; another model is right")


def ends(domain) -> tuple:
    """Returns the least and the greatest value, or the first and the last."""
    if isinstance(domain, Choice):
        return domain.options[0], domain.options[-1]
    return domain.low, domain.high - 1 if isinstance(domain.high, int) else domain.high


def with_hyperparameter(case: Case, name: str, value: object) -> Case:
    """Returns the Case with an argument of its model, or of its optimiser, changed.

    Raises InputError where neither has it.
    """
    optimizer = case.turn.optimizer
    of_optimizer = _arguments(optimizer.func if isinstance(optimizer, partial) else optimizer) - {"groups"}
    of_model = set() if case.model is None or isinstance(case.model, Mapping) else _arguments(case.model) - {"rngs"}
    if name in of_model:
        return replace(case, args={**case.args, name: value})
    if name in of_optimizer:
        return case.with_turn(optimizer=partial(optimizer, **{name: value}))
    raise one_of(
        f"hyperparameter of {case.name}", name, sorted(of_model | of_optimizer | OF_TRAINING.keys() - {EPOCHS})
    )


def _arguments(function: Callable) -> set[str]:
    written = function.__init__ if inspect.isclass(function) else function  # Flax hides it behind (*args, **kwargs)
    return set(inspect.signature(written).parameters) - {"self"}


def error_of(means: EpochMeans) -> float:
    """Returns the error on the test split: 1 - accuracy, or the loss."""
    return 1 - means.test["accuracy"] if "accuracy" in means.test else means.test["loss"]


def command_of(options: Options, config: Config, epochs: int) -> str:
    """Returns the command that trains a trial again; "" where `d2l-jax train` has no option for it."""
    names = {OF_TRAINING[name]: value for name, value in config.items() if name in OF_TRAINING and name != EPOCHS}
    if len(names) < len(config.keys() - {EPOCHS}):
        return ""
    defaults = {each.name: each.default for each in fields(Options)}
    kept = {name: getattr(options, name) for name in ("data", "seed", "framework")}
    given = names | {"epochs": epochs} | {name: value for name, value in kept.items() if value != defaults[name]}
    shown = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    return " ".join(["d2l-jax train", options.name, *shown])


def case_epochs(options: Options) -> int:
    """Returns the epochs of a trial that runs to its end."""
    return options.epochs if options.epochs is not None else get(options.name).epochs
