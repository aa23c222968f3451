"""Recurrent layers with PyTorch's parameters: Flax's cells have a single bias and other gate orders, and no stacks."""
