"""Values of a model that are never trained."""

from flax import nnx


class Buffer(nnx.Variable):
    """A fixed array that is saved with the model: the counterpart of PyTorch's `register_buffer`."""


class Bound(Buffer):
    """A bound of what is trained: of all that is loaded from PyTorch it alone may be infinite."""

    bound = True
