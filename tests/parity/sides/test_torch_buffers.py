"""Which buffers of PyTorch's are constants."""

import torch

from parity.models.torch_buffers import resting_buffers


class Masked(torch.nn.Module):
    """Multiplies by a mask, and counts its calls where it is to."""

    def __init__(self, mask: torch.Tensor, counts: bool):
        super().__init__()
        self.register_buffer("mask", mask)
        self.counts = counts

    def forward(self, x):
        if self.counts:
            self.mask += 1
        return x * self.mask


def test_a_mask_that_two_layers_share_is_a_constant_under_both_names_and_one_that_changes_is_none():
    shared = torch.ones(3)
    model = torch.nn.Sequential(Masked(shared, False), Masked(torch.ones(3), True), Masked(shared, False))
    assert resting_buffers(model, (torch.ones(2, 3),)) == {"0.mask", "2.mask"}
