"""Copies of models whose functions close over their modules."""

import threading
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from parity.models.copies import copy_of


class ByLambda(torch.nn.Module):
    """As minGPT writes its feed-forward."""

    def __init__(self):
        super().__init__()
        self.parts: Any = torch.nn.ModuleDict({"first": torch.nn.Linear(3, 4), "last": torch.nn.Linear(4, 3)})
        m: Any = self.parts
        self.feed: Any = lambda x: m.last(torch.relu(m.first(x)))

    def forward(self, x):
        return self.feed(x)


class ByDefault(ByLambda):
    def __init__(self):
        super().__init__()
        self.feed = lambda x, m=self.parts: m["last"](m["first"](x))


class InContainers(ByLambda):
    """Functions in a list, of which one calls itself and another."""

    def __init__(self):
        super().__init__()
        first, last = self.parts["first"], self.parts["last"].forward

        def deeper(x, depth):
            return deeper(first(x)[:, :3], depth - 1) if depth else last(first(x))

        self.feeds = [partial(deeper, depth=2)]

    def forward(self, x):
        return self.feeds[0](x)


class ByHook(ByLambda):
    """A hook keeps what another layer gives."""

    def __init__(self):
        super().__init__()
        self.seen = {}
        self.parts["first"].register_forward_hook(lambda module, given, result: self.seen.update(first=result))

    def forward(self, x):
        self.feed(x)
        return self.seen["first"]


@dataclass
class Parts:
    first: torch.nn.Module
    last: torch.nn.Module

    def feed(self, x):
        return self.last(self.first(x))


class InObjects(ByLambda):
    """Functions in a namespace, which close over a record and a set, and over the method of a record."""

    def __init__(self):
        super().__init__()
        parts, one = Parts(**self.parts), {self.parts["first"]}
        feed = parts.feed
        self.feeds = SimpleNamespace(first=lambda x: parts.last(next(iter(one))(x)), last=lambda x: feed(x))

    def forward(self, x):
        return self.feeds.first(x) + self.feeds.last(x)


class ByExtractor(ByLambda):
    """An object's method is a hook, and keeps in the object what a layer gives."""

    def __init__(self):
        super().__init__()
        self.extractor: Any = SimpleNamespace(seen=None)
        self.parts["first"].register_forward_hook(partial(self.keep, self.extractor))

    @staticmethod
    def keep(extractor, module, given, result):
        extractor.seen = result

    def forward(self, x):
        self.feed(x)
        return self.extractor.seen


def test_functions_see_the_copy():
    x = torch.ones(2, 3)
    for kind in (ByLambda, ByDefault, InContainers, ByHook, InObjects, ByExtractor):
        model = kind()
        before = model(x).detach().clone()
        copy = copy_of(model)
        assert torch.equal(copy(x), before), kind
        with torch.no_grad():
            for parameter in copy.parameters():
                parameter.zero_()
        assert not copy(x).any(), kind
        assert torch.equal(model(x), before), kind


def test_what_a_run_has_left_is_written_anew():
    model = ByHook()
    result = model(torch.ones(2, 3))
    copy = copy_of(model)
    assert copy.seen["first"].isnan().all()  # so that nothing is right by what another run has left
    assert torch.equal(copy(torch.ones(2, 3)), result)


def test_a_view_of_a_parameter_is_not_frozen():
    model: Any = ByLambda()
    model.turned = model.parts["first"].weight.t()
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy_of(model)


def test_a_child_may_hold_its_parent():
    model: Any = ByLambda()
    model.parts["first"].parent = [model]
    model.own = {"self": model, "list": []}
    model.own["list"].append(model.own)
    copy = copy_of(model)
    assert copy.parts["first"].parent[0] is copy


@pytest.mark.parametrize("held", [lambda x: x, lambda x: SimpleNamespace(module=x), lambda x: {x}])
def test_what_is_no_part_of_the_model_is_shared(held):
    outside = held(torch.nn.Linear(3, 3))
    model = ByLambda()
    model.feed = lambda x: outside
    assert copy_of(model).feed.__closure__[0].cell_contents is outside


def test_what_cannot_be_copied_is_shared():
    model = ByLambda()
    trainer = SimpleNamespace(model=model, lock=threading.Lock())
    model.feed = lambda x: trainer.lock
    assert copy_of(model).feed.__closure__[0].cell_contents is trainer


def test_what_a_hook_writes_down_outside_is_written_there():
    seen = []
    model = ByLambda()
    model.parts["first"].register_forward_hook(lambda module, given, result: seen.append(result.shape))
    copy_of(model)(torch.ones(2, 3))
    assert seen == [(2, 4)]
