# %% [markdown]
"""
# A17. Gradients: the first rules

Chinese and English edition 2.5. In PyTorch a tensor carries its gradient and `backward` fills it, adding to what is
there; in JAX `grad` turns a function into the function of its gradients, and nothing is filled.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

x = np.arange(4, dtype=np.float32)


def doubled_until_large(a, stop, size):
    """Doubles 2a until its length is `stop`, then goes on by the sign of the sum."""
    b = a * 2
    while size(b) < stop:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


# %% JAX
facts = {
    "2 x.x gives 4x": np.array_equal(jax.grad(lambda x: 2 * jnp.dot(x, x))(x), 4 * x),
    "the sum gives ones": np.array_equal(jax.grad(jnp.sum)(x), np.ones(4)),
    "u = x x held constant, z = u x gives u": np.array_equal(
        jax.grad(lambda x: (jax.lax.stop_gradient(x * x) * x).sum())(x), x * x
    ),
}
a = jnp.float32(0.37)
slope = jax.grad(doubled_until_large)(a, 1000.0, abs)  # not under jit: `while` and `if` read numbers
facts["through while and if: f(a) / a"] = bool(slope == doubled_until_large(a, 1000.0, abs) / a)
for fact, holds in facts.items():
    print(f"JAX      {fact}: {holds}")

# %% PyTorch
t = torch.tensor(x, requires_grad=True)
(2 * torch.dot(t, t)).backward()
facts = {"2 x.x gives 4x": torch.equal(t.grad, 4 * t)}
t.sum().backward()
print("without zeroing, gradients add up:", torch.equal(t.grad, 4 * t + 1))
t.grad.zero_()
t.sum().backward()
facts["the sum gives ones"] = torch.equal(t.grad, torch.ones(4))
t.grad.zero_()
((t * t).detach() * t).sum().backward()
facts["u = x x held constant, z = u x gives u"] = torch.equal(t.grad, t * t)
a = torch.tensor(0.37, requires_grad=True)
doubled_until_large(a, 1000.0, torch.norm).backward()
facts["through while and if: f(a) / a"] = bool(a.grad == doubled_until_large(a, 1000.0, torch.norm) / a)
for fact, holds in facts.items():
    print(f"PyTorch  {fact}: {holds}")
print("notes    4x, ones, u, f(a) / a")

# %%
many = jnp.linspace(-4, 4, 200)
plt.plot(many, jnp.sin(many), label="sin")
plt.plot(many, jax.vmap(jax.grad(jnp.sin))(many), label="its gradient")
plt.legend()
plt.show()
