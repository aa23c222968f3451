"""Skip-gram whose words are the sums of their subwords, as fastText has it (section 15.6), and words it has never seen.

It learns from the Penn Treebank in D2L_DATA, or from Python's help topics.
"""

import argparse
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import TrainState, data, losses, make_epoch, make_train_step, nn, optim, supervised
from d2l_jax.algorithms import knn
from d2l_jax.data.text.subwords import Subwords, number_subwords, subwords
from d2l_jax.init import xavier_uniform
from d2l_jax.models import SubwordEmbedding
from d2l_jax.nn.buffer import Buffer

SHOWN = ("chip", "bank", "october", "class", "string")  # of the Penn Treebank, and of the help topics
UNSEEN = ("microchips", "bankrupted", "novembers", "subclasses", "substrings")


class FastText(nnx.Module):
    """The sum of a centre's subwords times the vectors of other words."""

    def __init__(self, words: Subwords, embed_size: int, *, rngs: nnx.Rngs):
        self.ids = Buffer(jnp.asarray(words.ids))
        self.lengths = Buffer(jnp.asarray(words.lengths))
        self.centers = SubwordEmbedding(len(words.names), embed_size, rngs=rngs)
        self.others = nn.Embedding(len(words.ids), embed_size, rngs=rngs)
        for table in (self.centers.subwords, self.others):
            table.embedding[...] = xavier_uniform()(rngs.params(), table.embedding.shape, jnp.float32)

    def __call__(self, center, contexts_and_negatives):
        words = center[:, 0]
        v = self.centers(self.ids[...][words], self.lengths[...][words])
        return v[:, None] @ self.others(contexts_and_negatives).swapaxes(1, 2)

    def word_vectors(self):
        return self.centers(self.ids[...], self.lengths[...])


def unseen(model: FastText, known: Subwords, word: str):
    """Returns the sum of those subwords of a word that others have, too, and their number."""
    numbers = {name: number for number, name in enumerate(known.names)}
    ids = [numbers[part] for part in subwords(word) if part in numbers]
    return model.centers(jnp.asarray([ids]), jnp.asarray([len(ids)]))[0], len(ids)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("epochs", metavar="EPOCHS", nargs="?", type=int, default=1, help="1 if none")
epochs = parser.parse_args().epochs

corpus = data.load("ptb" if "D2L_DATA" in os.environ else "help_words")
vocab = corpus.vocabs[0]
known = number_subwords(list(vocab))
print(f"{corpus.source}: {corpus.examples:,} examples, {len(vocab):,} words of {len(known.names):,} subwords")

model = FastText(known, 100, rngs=nnx.Rngs(0))
turns = supervised(losses.negative_sampling_loss, optim.Adam(lr=0.002))
epoch = make_epoch(make_train_step(model, turns, {}))
state = TrainState.create(model, turns)
train = jax.tree.map(jnp.asarray, {"input": corpus.train[0], "targets": corpus.train[1]})
for number in range(1, epochs + 1):
    start = time.perf_counter()
    state, results = epoch(state, train, data.batch_order(corpus.examples, 512, seed=0, epoch=number).full)
    loss = float(np.sum(results["loss"])) / results["loss"].size / 512
    print(f"epoch {number}: loss {loss:.3f}, {time.perf_counter() - start:.0f} s")
nnx.update(model, state.params)

vectors = model.word_vectors()
for word in SHOWN:
    if word in vocab:
        found = knn(vectors, vectors[vocab[word]], 4)
        near = [f"{each} {cosine:.3f}" for each, cosine in zip(vocab.to_tokens(found.rows), found.cosines.tolist())]
        print(f"{word} -> {', '.join(near[1:])}")
for word in UNSEEN:
    vector, parts = unseen(model, known, word)
    if parts and word not in vocab:
        found = knn(vectors, vector, 3)
        near = [f"{each} {cosine:.3f}" for each, cosine in zip(vocab.to_tokens(found.rows), found.cosines.tolist())]
        print(f"{word}, never seen, {parts} of {len(subwords(word))} subwords known -> {', '.join(near)}")
