"""What is recorded of the calls within a model."""

import torch
from torch import nn

from parity.models.calls import torch_calls


class Triangular(nn.Module):
    """Two results of one operator, as cuDNN's recurrent layers have them: only the first will be used."""

    def forward(self, x):
        return torch.linalg.qr(x)


class UsesOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = Triangular()

    def forward(self, x):
        return self.both(x)[0]


def test_a_result_that_nobody_uses_has_no_cotangent():
    x = torch.eye(3, requires_grad=True)
    with torch_calls(model := UsesOne()) as calls:
        model(x).sum().backward()
    inner = next(call for call in calls if call.name == "both")
    assert list(inner.cotangents) == ["output.0"]
    assert torch.equal(inner.cotangents["output.0"], torch.ones(3, 3))
