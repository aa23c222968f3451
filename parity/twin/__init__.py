"""One set of weights, batches and random numbers for two sides."""
