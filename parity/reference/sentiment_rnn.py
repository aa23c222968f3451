"""Sentiment by a bidirectional LSTM (book, section 16.2)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class BiRNN(nn.Module):
    """A bidirectional LSTM over a text, whose outputs at the first and at the last step are scored (section 16.2).

    Padding is read like any word. Weights start from Xavier's uniform distribution, biases as PyTorch's.
    """

    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int, num_classes: int = 2):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.encoder = nn.LSTM(embed_size, num_hiddens, num_layers, bidirectional=True)
        self.decoder = nn.Linear(4 * num_hiddens, num_classes)
        for name, weight in self.encoder.named_parameters():
            if name.startswith("weight"):
                nn.init.xavier_uniform_(weight)
        nn.init.xavier_uniform_(self.decoder.weight)

    def forward(self, inputs: Int[Tensor, "batch steps"]) -> Float[Tensor, "batch classes"]:
        outputs, _ = self.encoder(self.embedding(inputs.T))
        return self.decoder(torch.cat([outputs[0], outputs[-1]], 1))
