"""The order of blame: a layer, then the body, then the loss, then the optimiser; each mistake at its own place."""

from functools import partial

import pytest
from flax import nnx
from sampled import sampled
from small_pair import Small
from small_twin import planted, small_twin

from d2l_jax import losses, nn, optim
from d2l_jax.turns import Supervised
from parity.arrays.key import Key
from parity.blame.optimizer import of_later_step
from parity.proof.proof import check_twin


class Louder(nn.Linear):
    def __call__(self, inputs, out_sharding=None):
        return super().__call__(inputs, out_sharding) * (1 + 1e-6)


class Halved(Small):
    def __call__(self, x):
        return super().__call__(x) / 2


def halved(square: type = nn.Linear) -> nnx.Module:
    model = Halved(nnx.Rngs(0))
    model.square.__class__ = square
    return model


def doubled(outputs, targets):
    return 2 * losses.cross_entropy(outputs, targets)


LOSS = {"objective": Supervised(doubled)}
OPTIMIZER = {"optimizer": partial(optim.SGD, lr=0.2, momentum=0.9)}
MISTAKES = {
    "square": lambda: small_twin(planted("square", Louder), steps=1),
    "": lambda: small_twin(halved(), steps=1),
    "loss": lambda: small_twin(steps=1).with_flax(**LOSS),
    "optimizer": lambda: small_twin(steps=1).with_flax(**OPTIMIZER),
}
TEXTS = {
    "square": "square (Linear), forward",
    "": "the model's own body",
    "loss": "the loss",
    "optimizer": "the optimiser, at step 1",
}
ALL = {
    "square": lambda: small_twin(halved(Louder), steps=1).with_flax(**LOSS, **OPTIMIZER),
    "": lambda: small_twin(halved(), steps=1).with_flax(**LOSS, **OPTIMIZER),
    "loss": lambda: small_twin(steps=1).with_flax(**LOSS, **OPTIMIZER),
}


def test_no_optimiser_is_blamed_for_outputs_of_a_later_step():
    forward, update = Key(2, "forward", "output"), Key(2, "update", "square.weight")
    later = of_later_step({forward, update})
    assert (
        later is not None and str(later) == "the model's own body, where steps before are right: step 2 forward/output"
    )
    assert of_later_step({forward, update, update._replace(step=1)}) is None and of_later_step({update}) is None


@pytest.mark.parametrize("place", sampled(MISTAKES, 3))
def test_a_mistake_is_blamed_at_its_place(place: str):
    blame = check_twin(MISTAKES[place](), tiers=("float64",)).blame
    assert blame is not None and blame.layer == place, blame
    assert blame.text.startswith(TEXTS[place])


@pytest.mark.slow
@pytest.mark.parametrize("place", ALL)
def test_a_mistake_is_blamed_before_all_that_come_after_it(place: str):
    blame = check_twin(ALL[place](), tiers=("float64",)).blame
    assert blame is not None and blame.layer == place, blame


@pytest.mark.slow
def test_control_a_right_pair_is_not_blamed():
    assert check_twin(small_twin(steps=1), tiers=("float64",)).blame is None
