"""Translation by recurrent networks: training, search, and bad input."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from translation_pair import BUILDERS, PAD, SIZES, batch, pair, run

from d2l_jax import TrainState, eval_view, functional, intermediates, losses, make_train_step, models, optim, supervised
from d2l_jax.errors import InputError
from d2l_jax.generate import make_beam_search, make_greedy, until_eos

pytestmark = pytest.mark.usefixtures("quick_compilation")


# Training and search
@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
def test_a_trained_model_translates_what_it_has_learnt(name):
    bos = 3
    eos = 4
    src = np.array([[1, 2, 7, 0], [3, 7, 0, 0], [5, 6, 1, 7]])
    valid_lens = np.array([3, 2, 4])
    words = [[8, 9, 10, eos], [11, eos, PAD, PAD], [8, 11, eos, PAD]]
    inputs = np.array([[bos, *row[:-1]] for row in words])
    loss = partial(losses.masked_cross_entropy, pad=PAD)
    model = getattr(models, name)(11, 13, 16, 16, 1, 0.1, rngs=nnx.Rngs(0))
    turns = supervised(loss, optim.Adam(lr=0.02))
    step = make_train_step(model, turns)
    state = TrainState.create(model, turns)
    data = jax.tree.map(jnp.asarray, {"input": (src, inputs, valid_lens), "targets": np.array(words)})
    for _ in range(60):
        state, metrics = step(state, data)
    assert metrics["loss"] < 0.1
    for search in (make_greedy(model, 4, bos), make_beam_search(model, 4, bos, eos, 3)):
        ids = search(state.params, state.buffers, src, valid_lens)[0]
        assert until_eos(ids, eos) == [[8, 9, 10], [11], [8, 11]]


SEARCHED = {
    "seq2seq": models.seq2seq,
    "seq2seq-corrected": partial(models.seq2seq, corrected=True),
    "bahdanau": models.seq2seq_attention,
}


@pytest.mark.parametrize("build", SEARCHED.values(), ids=SEARCHED)
def test_a_beam_of_one_is_greedy_and_greedy_is_what_the_whole_call_prefers(build):
    model = build(**SIZES, rngs=nnx.Rngs(1))
    _, params, buffers = functional(model)
    params = jax.tree.map(lambda p: 3 * p, params)  # so that the scores differ enough
    src, _, valid_lens = batch(1)
    ids, log_p = make_greedy(model, 6, 1)(params, buffers, src, valid_lens)
    narrow, _ = make_beam_search(model, 6, 1, 2, width=1)(params, buffers, src, valid_lens)
    assert until_eos(narrow, 2) == until_eos(ids, 2)
    inputs = jnp.concatenate([jnp.ones((len(src), 1), ids.dtype), ids[:, :-1]], 1)
    logits, _ = jax.jit(functional(eval_view(model)).apply)(params, buffers, src, inputs, jnp.asarray(valid_lens))
    np.testing.assert_array_equal(ids, jnp.argmax(logits, -1))
    np.testing.assert_allclose(log_p, jnp.max(jax.nn.log_softmax(logits), -1), atol=1e-4)
    assert len(np.unique(ids)) > 3


def test_heat_maps_of_a_translation():
    model = models.seq2seq_attention(**SIZES, rngs=nnx.Rngs(0))
    src, _, valid_lens = batch()
    ids, _, sown = make_greedy(model, 6, 1, with_attention=True)(*functional(model)[1:], src, valid_lens)
    (weights,) = sown["decoder"]["attention"]["attention_weights"]
    assert weights.shape == (6, 5, 1, 7)
    inputs = jnp.concatenate([jnp.ones((5, 1), ids.dtype), ids[:, :-1]], 1)
    apply, params, buffers = intermediates(eval_view(model))
    _, expected = jax.jit(apply)(params, buffers, src, inputs, jnp.asarray(valid_lens))
    np.testing.assert_allclose(weights, expected["decoder"]["attention"]["attention_weights"], atol=1e-6)


# Bad input
@pytest.mark.parametrize("length", [0, 8])
def test_lengths_that_a_corrected_encoder_cannot_end_at_are_refused(length):
    encoder = models.Seq2SeqEncoder(11, 9, 17, 1, corrected=True, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match=rf"\[{length}, 7\] where 1 to 7"):
        encoder(jnp.zeros((2, 7), int), jnp.array([length, 7]))


def test_a_token_beyond_the_vocabulary_gives_nan_and_no_other_sentence_suffers():
    ours, _ = pair("seq2seq")
    src, tgt, valid_lens = batch()
    src[2, 0] = SIZES["src_vocab"]
    logits = run(ours, src, tgt, valid_lens)
    assert np.isnan(logits).all((1, 2)).tolist() == [False, False, True, False, False]
