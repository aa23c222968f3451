# %% [markdown]
"""
# 3.6.3 The fix, and its gradients

Chinese edition 3.6, exercise 3; English edition 4.5. With scores of 10,000 and -10,000 the loss on scores is finite
and so is its gradient p - y; a guard of 1e-12 inside the logarithm is finite too, but has gradient 0: nothing learns.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import losses

scores = jnp.array([[1e4, -1e4, 0.0]])
label = jnp.array([1])


# %% JAX
def plain(scores):
    e = jnp.exp(scores)
    return losses.cross_entropy_of_probabilities(e / e.sum(1, keepdims=True), label)


def guarded(scores):
    return -jnp.log(jax.nn.softmax(scores)[0, 1] + 1e-12)


def on_scores(scores):
    return losses.cross_entropy(scores, label)


for name, loss in (("plain", plain), ("guarded", guarded), ("on scores", on_scores)):
    value, slope = jax.value_and_grad(loss)(scores)
    print(f"JAX      {name}: loss {value:g}, gradient {slope[0]}")

# %% PyTorch
t = torch.tensor(np.array(scores), requires_grad=True)
loss = torch.nn.functional.cross_entropy(t, torch.tensor([1]))
loss.backward()
print(f"PyTorch  on scores: loss {loss.item():g}, gradient {t.grad.numpy()[0]}")
print("notes    finite at logits of +-1e4")
