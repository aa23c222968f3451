"""Load a state_dict of the book's PyTorch LeNet into Flax, and get it back, with no mapping written by hand."""

import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax.models import LeNet
from parity import reference

twin = reference.LeNet()
model = parity.load_state_dict(LeNet(rngs=nnx.Rngs(0)), twin.state_dict())

x = np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype(np.float32)
with torch.no_grad():
    theirs = twin(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
print("largest difference of the outputs:", np.abs(theirs - model(x)).max())
back = parity.state_dict(model)
print("bit for bit the same after the way back:", all(np.array_equal(back[k], v) for k, v in twin.state_dict().items()))
