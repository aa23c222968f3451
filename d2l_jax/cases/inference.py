"""Cases of chapter 16 without BERT: sentiment of reviews, and inference between sentences."""

from functools import partial
from typing import Any

from d2l_jax import losses, metrics, models, optim
from d2l_jax.case import Case, supervised, tokens

# As chapter 14, chapter 16 adds the losses of a batch up; their mean is what is reported.
Summed = partial(supervised, loss=losses.sum_cross_entropy, metrics=metrics.OF_SUMS)
Sentiment = partial(
    Summed, inputs=(tokens((64, 500), 49346),), probe_inputs=(tokens((5, 9), 23),), data="imdb", epochs=5
)
CNN: dict[str, Any] = {
    "vocab_size": 49346,
    "embed_size": 100,
    "kernel_sizes": (3, 4, 5),
    "num_channels": (100, 100, 100),
}
TextCNN = partial(
    Sentiment,
    section="16.3",
    model=models.TextCNN,
    probe={"vocab_size": 23, "embed_size": 7, "kernel_sizes": (2, 3, 5), "num_channels": (11, 6, 13), "num_classes": 3},
    optimizer=partial(optim.Adam, lr=0.001),
    trains=("embedding.", "decoder.", "convs."),
)
INFERENCE: dict[str, Any] = {"vocab_size": 18678, "embed_size": 100, "num_hiddens": 200}
SMALL = {"vocab_size": 23, "embed_size": 7, "num_hiddens": 11, "num_classes": 5}
Attention = partial(
    Summed,
    section="16.5",
    model=models.DecomposableAttention,
    inputs=(tokens((256, 50), 18678), tokens((256, 50), 18678)),
    probe=SMALL | {"num_inputs_attend": 7, "num_inputs_compare": 14, "num_inputs_agg": 22},
    probe_inputs=(tokens((5, 9), 23), tokens((5, 3), 23)),
    optimizer=partial(optim.Adam, lr=0.001),
    data="snli",
    epochs=4,
)

SENTENCES: tuple[Case, ...] = (
    Sentiment(
        "sentiment-rnn",
        "16.2",
        "BiRNN (sentiment)",
        models.BiRNN,
        args={"vocab_size": 49346, "embed_size": 100, "num_hiddens": 100, "num_layers": 2},
        probe={"vocab_size": 23, "embed_size": 7, "num_hiddens": 11, "num_classes": 3},
        optimizer=partial(optim.Adam, lr=0.01),
        trains=("encoder.", "decoder."),
    ),
    TextCNN("sentiment-cnn", title="TextCNN", args=CNN),
    TextCNN("sentiment-cnn-max", title="TextCNN, maximum over time", args=CNN | {"second_edition": True}),
    Attention("snli-attention", title="DecomposableAttention", args=INFERENCE),
    Attention("snli-attention-masked", title="DecomposableAttention without padding", args=INFERENCE | {"pad": 1}),
)
