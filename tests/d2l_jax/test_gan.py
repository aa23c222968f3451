"""Chapter 20: adversarial networks against the facts of the specification."""

import json
from pathlib import Path

import pytest
from flax import nnx

from d2l_jax import models
from d2l_jax.weights.rules import leaves
from parity import reference
from parity.twin.structure import abstract

FACTS = json.loads((Path(__file__).parent / "facts" / "gan.json").read_text())
NETS = {
    "GAN generator": "generator",
    "GAN discriminator": "discriminator",
    "DCGAN generator": "dcgan_generator",
    "DCGAN discriminator": "dcgan_discriminator",
}


@pytest.mark.parametrize("title", NETS)
def test_keys_and_shapes(title):
    """The keys are the book's, in its order; so are the shapes."""
    expected = FACTS[title]["state_dict"]
    theirs = getattr(reference, NETS[title])()
    assert {key: list(tensor.shape) for key, tensor in theirs.state_dict().items()} == expected
    assert list(theirs.state_dict()) == list(expected)
    ours = abstract(lambda: getattr(models, NETS[title])(rngs=nnx.Rngs(0)))
    assert {leaf.key: list(leaf.shape) for leaf in leaves(ours)} == expected
    assert sum(parameter.numel() for parameter in theirs.parameters()) == FACTS[title]["params"]
