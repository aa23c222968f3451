"""Word vectors and subwords: chapter 15 before BERT."""

from functools import partial

import numpy as np

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, lengths, supervised, tokens
from d2l_jax.metrics import OF_ROWS
from d2l_jax.turns import Tensors

VOCAB = 6719  # of the Penn Treebank
ROW = 60  # contexts and noise words: 10 + 50
PATH = 17  # inner nodes on the longest path of the Penn Treebank's tree
PROBE = {"vocab_size": 17, "embed_size": 5}


def draw_skip_grams(random: np.random.Generator) -> Tensors:
    """Draws 7 centres, each with 11 words of 17, of which the first 1 to 11 count; all integers are int32."""
    words = random.integers(0, 17, (7, 11), np.int32)
    counted = np.array([[1], [11], *random.integers(1, 12, (5, 1))])
    masks = np.arange(11) < counted
    labels = masks & (np.arange(11) < (counted + 5) // 6)
    return {
        "input": (random.integers(0, 17, (7, 1), np.int32), words),
        "targets": (labels.astype(np.int32), masks.astype(np.int32)),
    }


def draw_paths(random: np.random.Generator) -> Tensors:
    """Draws the same with paths of 1 to 11 of 16 inner nodes, left or right at each."""
    batch = draw_skip_grams(random)
    centers, nodes = batch["input"]
    masks = batch["targets"][1]
    turns = random.integers(0, 2, masks.shape, np.int32)
    return {"input": (centers, nodes % 16), "targets": (turns * masks, masks)}


def draw_bags(random: np.random.Generator) -> Tensors:
    """Draws the contexts of 7 centres, 1 to 5 of 17 words, each with the centre and 2 noise words."""
    contexts = random.integers(0, 17, (7, 5), np.int32)
    count = np.array([1, 5, *random.integers(1, 6, 5)], np.int32)
    labels = np.zeros((7, 3), np.int32)
    labels[:, 0] = 1
    return {
        "input": (contexts, count, random.integers(0, 17, (7, 3), np.int32)),
        "targets": (labels, np.ones_like(labels)),
    }


def draw_pairs(random: np.random.Generator) -> Tensors:
    """Draws 11 pairs of 17 words, and how often each occurs: some below, some above the 100 of the weights."""
    counts = np.array([1, 100, 250, *random.integers(1, 400, 8)], np.float32)
    return {"input": tuple(random.integers(0, 17, (2, 11), np.int32)), "targets": counts}


Words = partial(
    supervised,
    args={"vocab_size": VOCAB, "embed_size": 100},
    probe=PROBE,
    labels=False,
    metrics=OF_ROWS,
    optimizer=partial(optim.Adam, lr=0.002),
    epochs=5,
)
WITH_ROW = (tokens((512, 1), VOCAB), tokens((512, ROW), VOCAB))

WORD_VECTORS: tuple[Case, ...] = (
    Words(
        "word2vec-cbow",
        "15.1",
        "Continuous bag of words with negative sampling",
        models.CBOW,
        (tokens((512, 10), VOCAB), lengths((512,), 10), tokens((512, 6), VOCAB)),
        probe_inputs=(tokens((7, 5), 17), lengths((7,), 5), tokens((7, 3), 17)),
        loss=losses.negative_sampling_loss,
        draw=draw_bags,
        data="ptb_cbow",
    ),
    Words(
        "word2vec-hierarchical-softmax",
        "15.2",
        "Skip-gram with hierarchical softmax",
        models.HierarchicalSkipGram,
        (tokens((512, 1), VOCAB), tokens((512, PATH), VOCAB - 1)),
        loss=losses.hierarchical_softmax_loss,
        probe_inputs=(tokens((7, 1), 17), tokens((7, 11), 16)),
        draw=draw_paths,
        data="ptb_tree",
    ),
    Words(
        "word2vec-ptb",
        "15.4",
        "word2vec skip-gram",
        models.SkipGram,
        WITH_ROW,
        probe_inputs=(tokens((7, 1), 17), tokens((7, 11), 17)),
        loss=losses.negative_sampling_loss,
        draw=draw_skip_grams,
        data="ptb",
    ),
    Words(
        "glove",
        "15.5",
        "GloVe",
        models.GloVe,
        (tokens((512,), VOCAB), tokens((512,), VOCAB)),
        loss=losses.glove_loss,
        probe_inputs=(tokens((11,), 17), tokens((11,), 17)),
        draw=draw_pairs,
        data="ptb_glove",
    ),
    supervised(
        "fasttext-subwords",
        "15.6",
        "Vectors of words as sums over their subwords",
        models.SubwordEmbedding,
        (tokens((7, 11), 31), lengths((7,), 11)),
        args={"num_subwords": 31, "embed_size": 5},
        loss=losses.mse,
        labels=False,
    ),
)
