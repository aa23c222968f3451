"""Translation by recurrent networks: facts of the specification, both twins, and the book's fault."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from translation_pair import BUILDERS, SIZES, batch, pair, run

import parity
import parity.reference as reference
from d2l_jax import eval_view, functional, intermediates, models
from d2l_jax.weights.rules import leaves

pytestmark = pytest.mark.usefixtures("quick_compilation")


def other_padding(src: np.ndarray, valid_lens: np.ndarray) -> np.ndarray:
    """The same sentences, with other tokens behind them."""
    behind = np.arange(src.shape[1]) >= valid_lens[:, None]
    return np.where(behind, (src + 1) % SIZES["src_vocab"], src)


# Facts
DECODERS = {  # embed 8, hidden 16, 2 layers
    "Seq2SeqDecoder": (3898, "rnn.rnn.", {}),
    "Seq2SeqAttentionDecoder": (
        4426,
        "rnn.",
        {"attention.W_k.weight": (16, 16), "attention.W_q.weight": (16, 16), "attention.w_v.weight": (1, 16)},
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_keys_shapes_and_counts_of_decoders(name):
    count, prefix, expected = DECODERS[name]
    expected = {**expected, "embedding.weight": (10, 8)}
    for layer, size in enumerate((24, 16)):
        shapes = {"weight_ih": (48, size), "weight_hh": (48, 16), "bias_ih": (48,), "bias_hh": (48,)}
        expected |= {f"{prefix}{weight}_l{layer}": shape for weight, shape in shapes.items()}
    expected |= {"dense.weight": (10, 16), "dense.bias": (10,)}
    ours = getattr(models, name)(10, 8, 16, 2, rngs=nnx.Rngs(0))
    theirs = getattr(reference, name)(10, 8, 16, 2).state_dict()
    assert [(leaf.key, leaf.shape) for leaf in leaves(ours)] == list(expected.items())
    assert [(key, tuple(value.shape)) for key, value in theirs.items()] == list(expected.items())
    assert sum(math.prod(shape) for shape in expected.values()) == count


@pytest.mark.parametrize("name", DECODERS)
def test_shapes_of_logits_and_states(name):
    encoder = models.Seq2SeqEncoder(10, 8, 16, 2, rngs=nnx.Rngs(0))
    decoder = getattr(models, name)(10, 8, 16, 2, rngs=nnx.Rngs(0))
    X = jnp.zeros((4, 7), int)
    valid_lens = jnp.full(4, 7)

    def both(model):
        outputs = model.encoder(X, valid_lens)
        state = model.decoder.init_state(outputs, valid_lens)
        return outputs, model.decoder(X, state), state

    whole = models.EncoderDecoder(encoder, decoder)
    apply, params, buffers = functional(eval_view(whole), both)
    outputs, (logits, after), state = jax.tree.map(jnp.shape, apply(params, buffers)[0])
    assert (outputs, logits) == (((7, 4, 16), (2, 4, 16)), (4, 7, 10))
    assert (
        after
        == state
        == {
            "Seq2SeqDecoder": ((7, 4, 16), (2, 4, 16)),
            "Seq2SeqAttentionDecoder": ((4, 7, 16), (2, 4, 16), (4,)),
        }[name]
    )


def started(name: str, key: str) -> list[np.ndarray]:
    """Returns the tensor `key` as either side starts it."""
    torch.manual_seed(0)
    sizes = {"src_vocab": 70, "tgt_vocab": 50, "embed_size": 40, "num_hiddens": 60, "num_layers": 2}
    ours = parity.state_dict(getattr(models, name)(**sizes, rngs=nnx.Rngs(0)))
    return [ours[key], getattr(reference, name)(**sizes).state_dict()[key].numpy()]


XAVIER = {
    ("seq2seq", "encoder.rnn.rnn.weight_ih_l0"): 180 + 40,
    ("seq2seq", "encoder.rnn.rnn.weight_hh_l1"): 180 + 60,
    ("seq2seq", "decoder.rnn.rnn.weight_ih_l0"): 180 + 100,
    ("seq2seq_attention", "encoder.rnn.rnn.weight_ih_l1"): 180 + 60,
    ("seq2seq_attention", "decoder.rnn.weight_ih_l0"): 180 + 100,
}
UNIFORM = {fact: math.sqrt(6 / fans) for fact, fans in XAVIER.items()} | {
    (name, key): 60**-0.5
    for name, key in [
        ("seq2seq", "encoder.rnn.rnn.bias_ih_l1"),
        ("seq2seq", "decoder.rnn.rnn.bias_hh_l0"),
        ("seq2seq", "decoder.dense.weight"),
        ("seq2seq", "decoder.dense.bias"),
        ("seq2seq_attention", "decoder.rnn.bias_ih_l0"),
        ("seq2seq_attention", "decoder.attention.W_k.weight"),
        ("seq2seq_attention", "decoder.dense.weight"),
    ]
}


@pytest.mark.parametrize(("name", "key"), UNIFORM)
def test_uniform_start(name, key):
    for values in started(name, key):
        bound = UNIFORM[name, key]
        noise = 4 / math.sqrt(values.size)
        assert abs(values).max() <= bound * (1 + 1e-6)
        assert values.std() * math.sqrt(3) / bound == pytest.approx(1, abs=noise)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_embeddings_start_from_a_standard_normal_distribution(name, side):
    for values in started(name, f"{side}.embedding.weight"):
        noise = 4 / math.sqrt(values.size)
        assert values.std() == pytest.approx(1, abs=noise)
        assert (abs(values) > 2).mean() == pytest.approx(0.0455, abs=noise)


# Both twins
@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("corrected", [False, True])
def test_twins_give_the_same_logits(name, corrected):
    ours, theirs = pair(name, corrected=corrected)
    inputs = batch()
    expected = theirs(*map(torch.tensor, inputs)).detach().numpy()
    np.testing.assert_allclose(run(ours, *inputs), expected, atol=1e-13)


def test_twins_give_the_same_attention_weights():
    ours, theirs = pair("seq2seq_attention")
    inputs = src, tgt, valid_lens = batch()
    theirs(*map(torch.tensor, inputs))
    apply, params, buffers = intermediates(ours)
    _, sown = jax.jit(apply)(params, buffers, *map(jnp.asarray, inputs))
    weights = sown["decoder"]["attention"]["attention_weights"]
    assert len(weights) == len(theirs.decoder.attention_weights) == tgt.shape[1]
    for step, expected in zip(weights, theirs.decoder.attention_weights):
        np.testing.assert_allclose(step, expected.numpy(), atol=1e-14)
    behind = np.arange(src.shape[1]) >= valid_lens[:, None]
    assert not np.any(np.stack(weights)[:, behind[:, None]])
    np.testing.assert_allclose(np.sum(weights, -1), 1, rtol=1e-12)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("corrected", [False, True])
def test_single_steps_give_what_all_steps_at_once_give(name, corrected):
    ours, _ = pair(name, corrected=corrected)
    src, tgt, valid_lens = map(jnp.asarray, batch())

    def stepwise(model):
        state = model.decoder.init_state(model.encoder(src, valid_lens), valid_lens)
        logits = []
        for t in range(tgt.shape[1]):
            scores, state = model.decoder(tgt[:, t : t + 1], state)
            logits.append(scores)
        return jnp.concatenate(logits, 1)

    apply, params, buffers = functional(ours, stepwise)
    np.testing.assert_allclose(jax.jit(apply)(params, buffers)[0], run(ours, src, tgt, valid_lens), atol=1e-13)


# What the decoder's GRU reads: [embedding, context] in 10.7, [context, embedding] in 11.4
@pytest.mark.parametrize(("name", "context"), [("seq2seq", slice(9, None)), ("seq2seq_attention", slice(0, 17))])
def test_where_the_context_stands(name, context):
    ours, _ = pair(name)
    src, tgt, valid_lens = map(jnp.asarray, batch())

    def spread(model, columns: slice) -> float:
        """Returns the change of the logits with the encoder's outputs, without these columns of the GRU's weights."""
        rnn = model.decoder.rnn if name == "seq2seq_attention" else model.decoder.rnn.rnn
        rnn.weight_ih_l0[...] = rnn.weight_ih_l0[...].at[:, columns].set(0)
        outputs, hidden = model.encoder(src, valid_lens)
        logits = [
            model.decoder(tgt, model.decoder.init_state((scale * outputs, hidden), valid_lens))[0] for scale in (1, 2)
        ]
        return jnp.max(jnp.abs(logits[0] - logits[1]))

    def without(columns: slice) -> float:
        apply, params, buffers = functional(ours, partial(spread, columns=columns))
        return float(jax.jit(apply)(params, buffers)[0])

    assert without(context) < 1e-15
    others = slice(0, 9) if context.start else slice(17, None)
    assert without(others) > 0.01


# The book's fault: paddings are read
def test_the_book_reads_the_padding_and_the_corrected_form_does_not():
    src, tgt, valid_lens = batch()
    other = other_padding(src, valid_lens)
    for name in BUILDERS:
        for corrected, same in ((False, False), (True, True)):
            ours, theirs = pair(name, corrected=corrected)
            logits = [run(ours, X, tgt, valid_lens) for X in (src, other)]
            assert np.array_equal(*logits) == same
            logits = [theirs(*map(torch.tensor, (X, tgt, valid_lens))) for X in (src, other)]
            assert torch.equal(*logits) == same


@pytest.mark.parametrize("name", BUILDERS)
def test_corrected_gives_every_sentence_what_it_gets_alone(name):
    ours, _ = pair(name, corrected=True)
    plain, _ = pair(name)
    src, tgt, valid_lens = batch(size=2)
    logits = run(ours, src, tgt, valid_lens)
    for row, end in enumerate(valid_lens):
        alone = src[row : row + 1, :end], tgt[row : row + 1], valid_lens[row : row + 1]
        np.testing.assert_allclose(logits[row], run(plain, *alone)[0], atol=1e-13)
