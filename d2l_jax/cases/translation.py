"""Cases of sections 10.7 and 11.4: translation by recurrent networks, without and with attention."""

from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, lengths, supervised, tokens
from d2l_jax.generate.afterwards import Translated
from d2l_jax.metrics import perplexity

PERPLEXITY = {"perplexity": perplexity}
Translation = partial(
    supervised,
    inputs=(tokens((128, 9), 194), tokens((128, 9), 214), lengths((128,), 9)),
    probe_inputs=(tokens((5, 7), 11), tokens((5, 3), 13), lengths((5,), 7)),
    metrics=PERPLEXITY,
    loss=partial(losses.masked_cross_entropy, pad=5),
    optimizer=partial(optim.Adam, lr=0.005),
    clip=1.0,
    afterwards=Translated(),
    data="fra_eng",
    epochs=30,
)
SMALL = {"src_vocab": 11, "tgt_vocab": 13, "embed_size": 9, "num_hiddens": 17, "num_layers": 2, "dropout": 0.3}

TRANSLATION: tuple[Case, ...] = (
    supervised(
        "seq2seq-encoder",
        "10.7",
        "Seq2SeqEncoder (shape check)",
        models.Seq2SeqEncoder,
        (tokens((4, 9), 10),),
        args={"vocab_size": 10, "embed_size": 8, "num_hiddens": 16, "num_layers": 2},
        probe={"vocab_size": 11, "embed_size": 9, "num_hiddens": 17, "num_layers": 2, "dropout": 0.3},
        probe_inputs=(tokens((5, 7), 11),),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    Translation("seq2seq", "10.7", "Seq2Seq (GRU encoder-decoder)", models.seq2seq, probe=SMALL),
    # Without dropout: between the layers of packed sequences PyTorch draws no numbers for the padding, Flax does.
    Translation(
        "seq2seq-corrected",
        "10.7",
        "Seq2Seq (GRU encoder-decoder, corrected)",
        models.seq2seq,
        args={"corrected": True},
        probe=SMALL | {"dropout": 0.0},
    ),
)

BAHDANAU: tuple[Case, ...] = (
    Translation("bahdanau", "11.4", "Seq2Seq (Bahdanau attention)", models.seq2seq_attention, probe=SMALL),
)
