"""One set of weights, batches and draws for two sides."""
