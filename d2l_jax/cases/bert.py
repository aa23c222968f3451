"""BERT: sections 15.8 to 15.10, 16.6 and 16.7."""

from functools import partial
from typing import Any

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, Input, floats, lengths, supervised, tokens
from d2l_jax.metrics import PRETRAINING
from d2l_jax.models.bert_pretraining import draw_pretraining
from d2l_jax.turns import Turn

PROBE = {"num_hiddens": 15, "ffn_num_hiddens": 13, "num_heads": 3, "max_len": 9}
PUBLISHED: dict[str, Any] = {"embedding_norm": True, "activation": "gelu", "eps": 1e-12}
EXAMPLE = {"vocab_size": 10000, "num_hiddens": 768, "ffn_num_hiddens": 1024, "num_heads": 4, "num_blks": 2}
ENCODED = (tokens((2, 8), 10000), tokens((2, 8), 2), lengths((2,), 8))
PROBED = (tokens((5, 7), 23), tokens((5, 7), 2), lengths((5,), 7))

block = partial(supervised, section="15.8", labels=False, loss=losses.sum_of_mses)

PARTS: tuple[Case, ...] = (
    block(
        "bert-encoder",
        title="BERTEncoder (shape check)",
        model=models.BERTEncoder,
        inputs=ENCODED[:2],
        args=EXAMPLE | {"dropout": 0.2, "max_len": 1000},
        probe=PROBE | {"vocab_size": 23},
        probe_inputs=PROBED[:2],
    ),
    block(
        "bert-encoder-published",
        title="BERTEncoder, as published weights have it",
        model=models.BERTEncoder,
        inputs=ENCODED,
        args=EXAMPLE | {"dropout": 0.1, "max_len": 512} | PUBLISHED,
        probe=PROBE | {"vocab_size": 23, "num_segments": 3},
        probe_inputs=PROBED,
    ),
    block(
        "mask-lm",
        title="MaskLM",
        model=models.MaskLM,
        inputs=(floats((2, 8, 768)), tokens((2, 3), 8)),
        args={"vocab_size": 10000, "num_hiddens": 768},
        probe={"vocab_size": 23, "num_hiddens": 13, "num_inputs": 15},
        probe_inputs=(floats((5, 7, 15)), tokens((5, 3), 7)),
    ),
    block(
        "next-sentence-pred",
        title="NextSentencePred (as called in 15.8: flattened 8x768 input)",
        model=models.NextSentencePred,
        inputs=(2, 6144),
        args={"num_inputs": 6144},
        probe={"num_inputs": 105},
        probe_inputs=(5, 105),
    ),
)


def pretraining(name: str, section: str, title: str, args: dict[str, Any], lr: float = 0.01, **options: Any) -> Case:
    """Returns BERT as section 15.10 pretrains it; the option `corrected` is that of the loss of masked words."""
    corrected = options.pop("corrected", False)
    words = partial(losses.masked_word_loss, corrected=True) if corrected else losses.masked_word_loss
    options = {"inputs": pairs(512, 64, args["vocab_size"])} | options
    return Case(
        name,
        section,
        title,
        models.BERTModel,
        args=args,
        probe=PROBE | {"vocab_size": 23},
        probe_inputs=(*PROBED, tokens((5, 3), 7)),
        draw=draw_pretraining,
        turns=(Turn(models.Pretraining(words), partial(optim.Adam, lr=lr)),),
        observe=models.Pretrained(words),
        metrics=PRETRAINING,
        epochs=1,
        **options,
    )


def pairs(batch: int, steps: int, vocab: int, slots: int = 10) -> tuple[Input, ...]:
    """Declares tokens, segments, valid lengths and positions of masked words."""
    shape = (batch, steps)
    return tokens(shape, vocab), tokens(shape, 2), lengths((batch,), steps), tokens((batch, slots), steps)


WIKITEXT = {"vocab_size": 20256, "num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2} | {
    "num_blks": 2,
    "dropout": 0.2,
    "max_len": 1000,
}
BERT_SMALL = {"vocab_size": 60005, "num_hiddens": 256, "ffn_num_hiddens": 512, "num_heads": 4} | {
    "num_blks": 2,
    "dropout": 0.2,
    "max_len": 512,
}

BERT: tuple[Case, ...] = (
    *PARTS,
    pretraining("bert-wikitext2", "15.10", "BERTModel (pretraining)", WIKITEXT, data="wikitext2"),
    pretraining(
        "bert-corrected",
        "15.10",
        "BERTModel (pretraining), corrected",
        WIKITEXT,
        1e-4,
        corrected=True,
        data="wikitext2",
    ),
)

CLASSIFIERS: tuple[Case, ...] = (
    pretraining("bert-small", "16.7", "BERTModel (bert.small checkpoint)", BERT_SMALL, inputs=pairs(1, 128, 60005)),
    supervised(
        "snli-bert",
        "16.7",
        "BERTClassifier (SNLI fine-tuning)",
        models.bert_classifier,
        pairs(512, 128, 60005)[:3],
        probe=PROBE | {"vocab_size": 23, "num_classes": 5},
        probe_inputs=PROBED,
        optimizer=partial(optim.Adam, lr=1e-4),
        data="snli_bert",
        epochs=5,
    ),
)
