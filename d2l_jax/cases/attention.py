"""Cases of chapter 11."""

from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import floats, lengths, supervised, tokens
from d2l_jax.generate.afterwards import Translated
from d2l_jax.metrics import perplexity

SCORING = (
    supervised(
        "additive-attention",
        "11.3",
        "AdditiveAttention",
        models.AdditiveAttention,
        (floats((2, 1, 20)), floats((2, 10, 2)), floats((2, 10, 4)), lengths((2,), 10)),
        args={"num_hiddens": 8, "dropout": 0.1, "query_size": 20, "key_size": 2},
        probe={"num_hiddens": 13, "query_size": 7, "key_size": 9},
        probe_inputs=(floats((3, 5, 7)), floats((3, 11, 9)), floats((3, 11, 15)), lengths((3,), 11)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "dot-product-attention",
        "11.3",
        "DotProductAttention",
        models.DotProductAttention,
        (floats((2, 1, 2)), floats((2, 10, 2)), floats((2, 10, 4)), lengths((2,), 10)),
        args={"dropout": 0.5},
        probe_inputs=(floats((3, 5, 7)), floats((3, 11, 7)), floats((3, 11, 9)), lengths((3,), 11)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
)

BLOCKS = (
    supervised(
        "multi-head-attention",
        "11.5",
        "MultiHeadAttention",
        models.MultiHeadAttention,
        (floats((2, 4, 100)), floats((2, 6, 100)), floats((2, 6, 100)), lengths((2,), 6)),
        args={"num_hiddens": 100, "num_heads": 5, "dropout": 0.5},
        probe={"num_hiddens": 15, "num_heads": 3},
        probe_inputs=(floats((5, 7, 15)), floats((5, 11, 15)), floats((5, 11, 15)), lengths((5,), 11)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "positional-encoding",
        "11.6",
        "PositionalEncoding",
        models.PositionalEncoding,
        (1, 60, 32),
        args={"num_hiddens": 32, "dropout": 0.0},
        probe={"num_hiddens": 18, "dropout": 0.3, "max_len": 37},
        probe_inputs=(5, 7, 18),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "position-wise-ffn",
        "11.7",
        "PositionWiseFFN",
        models.PositionWiseFFN,
        (2, 3, 4),
        args={"ffn_num_hiddens": 4, "ffn_num_outputs": 8, "num_inputs": 4},
        probe={"ffn_num_hiddens": 13, "ffn_num_outputs": 9, "num_inputs": 7},
        probe_inputs=(5, 3, 7),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "add-norm",
        "11.7",
        "AddNorm",
        models.AddNorm,
        (floats((2, 3, 4)), floats((2, 3, 4))),
        args={"norm_shape": 4, "dropout": 0.5},
        probe={"norm_shape": 11},
        probe_inputs=(floats((5, 7, 11)), floats((5, 7, 11))),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "transformer-encoder-block",
        "11.7",
        "TransformerEncoderBlock",
        models.TransformerEncoderBlock,
        (floats((2, 100, 24)), lengths((2,), 100)),
        args={"num_hiddens": 24, "ffn_num_hiddens": 48, "num_heads": 8, "dropout": 0.5},
        probe={"num_hiddens": 15, "ffn_num_hiddens": 13, "num_heads": 3},
        probe_inputs=(floats((5, 7, 15)), lengths((5,), 7)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "transformer-encoder",
        "11.7",
        "TransformerEncoder (shape check)",
        models.TransformerEncoder,
        (tokens((2, 100), 200), lengths((2,), 100)),
        args={
            "vocab_size": 200,
            "num_hiddens": 24,
            "ffn_num_hiddens": 48,
            "num_heads": 8,
            "num_blks": 2,
            "dropout": 0.5,
        },
        probe={"vocab_size": 23, "num_hiddens": 18, "ffn_num_hiddens": 13, "num_heads": 3},
        probe_inputs=(tokens((5, 7), 23), lengths((5,), 7)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "transformer-decoder-block",
        "11.7",
        "TransformerDecoderBlock",
        models.TransformerDecoderBlock,
        (floats((2, 100, 24)), floats((2, 100, 24)), lengths((2,), 100)),
        args={"num_hiddens": 24, "ffn_num_hiddens": 48, "num_heads": 8, "dropout": 0.5},
        probe={"num_hiddens": 15, "ffn_num_hiddens": 13, "num_heads": 3},
        probe_inputs=(floats((5, 7, 15)), floats((5, 9, 15)), lengths((5,), 9)),
        labels=False,
        loss=losses.sum_of_mses,
    ),
)

PERPLEXITY = {"perplexity": perplexity}
transformer = partial(
    supervised,
    section="11.7",
    model=models.transformer,
    inputs=(tokens((128, 9), 194), tokens((128, 9), 214), lengths((128,), 9)),
    probe_inputs=(tokens((5, 9), 23), tokens((5, 7), 29), lengths((5,), 9)),
    metrics=PERPLEXITY,
    loss=partial(losses.masked_cross_entropy, pad=5),
    optimizer=partial(optim.Adam, lr=0.001),
    clip=1.0,
    afterwards=Translated(),
    data="fra_eng",
    epochs=30,
)
PROBE = {"src_vocab": 23, "tgt_vocab": 29, "num_hiddens": 18, "ffn_num_hiddens": 13, "num_heads": 3}

TRANSFORMERS = (
    transformer("transformer", title="Seq2Seq (Transformer)", probe=PROBE),
    transformer(
        "transformer-corrected", title="Seq2Seq (Transformer), corrected", args={"corrected": True}, probe=PROBE
    ),
)

VISION = (
    supervised(
        "patch-embedding",
        "11.8",
        "PatchEmbedding (3 channels, shape check)",
        models.PatchEmbedding,
        (4, 96, 96, 3),
        args={"in_channels": 3},
        probe={"img_size": (35, 21), "patch_size": (7, 3), "num_hiddens": 27},
        probe_inputs=(5, 35, 21, 3),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "vit-block",
        "11.8",
        "ViTBlock (shape check)",
        models.ViTBlock,
        (2, 100, 24),
        args={"num_hiddens": 24, "norm_shape": 24, "mlp_num_hiddens": 48, "num_heads": 8, "dropout": 0.5},
        probe={"num_hiddens": 15, "norm_shape": 15, "mlp_num_hiddens": 13, "num_heads": 3},
        probe_inputs=(5, 7, 15),
        labels=False,
        loss=losses.sum_of_mses,
    ),
    supervised(
        "vit",
        "11.8",
        "ViT",
        models.ViT,
        (128, 96, 96, 1),
        probe={
            "img_size": (35, 21),
            "patch_size": (7, 3),
            "num_hiddens": 27,
            "mlp_num_hiddens": 19,
            "num_heads": 3,
            "num_classes": 11,
            "in_channels": 3,
        },
        probe_inputs=(5, 35, 21, 3),
        data="fashion_mnist",
        resize=(96, 96),
    ),
)
