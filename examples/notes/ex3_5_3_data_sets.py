# %% [markdown]
"""
# 3.5.3 Which other data sets there are

Chinese edition 3.5, exercise 3; English edition 4.2. Every name that `d2l_jax.data` knows, and what this machine has:
a folder of files where there is one, else the embedded default of its kind.
"""

# %%
import matplotlib.pyplot as plt

from d2l_jax import InputError, data

# %% JAX
loaded = {}
for name in data.KNOWN:
    try:
        loaded[name] = every = data.load(name)
        print(f"{name:<14} {every.kind:<12} {every.examples:>6} to train on, {every.held_out} held out")
    except InputError:
        print(f"{name:<14} not on this machine; {data.EMBEDDED[data.kind_of(name)]} stands in for it")
print(f"JAX      {len(loaded)} of {len(data.KNOWN)} sets can be had without the network")

# %% PyTorch
import torchvision  # noqa: E402

print(f"PyTorch  torchvision.datasets names {len(torchvision.datasets.__all__)}, and downloads them")
print("notes    what the data module can load")

# %%
pictures = [(name, each.train[0][0]) for name, each in loaded.items() if each.kind == "image"]
figure, axes = plt.subplots(1, len(pictures), figsize=(2 * len(pictures), 2), squeeze=False, layout="constrained")
for axis, (name, image) in zip(axes[0], pictures, strict=True):
    axis.imshow(image.squeeze(), cmap="gray")
    axis.set_title(name)
    axis.set_axis_off()
plt.show()
