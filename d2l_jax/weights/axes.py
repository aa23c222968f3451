"""Axis orders by which a tensor of Flax's becomes PyTorch's."""

Axes = tuple[int, ...]


def as_is(rank: int) -> Axes:
    """All axes where they are."""
    return tuple(range(rank))


def output_first(rank: int) -> Axes:
    """(*window, in, out) -> (out, in, *window): a dense kernel, or a convolution's of any rank."""
    return (rank - 1, rank - 2, *range(rank - 2))


def input_first(rank: int) -> Axes:
    """(*window, in, out) -> (in, out, *window): the kernel of a transposed convolution."""
    return (rank - 2, rank - 1, *range(rank - 2))


def channels_first(rank: int) -> Axes:
    """(batch, *size, channels) -> (batch, channels, *size)."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 2 else tuple(range(rank))
