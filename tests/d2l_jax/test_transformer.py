"""Section 11.7: what a step may see, where it stands, and decoding step by step with a cache of fixed shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax import lax
from twins import in_jax, in_torch, normal, outline, twins

from d2l_jax import eval_view, functional, models, nn, train_view
from d2l_jax.errors import InputError

SIZES = {"src_vocab": 11, "tgt_vocab": 13, "num_hiddens": 6, "ffn_num_hiddens": 5, "num_heads": 3, "dropout": 0.0}
BATCH = 3
SOURCES = 5
STEPS = 3
SRC = np.random.default_rng(0).integers(0, 11, (BATCH, SOURCES))
TGT = np.random.default_rng(1).integers(0, 13, (BATCH, STEPS))
LENS = np.array([1, 3, 5])
BOTH = pytest.mark.parametrize("corrected", [False, True])


def logits(model, src=SRC, tgt=TGT, method=None):
    """Returns the scores, not jitted: the tests share the small operations, which are compiled once."""
    apply, params, buffers = functional(model, method)
    return apply(params, buffers, *in_jax(src, tgt, LENS))[0]


# What a step may see
@pytest.mark.parametrize(
    ("corrected", "view", "leaks"),
    [(False, train_view, False), (False, eval_view, True), (True, train_view, False), (True, eval_view, False)],
)
def test_later_targets_are_masked_in_training_and_if_corrected_always(corrected, view, leaks):
    ours, _ = twins("transformer", **SIZES, corrected=corrected)
    later = TGT.copy()
    later[:, -1] = (later[:, -1] + 1) % 13
    before = logits(view(ours))
    after = logits(view(ours), tgt=later)
    assert np.array_equal(before[:, :-1], after[:, :-1]) is not leaks
    assert not np.allclose(before[:, -1], after[:, -1])


def test_what_lies_behind_the_source_does_not_count():
    ours, _ = twins("transformer", **SIZES)
    before = logits(ours)
    beyond = SRC.copy()
    within = SRC.copy()
    beyond[1, 3:] = (beyond[1, 3:] + 1) % 11
    within[1, 2] = (within[1, 2] + 1) % 11
    np.testing.assert_array_equal(logits(ours, src=beyond), before)
    changed = logits(ours, src=within)
    assert not np.allclose(changed[1], before[1])
    np.testing.assert_array_equal(changed[::2], before[::2])


def test_an_id_beyond_the_vocabulary_gives_nan():
    ours, _ = twins("transformer", **SIZES)
    beyond = SRC.copy()
    beyond[1, 0] = 11
    assert np.isnan(logits(ours, src=beyond)).all((1, 2)).tolist() == [False, True, False]


# Step by step
def growing(model, src, tgt, lens):
    """Calls the decoder once for each target; its past grows."""
    state = model.decoder.init_state(model.encoder(src, lens), lens)
    steps = []
    for t in range(STEPS):
        step, state = model.decoder(tgt[:, t : t + 1], state)
        steps.append(step)
    return jnp.concatenate(steps, axis=1)


def cached(cache_len):
    """Returns the decoder as one scan, which needs a state of fixed shapes."""

    def run(model, src, tgt, lens):
        state = model.decoder.init_state(model.encoder(src, lens), lens, cache_len)
        graph, variables = nnx.split(model.decoder)

        def step(state, token):
            scores, state = nnx.merge(graph, variables)(token[:, None], state)
            return state, scores[:, 0]

        return jnp.stack(lax.scan(step, state, tgt.T)[1], axis=1)

    return run


def of_pytorch(theirs):
    """Decodes as the book does: the blocks' inputs are concatenated, and projected anew at every step."""
    src, tgt, lens = in_torch(SRC, TGT, LENS)
    with torch.no_grad():
        state = theirs.decoder.init_state(theirs.encoder(src, lens), lens)
        steps = []
        for token in tgt.T:
            step, state = theirs.decoder(token[:, None], state)
            steps.append(step)
    return torch.cat(steps, dim=1)


@BOTH
@pytest.mark.parametrize("method", [growing, cached(STEPS), cached(STEPS + 4)])
def test_decoding_step_by_step_is_the_twins_with_any_memory(corrected, method):
    """Decoding is equal, but not to the last bit: sums over more rows or keys, masked ones too, have another order."""
    ours, theirs = twins("transformer", **SIZES, corrected=corrected)
    scores = logits(eval_view(ours), method=method)
    np.testing.assert_allclose(scores, of_pytorch(theirs.eval()), rtol=1e-12, atol=1e-13)


