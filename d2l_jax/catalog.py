"""All cases, in the order of the book; those of the study notes come last."""

from d2l_jax import errors
from d2l_jax.case import Case
from d2l_jax.cases.builders import BUILDERS
from d2l_jax.cases.cnn import CNN, MOBILE
from d2l_jax.cases.linear import LINEAR, MLP, NOTES

CASES: tuple[Case, ...] = LINEAR + MLP + BUILDERS + CNN + NOTES + MOBILE


def get(name: str) -> Case:
    """The case called `name`."""
    for case in CASES:
        if case.name == name:
            return case
    raise errors.one_of("model", name, [case.name for case in CASES])
