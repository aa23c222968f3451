"""A training run from its options to its folder of results."""