@BOTH
def test_steps_are_the_whole_if_corrected_only(corrected):
    """The book gives each step the encoding of position 0, and lets the whole target see what comes later."""
    ours, _ = twins("transformer", **SIZES, corrected=corrected)
    whole = logits(eval_view(ours))
    steps = logits(eval_view(ours), method=cached(STEPS))
    assert np.allclose(whole, steps, rtol=1e-12, atol=1e-13) is corrected
    assert np.allclose(whole[:, :1], steps[:, :1]) is corrected


@BOTH
def test_several_steps_at_once_are_the_twins(corrected):
    ours, theirs = twins("transformer", **SIZES, corrected=corrected)

    def in_two(model, src, tgt, lens):
        state = model.decoder.init_state(model.encoder(src, lens), lens, STEPS)
        first, state = model.decoder(tgt[:, :1], state)
        return jnp.concatenate([first, model.decoder(tgt[:, 1:], state)[0]], axis=1)

    src, tgt, lens = in_torch(SRC, TGT, LENS)
    with torch.no_grad():
        state = theirs.eval().decoder.init_state(theirs.encoder(src, lens), lens)
        first, state = theirs.decoder(tgt[:, :1], state)
        expected = torch.cat([first, theirs.decoder(tgt[:, 1:], state)[0]], dim=1)
    np.testing.assert_allclose(logits(eval_view(ours), method=in_two), expected, rtol=1e-12, atol=1e-13)


def test_a_cached_state_keeps_its_shapes():
    ours, _ = twins("transformer", **SIZES)

    def states(model, src, tgt, lens):
        first = model.decoder.init_state(model.encoder(src, lens), lens, 7)
        return first, model.decoder(tgt[:, :1], first)[1]

    first, second = logits(eval_view(ours), method=states)
    assert [x.shape for x in jax.tree.leaves(first)] == [x.shape for x in jax.tree.leaves(second)]
    assert [(int(a.length), int(b.length)) for a, b in zip(first.past, second.past)] == [(0, 1)] * 2
    assert second.past[0].keys[:, 0].all() and not second.past[0].keys[:, 1:].any()


# Blocks
def test_normalisation_stands_behind_the_residual_connection():
    ours, theirs = twins("AddNorm", norm_shape=6, dropout=0.0)
    X = normal(2, 3, 6)
    Y = normal(2, 3, 6, seed=1)
    apply, params, buffers = functional(ours)
    normalised, _ = apply(params, buffers, *in_jax(X, Y))
    np.testing.assert_allclose(normalised, theirs(*in_torch(X, Y)).detach(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(normalised.mean(-1), 0, atol=1e-14)
    np.testing.assert_allclose(normalised.var(-1), 1, rtol=1e-4)


def test_the_variance_does_not_cancel_in_float32():
    """E[x^2] - E[x]^2, Flax's default, is the control."""
    X = jnp.asarray(1000 + normal(2, 3, 6), jnp.float32)
    ours = models.AddNorm(6, 0.0, rngs=nnx.Rngs(0))
    exact = torch.nn.functional.layer_norm(torch.tensor(np.asarray(X, np.float64)), (6,))
    np.testing.assert_allclose(ours(X, jnp.zeros_like(X)), exact, atol=2e-4)
    assert not np.allclose(nnx.LayerNorm(6, epsilon=1e-5, rngs=nnx.Rngs(0))(X), exact, atol=1e-2)


def test_embeddings_start_from_a_standard_normal_and_keep_the_precision_of_their_table():
    table = nn.Embedding(200, 64, rngs=nnx.Rngs(0))
    values = np.asarray(table.embedding[...])
    assert values.std() == pytest.approx(1, abs=0.03) and values.mean() == pytest.approx(0, abs=0.03)
    table.embedding.set_value(jnp.full((200, 64), 1 / 3, jnp.float64))
    assert table(jnp.array([3]))[0, 0] == 1 / 3


# Bad input
@pytest.mark.parametrize("cache_len", [0, -1, 1001])
def test_a_cache_without_steps_or_beyond_the_positions_is_refused(cache_len):
    decoder = outline("transformer", **SIZES).decoder
    with pytest.raises(InputError, match=f"a cache of {cache_len} steps; 1 to 1000"):
        decoder.init_state(jnp.zeros((2, 3, 6)), None, cache_len)


def test_a_target_beyond_the_positions_is_refused():
    ours, _ = twins("transformer", **SIZES)
    with pytest.raises(InputError, match="1001 steps"):
        logits(ours, tgt=np.zeros((BATCH, 1001), int))


@pytest.mark.parametrize(("size", "message"), [({"num_heads": 4}, "4 heads"), ({"num_hiddens": 9}, "9 units")])
def test_sizes_that_do_not_fit_are_refused(size, message):
    with pytest.raises(InputError, match=message):
        outline("transformer", **SIZES | size)
