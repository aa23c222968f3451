"""Searchers: which configuration comes next (book, 19.2)."""

from collections.abc import Mapping
from typing import Any, Protocol

from d2l_jax.errors import InputError
from d2l_jax.search.space import Config, Space, sample


class Searcher(Protocol):
    """Draws configurations, and may learn from what they reached."""

    def sample_configuration(self) -> Config:
        """Returns the next configuration."""
        ...

    def update(self, config: Config, error: float, additional_info: Any = None) -> None:
        """Is told what a configuration reached."""
        ...


class RandomSearcher:
    """Draws each configuration anew, whatever was reached; the first is `initial_config`, if there is one.

    Configuration `n` depends on `seed` and `n` alone, so that a study that is taken up draws on as it would have.
    Raises InputError for an empty space, and for an initial configuration outside of it.
    """

    def __init__(self, config_space: Space, initial_config: Mapping[str, Any] | None = None, seed: int = 0):
        self.config_space = dict(config_space)
        self.initial_config = dict(initial_config or {})
        self.seed = seed
        self.drawn = 0
        sample(self.config_space, seed, 0)
        if self.initial_config:
            self._check_initial()

    def _check_initial(self) -> None:
        if self.initial_config.keys() != self.config_space.keys():
            names = [", ".join(each) for each in (self.initial_config, self.config_space)]
            raise InputError(f"the first configuration has {names[0]}, the search space {names[1]}; the same are right")
        for name, value in self.initial_config.items():
            if not self.config_space[name].holds(value):
                raise InputError(f"the first {name} is {value}, which is not in {self.config_space[name]}")

    def sample_configuration(self) -> Config:
        """Returns the next configuration."""
        self.drawn += 1
        if self.drawn == 1 and self.initial_config:
            return dict(self.initial_config)
        return sample(self.config_space, self.seed, self.drawn - 1)

    def update(self, config: Config, error: float, additional_info: Any = None) -> None:
        """Learns nothing."""
