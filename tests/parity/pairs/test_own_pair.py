"""A user's own pair: Linen and NNX, other names, and every kind of call that cannot be right."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
IDS = np.random.default_rng(0).integers(0, 11, (3, 5))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)


class Ours(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.dense = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


class TorchAttention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(11, 6)
        self.norm = torch.nn.LayerNorm(6)
        self.att = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = torch.nn.Linear(6, 7)

    def forward(self, ids):
        x = self.norm(self.emb(ids))
        return self.head(x + self.att(x, x, x, need_weights=False)[0])


class Attention(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.table = nnx.Embed(11, 6, rngs=rngs)
        self.ln = nnx.LayerNorm(6, epsilon=1e-5, rngs=rngs)
        self.mix = nnx.MultiHeadAttention(2, 6, decode=False, rngs=rngs)
        self.out = nnx.Linear(6, 7, rngs=rngs)

    def __call__(self, ids):
        x = self.ln(self.table(ids))
        return self.out(x + self.mix(x))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        conv = torch.nn.Conv2d(3, 6, 3, stride=2, padding=1)
        norm = torch.nn.GroupNorm(2, 6)
        self.features = torch.nn.Sequential(conv, norm, torch.nn.ReLU(inplace=True), torch.nn.Dropout(0.3))
        self.fc = torch.nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class Linen(linen.Module):
    eps: float = 1e-5

    @linen.compact
    def __call__(self, x, train):
        x = linen.Conv(6, (3, 3), strides=2, padding=1)(x)
        x = linen.GroupNorm(num_groups=2, epsilon=self.eps, use_fast_variance=False)(x)
        x = linen.Dropout(0.3, deterministic=not train)(linen.relu(x))
        return linen.Dense(4)(x.mean((1, 2)))


IMAGES = np.random.default_rng(0).normal(size=(5, 8, 7, 3)).astype(np.float32)


def failing(result):
    return [row for rows in result.rows.values() for row in rows if not row.passed]


@pytest.mark.slow
def test_embedding_and_attention_under_other_names():
    result = parity.check(Attention(nnx.Rngs(0)), TorchAttention(), IDS, steps=2)
    assert result.status == "pass", failing(result)
    assert {leaf.key for leaf in result.weights} == TorchAttention().state_dict().keys()


def test_adam_knows_the_key_biases_that_have_no_gradient():
    adam = (optax.adam(1e-2), lambda parameters: torch.optim.Adam(parameters, 1e-2))
    result = parity.check(Attention(nnx.Rngs(0)), TorchAttention(), IDS, optimizer=adam, steps=2, tiers=("float64",))
    assert result.status == "pass", failing(result)
    assert any("analytically zero" in row.because for row in result.rows["float64"] if row.phase == "update")


def test_an_optimiser_of_optax_that_does_not_count():
    adagrad = optax.adagrad(0.1, initial_accumulator_value=0.5, eps=0.0)
    pair = (adagrad, lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.5, eps=0.0))
    result = parity.check(Ours(nnx.Rngs(0)), Theirs(), X, optimizer=pair, steps=3, tiers=("float64",))
    assert result.status == "pass", failing(result)
    assert any(row.name.startswith("sum:") for row in result.rows["float64"])


@pytest.mark.slow
def test_linen_with_dropout():
    result = parity.check(Linen(), TorchNet(), IMAGES, steps=2)
    assert result.status == "pass", failing(result)


def test_control_linen_with_another_epsilon():
    result = parity.check(Linen(eps=1e-6), TorchNet(), IMAGES, steps=1, tiers=("float64",))
    assert result.blame and (result.blame.layer, result.blame.cause) == ("features.1", "eps")


def test_a_scheduler_and_clipping():
    from d2l_jax import optim

    def clip(model):
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)

    def check(gamma):
        rate = optim.StepLR(0.1, step_size=2, gamma=gamma)
        return parity.check(
            Ours(nnx.Rngs(0)),
            Theirs(),
            X,
            optimizer=(optax.chain(optim.clip_grad_norm(0.1), optim.SGD(rate)), lambda p: torch.optim.SGD(p, 0.1)),
            scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
            before_step=clip,
            tiers=("float64",),
        )

    assert check(0.5).status == "pass"
    wrong = check(0.6)
    assert wrong.status == "fail" and wrong.blame.layer == "optimizer"
    assert not any(row.phase == "update" for row in failing(wrong)), "the rate is the same until the third step"


def test_the_map_can_be_kept(tmp_path):
    result = parity.check(Ours(nnx.Rngs(0)), Theirs(), X, steps=1, tiers=("float64",))
    parity.save_map(result.weights, tmp_path / "map.json")
    by_file = parity.check(
        Ours(nnx.Rngs(0)), Theirs(), X, steps=1, tiers=("float64",), weights=str(tmp_path / "map.json")
    )
    assert result.status == by_file.status == "pass"


class InPlace(Theirs):
    def forward(self, x):
        x += 1
        return self.fc(x)


class Wider(Theirs):
    def __init__(self):
        super().__init__()
        self.more = torch.nn.Linear(4, 7)

    def forward(self, x):
        return self.fc(x) + self.more(x).sum()


class Unsteady(Theirs):
    def forward(self, x):
        return self.fc(x) + float(np.random.random())


class Twice(Ours):
    def __call__(self, x):
        return self.dense(x), x


class NotANumber(Ours):
    def __call__(self, x):
        return self.dense(x) * jnp.nan


def refused(match, ours=Ours, theirs=Theirs, inputs=X, **options):
    with pytest.raises(InputError, match=match) as error:
        parity.check(ours(nnx.Rngs(0)), theirs(), inputs, **options)
    assert "\n" not in str(error.value)


def test_calls_that_cannot_be_right():
    refused("changes its input in place", theirs=InPlace)
    refused("not deterministic", theirs=Unsteady)
    refused("outputs differ: PyTorch returns", ours=Twice)
    refused("no namesake", loss=lambda outputs, targets: 0.0)
    refused("an Optax transformation", optimizer=optax.sgd(0.1))
    refused("no device 'gpu'", device="gpu")
    refused(r"only in PyTorch: more.weight \(7, 4\)", theirs=Wider)
    refused("empty", inputs=X[:0])
    refused("not finite", inputs=X * np.inf)
    refused("too few", steps=0)


def test_a_result_that_is_not_a_number_never_passes():
    result = parity.check(NotANumber(nnx.Rngs(0)), Theirs(), X, steps=1, tiers=("float64",))
    assert result.status == "fail" and result.blame.cause == "not-finite"


class Sows(Ours):
    """Keeps what it has computed for whoever wants to look."""

    def __call__(self, x):
        y = super().__call__(x)
        self.sow(nnx.Intermediate, "scores", y)
        return y


def test_what_a_module_sows_is_no_state():
    result = parity.check(Sows(nnx.Rngs(0)), Theirs(), X, steps=2)
    assert result.status == "pass"
    assert not any("scores" in row.name for row in result.rows["float64"])
