"""Rows of PyTorch's embeddings that stand for padding: they never learn, and are zero unless somebody wrote to them."""

from collections.abc import Iterator

import torch

LOOKUPS = (torch.nn.Embedding, torch.nn.EmbeddingBag)


def padding_rows(model: torch.nn.Module) -> Iterator[tuple[str, int]]:
    """Yields (key, row) of each row for padding that is zero in the model, under all names of a shared tensor."""
    lookups = [module for module in model.modules() if isinstance(module, LOOKUPS) and module.padding_idx is not None]
    rows = {id(module.weight): module.padding_idx for module in lookups}
    for key, parameter in model.named_parameters(remove_duplicate=False):
        row = rows.get(id(parameter))
        if row is not None and not parameter[row].detach().any():
            yield key, row
