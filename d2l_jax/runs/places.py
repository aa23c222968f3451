"""Where the models of a case are written."""

from collections.abc import Mapping

from d2l_jax.case import Case


def places(case: Case) -> list[str]:
    """Returns the dotted name of the model, or of each of several, or of the algorithm."""
    models = case.model.values() if isinstance(case.model, Mapping) else [case.model or type(case.observe)]
    return [f"{model.__module__}.{model.__name__}" for model in models]
