"""Models with shapes in the place of arrays: what they hold, and that building them costs the same per layer."""

from collections.abc import Callable

import jax
import pytest
from flax import nnx
from jax._src.interpreters.partial_eval import DynamicJaxprTracer

from d2l_jax.abstract import abstract


class Deep(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)])


def build() -> nnx.Module:
    return Deep(nnx.Rngs(0))


def test_it_is_the_model_that_flax_gives() -> None:
    ours, flaxs = nnx.split(abstract(build)), nnx.split(nnx.eval_shape(build))
    assert ours[0] == flaxs[0]
    assert jax.tree.structure(ours[1]) == jax.tree.structure(flaxs[1])
    assert jax.tree.leaves(ours[1]) == jax.tree.leaves(flaxs[1])


def test_flaxs_own_call_is_back_even_where_a_model_raises() -> None:
    before = nnx.RngStream.__call__
    with pytest.raises(TypeError, match="in_features"):
        abstract(nnx.Linear)  # without its arguments
    assert nnx.RngStream.__call__ is before


def searches(make: Callable[[Callable[[], nnx.Module]], nnx.Module], monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the trace so far is searched for where a value came from."""
    asked = []
    monkeypatch.setattr(DynamicJaxprTracer, "_origin_msg", lambda tracer: asked.append(tracer) or "")
    make(build)
    return len(asked)


def test_no_draw_searches_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert searches(abstract, monkeypatch) == 0


@pytest.mark.skipif(jax.__version_info__ >= (0, 12), reason="newer ones do not search")
def test_control_flaxs_draws_search_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert searches(nnx.eval_shape, monkeypatch) > 0
