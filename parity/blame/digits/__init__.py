"""Where Flax's program loses its digits in float32, though its mathematics are PyTorch's."""

from parity.blame.digits.explain import with_digits

__all__ = ["with_digits"]
