"""Sparse matrices: PyTorch's as buffers, attributes and inputs, dense or BCOO in Flax."""

import copy
import re
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax.experimental.sparse import BCOO

import parity
from parity.models.sparse import with_numbers
from parity.twin.inputs import Inputs

GRAPH = np.triu(np.arange(25, dtype="float32").reshape(5, 5) % 3) / 4 + np.eye(5, dtype="float32")
X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
with warnings.catch_warnings(action="ignore"):  # PyTorch calls compressed tensors a beta, once
    COO, CSR, CSC = (
        torch.tensor(GRAPH).to_sparse(layout=x) for x in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)
    )


class TorchLayer(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)

    def forward(self, x, graph):
        return torch.sparse.mm(graph, self.linear(x))


class TorchGraph(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = TorchLayer(3, 4), TorchLayer(4, 2)
        self.register_buffer("graph", COO)
        self.other = CSR

    def forward(self, x, graph):
        x = torch.relu(self.first(x, graph))
        return torch.sparse.mm(self.other, self.last(x, self.graph))


class Layer(nnx.Module):
    def __init__(self, inputs, outputs, rngs):
        self.linear = nnx.Linear(inputs, outputs, rngs=rngs)

    def __call__(self, x, graph):
        return graph @ self.linear(x)


class Graph(nnx.Module):
    def __init__(self, rngs, factor=1.0):
        self.first, self.last = Layer(3, 4, rngs), Layer(4, 2, rngs)
        self.graph, self.other = nnx.Variable(BCOO.fromdense(jnp.asarray(GRAPH))), nnx.Variable(jnp.asarray(GRAPH))
        self.factor = factor

    def __call__(self, x, graph):
        x = nnx.relu(self.first(x, graph))
        return self.factor * (self.other.get_value() @ self.last(x, self.graph.get_value()))


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), pytest.param(1.25, "fail", marks=pytest.mark.slow)])
def test_a_graph_is_sparse_in_pytorch_and_of_any_form_in_flax(factor, status):
    result = parity.check(Graph(nnx.Rngs(0), factor), TorchGraph(), {"x": X, "graph": CSR}, steps=1, tiers=("float64",))
    assert result.status == status, result
    assert status == "pass" or result.blame and "1.25" in result.blame.text
    assert not re.search("first|last", " ".join(result.notes))  # no layer is left out


@pytest.mark.parametrize("tensor", [COO, CSR, CSC])
def test_what_a_model_keeps_sparse_moves_with_its_numbers(tensor):
    model: Any = torch.nn.Module()
    model.register_buffer("graph", tensor)
    model.again = tensor
    changed: Any = copy.deepcopy(with_numbers(model)).double()
    assert not changed.state_dict() and changed.graph.layout == changed.again.layout == tensor.layout
    changed.get_buffer("graph_numbers").mul_(2)
    assert torch.equal(changed.graph.to_dense(), 2 * tensor.to_dense().double())
    assert torch.equal(changed.again.to_dense(), tensor.to_dense().double())
    assert model.graph is tensor and with_numbers(changed) is changed


@pytest.mark.parametrize("value", [COO.transpose(0, 1), CSR, torch.tensor(GRAPH), None])
def test_what_a_model_keeps_sparse_may_be_set_anew(value):
    model: Any = torch.nn.Module()
    model.graph = COO
    changed: Any = copy.deepcopy(with_numbers(model)).double()
    changed.graph = value
    again = copy.deepcopy(changed).graph
    assert again is value or again.layout == value.layout and torch.equal(again.to_dense(), value.to_dense())
    assert model.graph is COO


@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (0.5, "fail")])
def test_a_graph_that_a_run_sets_anew_is_seen_in_that_run(factor, status):
    class Anew(torch.nn.Linear):
        def forward(self, input):
            self.graph = (factor * self.graph).coalesce()
            return torch.sparse.mm(self.graph, super().forward(input))

    class Ours(nnx.Linear):
        def __call__(self, inputs, out_sharding=None):
            return jnp.asarray(GRAPH) @ super().__call__(inputs)

    theirs: Any = Anew(3, 4)
    theirs.register_buffer("graph", COO)
    result = parity.check(Ours(3, 4, rngs=nnx.Rngs(0)), theirs, X, steps=2, tiers=("float64",), layers=False)
    assert result.status == status


@pytest.mark.parametrize("value", [COO, CSR, BCOO.fromdense(jnp.asarray(GRAPH))])
def test_a_sparse_input_is_dense_in_flax(value):
    inputs = Inputs.of((X, value))
    assert np.array_equal(inputs.arrays[1], GRAPH)
    assert inputs.sparse == {1: torch.sparse_csr if value is CSR else torch.sparse_coo}
