"""Fine-tune MiniLM, a published BERT, to tell entailment from contradiction on SNLI (section 16.7).

With the packages of `sentence_embeddings.py`; SNLI's `snli_1.0_dev.txt` and `snli_1.0_test.txt` lie in
`$D2L_DATA/snli`.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
from flax import nnx

from d2l_jax import InputError, Observed, TrainState, fit, losses, make_eval_step, make_train_step, optim, supervised
from d2l_jax.data import batch_order
from d2l_jax.data.text.snli import LABELS, Pair, read_pairs_of
from d2l_jax.data.text.word_pieces import WordPieces
from d2l_jax.models import bert_classifier
from d2l_jax.train import Loop
from d2l_jax.weights.hugging_face import published_args, published_folder, published_tensors, put_published

STEPS = 64  # tokens of a pair, which few exceed
BATCH = 32


def examples(pieces: WordPieces, pairs: list[Pair]) -> dict:
    """Returns pairs by name, as a training step takes them."""
    texts = pieces.encode([(pair.premise, pair.hypothesis) for pair in pairs], STEPS, STEPS, cut=True)
    return {"input": tuple(texts), "targets": np.array([pair.label for pair in pairs], np.int32)}


def main(count: int, epochs: int) -> None:
    folder = published_folder()
    pieces = WordPieces(folder)
    splits = read_pairs_of(Path(os.environ.get("D2L_DATA", ".")) / "snli")
    train = examples(pieces, splits["dev"][:count])
    test = examples(pieces, splits["test"][: max(BATCH, count // 4)])

    model = bert_classifier(**published_args(folder), num_classes=len(LABELS), rngs=nnx.Rngs(0))
    put_published(model, published_tensors(folder))
    turns = supervised(losses.cross_entropy, optim.Adam(lr=5e-5))
    loop = Loop(make_train_step(model, turns), make_eval_step(model, Observed(losses.cross_entropy)))
    order = partial(batch_order, len(train["targets"]), BATCH, seed=0)
    fit(
        loop,
        TrainState.create(model, turns),
        train,
        test,
        order=lambda epoch: order(epoch=epoch),
        epochs=range(1, epochs + 1),
        callbacks=(lambda event: print(event.means) if event.means else None,),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", metavar="EXAMPLES", nargs="?", type=int, default=512, help="512 if none")
    parser.add_argument("epochs", metavar="EPOCHS", nargs="?", type=int, default=1, help="1 if none")
    try:
        main(**vars(parser.parse_args()))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
