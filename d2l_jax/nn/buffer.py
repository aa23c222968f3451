"""What a model keeps but never trains."""

from flax import nnx


class Buffer(nnx.Variable):
    """A fixed array that is saved with the model: the counterpart of PyTorch's `register_buffer`."""
