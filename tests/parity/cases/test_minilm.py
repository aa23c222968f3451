"""A published BERT in Flax against PyTorch's own Transformer with the same weights, in both precisions."""

from importlib.util import find_spec
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from published_bert import own_transformer, write_published

from d2l_jax import eval_view, functional, models
from d2l_jax.data.text.word_pieces import Encoded, WordPieces
from d2l_jax.weights import file
from d2l_jax.weights import hugging_face as published
from parity.reference import sentence_embeddings as reference_embeddings

needs_minilm = pytest.mark.skipif(
    find_spec(published.PACKAGE) is None or find_spec("tokenizers") is None, reason="MiniLM is not installed"
)
PRECISIONS = pytest.mark.parametrize(("dtype", "gap"), [("float64", 1e-11), ("float32", 4e-6)])
SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.", "", "word " * 509]
COSINES = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}  # of the first three, as the model's makers print them


def of_flax(folder: Path, dtype: str, texts: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """Returns the encoding of every token, and an embedding of every text."""
    model = models.BERTModel(**published.published_args(folder), rngs=nnx.Rngs(0))
    published.put_published(model, published.published_tensors(folder), jnp.dtype(dtype))
    apply, params, buffers = functional(eval_view(model.encoder))
    encoded, _ = apply(params, buffers, *map(jnp.asarray, texts))
    return np.asarray(encoded), np.asarray(models.sentence_embeddings(encoded, jnp.asarray(texts.lengths)))


def of_torch(folder: Path, dtype: str, texts: Encoded) -> tuple[np.ndarray, np.ndarray]:
    heads = published.published_args(folder)["num_heads"]
    theirs = own_transformer(file.read(folder / published.WEIGHTS), heads, getattr(torch, dtype))
    tokens, segments, lengths = (torch.tensor(array, dtype=torch.long) for array in texts)
    with torch.no_grad():
        encoded = theirs(tokens, segments, lengths)
        return encoded.numpy(), reference_embeddings(encoded, lengths).numpy()


def largest_gaps(folder: Path, dtype: str, texts: Encoded) -> tuple[float, float]:
    """Returns the largest gap of an encoding at a valid step, and of a cosine of two texts."""
    ours, embeddings = of_flax(folder, dtype, texts)
    theirs, expected = of_torch(folder, dtype, texts)
    assert ours.dtype == theirs.dtype == dtype
    valid = np.arange(ours.shape[1]) < texts.lengths[:, None]
    return float(np.abs(ours - theirs)[valid].max()), float(
        np.abs(embeddings @ embeddings.T - expected @ expected.T).max()
    )


def small_texts() -> Encoded:
    random = np.random.default_rng(0)
    tokens, segments = random.integers(0, 23, (4, 9)), random.integers(0, 2, (4, 9))
    return Encoded(tokens.astype(np.int32), segments.astype(np.int32), np.array([1, 4, 8, 9], np.int32))


@PRECISIONS
@pytest.mark.slow
def test_a_small_published_bert_equals_pytorchs_own_layers(tmp_path: Path, dtype: str, gap: float):
    write_published(tmp_path)
    assert max(largest_gaps(tmp_path, dtype, small_texts())) < gap


@pytest.mark.slow
def test_control_swapped_layers_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_published(tmp_path)
    swapped = {"query": "W_k", "key": "W_q"}
    for name, ours in swapped.items():
        pattern = published.BLOCK + rf"attention\.self\.{name}"
        monkeypatch.setitem(published.NAMES, pattern, rf"encoder.blks.\1.attention.{ours}")
    assert largest_gaps(tmp_path, "float64", small_texts())[0] > 1e-3


@needs_minilm
@pytest.mark.slow
@PRECISIONS
def test_minilm_equals_pytorchs_own_layers(dtype: str, gap: float):
    folder = published.published_folder()
    encoding_gap, cosine_gap = largest_gaps(folder, dtype, WordPieces(folder).encode(SENTENCES, 512))
    assert encoding_gap < 10 * gap and cosine_gap < gap


@needs_minilm
@pytest.mark.slow
def test_minilm_gives_the_cosines_that_its_makers_print():
    folder = published.published_folder()
    _, embeddings = of_flax(folder, "float32", WordPieces(folder).encode(SENTENCES[:3], 512))
    for (first, second), cosine in COSINES.items():
        assert embeddings[first] @ embeddings[second] == pytest.approx(cosine, abs=5e-5)
