"""Pairs as people write them: where a mistake is, and what it is, in the words of a check."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import parity
from d2l_jax import optim
from d2l_jax.errors import InputError
from parity.blame.diagnosis import explain_tensor
from parity.blame.diagnosis.precision import formats_of

T = torch.nn
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(6, 5)).astype(np.float32)
FAR = (1e4 + RANDOM.normal(size=(6, 5))).astype(np.float32)


class Net(nnx.Module):
    """Two dense layers with a norm between them."""

    def __init__(self, eps=1e-5, activation=lambda x: nnx.gelu(x, approximate=False), rate=0.0):
        rngs = nnx.Rngs(0)
        self.norm = nnx.LayerNorm(5, epsilon=eps, use_fast_variance=False, rngs=rngs)
        self.up = nnx.Linear(5, 7, rngs=rngs)
        self.last = nnx.LayerNorm(7, epsilon=eps, use_fast_variance=False, rngs=rngs)
        self.out = nnx.Linear(7, 4, rngs=rngs)
        self.activation = activation
        self.drop = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(self.last(self.activation(self.up(self.norm(x))))))


class TorchNet(T.Module):
    def __init__(self, rate=0.0):
        super().__init__()
        self.norm = T.LayerNorm(5)
        self.up = T.Linear(5, 7)
        self.last = T.LayerNorm(7)
        self.out = T.Linear(7, 4)
        self.drop = T.Dropout(rate)

    def forward(self, x):
        return self.out(self.drop(self.last(F.gelu(self.up(self.norm(x))))))


def check(ours, theirs, x=ROWS, **options):
    return parity.check(ours, theirs, x, **{"tiers": ("float64",), "steps": 3, "layers": False, **options})


def blamed(*pair, **options):
    result = check(*pair, **options)
    assert result.status == "fail" and result.blame
    return result.blame


def test_control_the_right_pair_passes():
    assert check(Net(), TorchNet()).status == "pass"


def test_every_layer_that_is_wrong_by_itself_is_told_and_the_body_beside_them():
    blame = blamed(Net(eps=1e-3, activation=nnx.gelu), TorchNet())
    assert (blame.layer, blame.cause) == ("norm", "eps")
    assert [(other.layer, other.cause) for other in blame.others] == [("last", "eps"), ("", "gelu-tanh")]
    assert "; the same in last (LayerNorm); also wrong: " in blame.text and "before last" in blame.text


@pytest.mark.slow
def test_dropout_on_one_side_is_placed():
    blame = blamed(Net(), TorchNet(rate=0.5))
    assert (blame.layer, blame.cause) == ("drop", "dropout-missing") and not blame.others
    blame = blamed(Net(rate=0.5), TorchNet())
    assert (blame.layer, blame.cause) == ("drop", "dropout-added") and not blame.others


class Up(nnx.Module):
    def __init__(self, padding):
        self.up = nnx.ConvTranspose(3, 2, (4, 4), (2, 2), padding=padding, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.relu(self.up(x))


class TorchUp(T.Module):
    def __init__(self):
        super().__init__()
        self.up = T.ConvTranspose2d(3, 2, 4, 2, padding=1)

    def forward(self, x):
        return torch.relu(self.up(x))


@pytest.mark.slow
def test_the_first_layer_of_other_shapes_is_named_with_the_right_padding():
    x = RANDOM.normal(size=(2, 5, 4, 3)).astype(np.float32)
    with pytest.raises(InputError, match=r"first difference is at up \(ConvTranspose2d\).*k - 1 - p = 2"):
        check(Up(1), TorchUp(), x)
    assert check(Up(2), TorchUp(), x).status == "pass"


class OneBias(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.lstm = nnx.OptimizedLSTMCell(5, 6, rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x, h, c):
        (_, h), _ = self.lstm((c, h), x)
        return self.out(h)


class TwoBiases(T.Module):
    def __init__(self):
        super().__init__()
        self.lstm = T.LSTMCell(5, 6)
        self.out = T.Linear(6, 3)

    def forward(self, x, h, c):
        return self.out(self.lstm(x, (h, c))[0])


@pytest.mark.slow
def test_two_biases_against_one_is_the_layers_cause_and_not_the_optimisers():
    states = [RANDOM.normal(size=(6, 6)).astype(np.float32) for _ in range(2)]
    sgd = partial(optim.SGD, lr=0.1)
    blame = blamed(OneBias(), TwoBiases(), (ROWS, *states), steps=2, layers=True, optimizer=sgd)
    assert (blame.layer, blame.cause) == ("lstm", "biases-merged")
    assert "bias_ih and bias_hh" in blame.text


@pytest.mark.slow
def test_two_biases_against_one_are_the_same_model_where_no_optimiser_is_asked_about():
    states = [RANDOM.normal(size=(6, 6)).astype(np.float32) for _ in range(2)]
    result = check(OneBias(), TwoBiases(), (ROWS, *states), steps=3, layers=True)
    assert result.status == "pass", result.blame
    assert any(note.startswith("Flax has one bias where PyTorch adds two in lstm: ") for note in result.notes)
    worse = OneBias()
    worse.lstm.gate_fn = nnx.hard_sigmoid
    assert check(worse, TwoBiases(), (ROWS, *states), steps=2, layers=True).status == "fail"


class Far(nnx.Module):
    def __init__(self, fast):
        self.norm = nnx.LayerNorm(5, epsilon=1e-5, use_fast_variance=fast, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.norm(x)


class TorchFar(T.Module):
    def __init__(self):
        super().__init__()
        self.norm = T.LayerNorm(5)

    def forward(self, x):
        return self.norm(x)


@pytest.mark.slow
def test_the_fast_variance_is_named_and_the_slow_one_passes():
    blame = blamed(Far(True), TorchFar(), FAR, tiers=("float64", "float32"), steps=1)
    assert (blame.layer, blame.cause) == ("norm", "fast-variance")
    assert check(Far(False), TorchFar(), FAR, steps=1).status == "pass"


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def clip(limit):
    return lambda model: torch.nn.utils.clip_grad_norm_(model.parameters(), limit)


cosine = optax.cosine_decay_schedule(0.1, 5)
LATE = optax.sgd(lambda count: cosine(jnp.maximum(count - 1, 0)))
CLIPPED = {"before_step": clip(0.01)}


def clipped(limit):
    return optax.chain(optax.clip_by_global_norm(limit), optax.sgd(0.1))


OPTIMIZERS = [
    ("clip-eps", "without the 1e-6", clipped(0.01), CLIPPED),
    ("clip-norm", "to 0.03, PyTorch does not", clipped(0.03), {}),
    ("clip-norm", "to 0.02, PyTorch to 0.01", clipped(0.02), CLIPPED),
    ("learning-rate", "of step 2 is that of PyTorch's step 1", LATE,
     {"scheduler": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("cause, words, wrong, options", OPTIMIZERS)
def test_clipping_and_schedules_have_their_numbers(cause, words, wrong, options):
    blame = blamed(Net(), TorchNet(), optimizer=(wrong, sgd), **options)
    assert (blame.layer, blame.cause) == ("optimizer", cause) and words in blame.text, blame.text


class LinenWeightNorm(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.relu(linen.WeightNorm(linen.Dense(7), variable_filter={"kernel"})(x)))


class NNXWeightNorm(nnx.Module):
    def __init__(self, wrapper):
        rngs = nnx.Rngs(0)
        self.a = wrapper(nnx.Linear(5, 7, rngs=rngs), rngs=rngs)
        self.b = nnx.Linear(7, 3, rngs=rngs)
        self(ROWS)

    def __call__(self, x):
        return self.b(nnx.relu(self.a(x)))


class TorchNormed(T.Module):
    def __init__(self, wrapper):
        super().__init__()
        self.a = wrapper(T.Linear(5, 7))
        self.b = T.Linear(7, 3)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


@pytest.mark.slow
def test_weight_norm_of_linen_passes():
    assert check(LinenWeightNorm(), TorchNormed(parametrizations.weight_norm), layers=True).status == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("kind, other", [(nnx.WeightNorm, "weight_norm"), (nnx.SpectralNorm, "spectral_norm")])
def test_a_normalisation_that_rewrites_its_layer_is_named(kind, other):
    with pytest.raises(InputError, match=f"the normalisation is the difference: nnx.{kind.__name__} at a"):
        check(NNXWeightNorm(kind), TorchNormed(getattr(parametrizations, other)))


class LinenSpectralNorm(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = True):
        return linen.Dense(3)(linen.relu(linen.SpectralNorm(linen.Dense(7))(x, update_stats=train)))


def test_the_spectral_norm_of_linen_is_refused_with_the_reason():
    with pytest.raises(InputError, match="the normalisation is the difference: linen.SpectralNorm at SpectralNorm_0"):
        check(LinenSpectralNorm(), TorchNormed(parametrizations.spectral_norm))


def test_tf32_is_not_said_of_a_cpu():
    oracle = RANDOM.normal(size=(40, 40))
    flax = oracle * (1 + 2e-4 * RANDOM.normal(size=oracle.shape))
    with formats_of("cpu"):
        assert explain_tensor(oracle, flax) is None
    with formats_of("cuda"):
        cause = explain_tensor(oracle, flax)
    assert cause is not None and cause.name == "tf32"
