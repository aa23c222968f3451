# %% [markdown]
"""
# A13. A second derivative

Chinese and English edition 2.5; exercise 4 of Chinese 3.2. For y = x^3 the derivatives are 3x^2 and 6x. In JAX the
gradient is a function, so its gradient is one more `grad`; PyTorch must be told to keep the graph.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

x = np.linspace(-2, 2, 9, dtype=np.float32)  # quarters: every product is exact


# %% JAX
def cube(x):
    return x**3


first = jax.vmap(jax.grad(cube))
second = jax.vmap(jax.grad(jax.grad(cube)))
equal = np.array_equal(first(x), 3 * x**2), np.array_equal(second(x), 6 * x)
print(f"JAX      dy = 3x^2: {equal[0]}, d2y = 6x: {equal[1]}")
print(f"the Hessian of a sum is diagonal: {np.array_equal(jax.hessian(lambda x: cube(x).sum())(x), np.diag(6 * x))}")

# %% PyTorch
t = torch.tensor(x, requires_grad=True)
(dy,) = torch.autograd.grad((t**3).sum(), t, create_graph=True)
(d2y,) = torch.autograd.grad(dy.sum(), t)
print(f"PyTorch  dy = 3x^2: {torch.equal(dy, 3 * t**2)}, d2y = 6x: {torch.equal(d2y, 6 * t)}")
print("notes    equal, elementwise")

# %%
many = jnp.linspace(-2, 2, 200)
for values, name in ((cube(many), "y"), (first(many), "dy"), (second(many), "d2y")):
    plt.plot(many, values, label=name)
plt.xlabel("x")
plt.legend()
plt.show()
