"""What a checkpoint holds, however deep it stands: every tensor under one dotted name."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from d2l_jax.errors import InputError
from parity.weights.stand_in import StandIn
from parity.weights.tensors import is_tensor

# Words that wrappers put into names; no model's own attribute is called so.
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
EXTRA_STATE = "_extra_state"
TIED_TO = "tied to "
OPTIMIZER = "an optimiser's state"


class Content(NamedTuple):
    """The content of a checkpoint.

    tensors: by dotted name, "model_state_dict.net.0.weight", in the order of the file
    home:    for each of them, the name of the mapping in which it stands, "model_state_dict."
    others:  what everything else is, in words
    taken_off: wrappers' words that are gone from the names
    """

    tensors: dict[str, Any]
    home: dict[str, str]
    others: dict[str, str]
    taken_off: tuple[str, ...] = ()

    def with_tensors(self, tensors: dict[str, Any]) -> "Content":
        """Returns the same content with tensors that were computed from these, each in the mapping of its parts."""
        homes = sorted(set(self.home.values()), key=len)
        home = {name: [each for each in ("", *homes) if name.startswith(each)][-1] for name in tensors}
        return self._replace(tensors=tensors, home=home)

    def without(self, word: str) -> "Content | None":
        """Returns the same content with a wrapper's word gone from all names; None where no wrapper can have put it.

        A wrapper holds one module alone: all names of a mapping or module have its word next, or none has it.
        """
        homes = {name[: name.index(f".{word}.") + 1] for name in self.tensors if f".{word}." in name}
        if not homes or any(
            name.startswith(home) and not name.startswith(f"{home}{word}.") for home in homes for name in self.tensors
        ):
            return None
        tensors = {_without(word, name): tensor for name, tensor in self.tensors.items()}
        home = {_without(word, name): _without(word, each) for name, each in self.home.items()}
        return self._replace(tensors=tensors, home=home, taken_off=(*self.taken_off, word))


def content_of(source: Any) -> Content:
    """Returns every tensor in nested mappings and modules."""
    content = Content({}, {}, {})
    gone: dict[str, None] = {}
    try:
        every = list(_walk(source, ""))
    except RecursionError:
        raise InputError("the checkpoint holds a mapping that holds itself; save the state_dict alone") from None
    for home, key, value in every:
        name = home + key
        for word in WRAPPERS:
            shorter = _without(word, name)
            if shorter not in (name, *content.tensors):  # a name that is there twice stays as it is
                gone[word] = None
                home = _without(word, home)
                name = shorter
        if is_tensor(value) and name:
            if name.rpartition(".")[2] != EXTRA_STATE:
                content.tensors[name] = value
                content.home[name] = home
        else:
            content.others[name] = _words(value)
    return content._replace(taken_off=tuple(gone))


def _without(word: str, name: str) -> str:
    return ".".join(part for part in name.split(".") if part != word)


def _walk(value: Any, home: str) -> Iterator[tuple[str, str, Any]]:
    """(name of the mapping, key in it, value) of everything that is no mapping."""
    if isinstance(value, StandIn):
        value = _opened(value)
    if isinstance(value, tuple | list) and any(isinstance(inner, Mapping) for inner in value):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        yield "", home.rstrip("."), value
        return
    if home and _is_optimizer(value):
        yield "", home.rstrip("."), OPTIMIZER
        return
    for key, inner in value.items():
        if isinstance(inner, Mapping | tuple | list):
            yield from _walk(inner, f"{home}{key}.")
        else:
            yield home, str(key), inner


def _is_optimizer(value: Mapping) -> bool:
    """Tells whether it is what an optimiser's state_dict() returns."""
    return isinstance(value.get("state"), Mapping) and isinstance(value.get("param_groups"), list | tuple)


def _opened(value: StandIn) -> Any:
    """Returns the state_dict of a module, or the weights among the attributes of a trainer; else the object itself."""
    # A compiled model is saved as a call of its class with the model.
    modules = [each for each in (value, *value.arguments) if _is_module(each)]
    if modules:
        return dict(_of_module(modules[0].attributes, ""))
    return {
        name: inner for name, inner in value.attributes.items() if _is_module(inner) or _holds_tensors(inner)
    } or value


def _is_module(value: Any) -> bool:
    return isinstance(value, StandIn) and "_modules" in value.attributes and "_parameters" in value.attributes


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(map(is_tensor, value.values()))


def _of_module(attributes: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """The state_dict of a module that was saved whole; of its class nothing is known here but its attributes."""
    passing = attributes.get("_non_persistent_buffers_set") or ()
    for name, tensor in {**attributes.get("_parameters", {}), **attributes.get("_buffers", {})}.items():
        if tensor is not None and name not in passing:
            yield prefix + name, tensor
    for name, child in (attributes.get("_modules") or {}).items():
        if isinstance(child, StandIn):
            yield from _of_module(child.attributes, f"{prefix}{name}.")


def _words(value: Any) -> str:
    if isinstance(value, StandIn):
        return f"an object of {value.name}"
    if isinstance(value, tuple | list) and value and all(map(is_tensor, value)):
        return f"a list of {len(value)} tensors without names; copy them into a model and save its state_dict"
    told = isinstance(value, str) and (value is OPTIMIZER or value.startswith(TIED_TO))
    return str(value) if told else f"of type {type(value).__name__}"
