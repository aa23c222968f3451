"""PyTorch's state_dict and Flax's state: rules, files, conversion."""
