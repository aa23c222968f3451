# %% [markdown]
"""
# 3.3.3 Reading the gradients

Chinese edition 3.3, exercise 3; English edition 3.5. `jax.grad` returns them, in the shape of the parameters; PyTorch
leaves them in `.grad`. They are equal to rounding.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import data, functional, losses
from d2l_jax.models import LinearRegression
from parity import reference

X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=10).train

# %% JAX
model = LinearRegression(2, rngs=nnx.Rngs(0))
apply, params, buffers = functional(model)
grads = jax.grad(lambda params: losses.mse(apply(params, buffers, jnp.asarray(X))[0], jnp.asarray(y)))(params)
weight = grads["net"]["kernel"].ravel()
bias = grads["net"]["bias"]
print(f"JAX      gradient of the weight {np.round(weight, 4)}, of the bias {np.round(bias, 4)}")

# %% PyTorch
twin = reference.LinearRegression(2)
twin.load_state_dict({name: torch.tensor(value) for name, value in parity.state_dict(model).items()})
torch.nn.functional.mse_loss(twin(torch.from_numpy(X)), torch.from_numpy(y)).backward()
theirs = twin.net.weight.grad.ravel().numpy(), twin.net.bias.grad.numpy()
print(f"PyTorch  gradient of the weight {np.round(theirs[0], 4)}, of the bias {np.round(theirs[1], 4)}")
print("equal to rounding:", np.allclose(weight, theirs[0], rtol=1e-5) and np.allclose(bias, theirs[1], rtol=1e-5))
print("notes    jax.grad returns what .grad holds")
