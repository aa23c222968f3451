"""Hyperparameter search (book, chapter 19): what is drawn, which trial runs for how long, and what was reached."""

from d2l_jax.search.halving import SuccessiveHalvingScheduler as SuccessiveHalvingScheduler
from d2l_jax.search.journal import Journal as Journal
from d2l_jax.search.scheduler import AshaScheduler as AshaScheduler
from d2l_jax.search.scheduler import BasicScheduler as BasicScheduler
from d2l_jax.search.scheduler import Scheduler as Scheduler
from d2l_jax.search.searcher import RandomSearcher as RandomSearcher
from d2l_jax.search.searcher import Searcher as Searcher
from d2l_jax.search.space import Choice as Choice
from d2l_jax.search.space import LogUniform as LogUniform
from d2l_jax.search.space import RandInt as RandInt
from d2l_jax.search.space import space_of as space_of
from d2l_jax.search.study import Study as Study
from d2l_jax.search.study import Trial as Trial
from d2l_jax.search.tuner import Bookkeeping as Bookkeeping
from d2l_jax.search.tuner import Objective as Objective
from d2l_jax.search.tuner import Tuner as Tuner
