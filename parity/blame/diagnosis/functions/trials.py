"""Hypotheses on functions: one call altered, all calls of a function or of an expression, two projections alike."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.altering import Altering, Choice, Label, Site, untouched
from parity.blame.diagnosis.functions.arithmetic import STOP_MISSING
from parity.blame.diagnosis.functions.combined import WIRING
from parity.blame.diagnosis.functions.discretised import DISCRETISATION
from parity.blame.diagnosis.functions.rotation import DIRECTION
from parity.blame.diagnosis.functions.straight_through import CAUSE as STRAIGHT

MOST_RUNS = 400
TOGETHER = (STOP_MISSING,)
MOST_TOGETHER = 6  # of which all subsets are tried
MOST_PLACES = 3
# that a model follows in several functions at once: in these, or in any
CONVENTIONS: dict[str, tuple[str, ...]] = {
    "heads-interleaved": (),
    "repeat-order": (),
    DISCRETISATION: ("exp", "div", "truediv"),
    "causal-padding": ("pad", "getitem"),
    "align-corners": ("affine_grid", "grid_sample"),
}
BOTH_WAYS = ("getitem", "setitem")  # of which the same part is read in one place and written in another
PADDING = ("causal-padding", "padding-side", "padding-mode", "crop-side")  # is what Flax's layer has as its own
# features whose parts are exchanged are rotated the other way, too; other padding may be cropped to the same; two sums
# may be exchanged for means; any tensor may fit; so may a decay; rates are many;
# what is divided by may be bounded, which hides of what it is made
RANKS = {
    "dropout-rate": 1,
    **dict.fromkeys(("mean-for-sum", "max-for-sum"), 1),
    "crop-side": -1,
    DIRECTION: -1,
    STRAIGHT: -1,
    "causal-padding": -1,
    "padding-counted": -1,
    WIRING: 1,
    DISCRETISATION: 1,
}
# A cause, a line for people, what was computed, the submodule in which it was altered.
FunctionTrial = tuple[str, str, Any, str]


def function_trials(run: Callable[[Choice], tuple[Any, Altering]]) -> Iterator[FunctionTrial]:
    """Yields what the model computes with one alternative, everywhere or at one call.

    run: computes with a choice; returns the pieces that are compared, and the mode that was in force
    """
    try:
        _, seen = run(untouched)
    except UNFIT:
        return
    rank = lambda chosen: RANKS.get(chosen.cause, 0)  # noqa: E731
    choices = itertools.chain(
        sorted(_choices(seen.sites), key=rank), sorted(_single(seen.sites, repeated=True), key=rank)
    )
    for chosen, _ in zip(choices, range(MOST_RUNS)):
        try:
            pieces, mode = run(chosen.choice)
        except UNFIT:
            continue
        if mode.altered:
            places = _places(chosen, seen.passed.beside)
            where = f"in {' and '.join(places)}: " if places[0] else ""
            yield chosen.cause, f"{where}{chosen.text}", pieces, places[0]


class _Chosen(NamedTuple):
    """Calls that are altered together: the cause, a line for people, and what each of them is to give."""

    cause: str
    text: str
    sites: list[Site]
    choice: Choice


def _places(chosen: _Chosen, beside: Mapping[tuple[str, int], str]) -> list[str]:
    """The submodule around all calls, or a few of no common one; of padding by hand the first layer padded for."""
    layers = [beside[site.function, site.number] for site in chosen.sites if (site.function, site.number) in beside]
    if chosen.cause in PADDING and layers:
        return layers[:1]
    each = list(dict.fromkeys(site.place for site in chosen.sites))
    common = around(chosen.sites)
    return each if not common and all(each) and len(each) <= MOST_PLACES else [common]


def _choices(sites: list[Site]) -> Iterator[_Chosen]:
    for (function, label), several in _alike(sites, "labels"):
        if len(several) > 1:
            text = f"{label[1]} (in all {len(several)} calls of {function})"
            yield _Chosen(label[0], text, several, _all(function, label, several))
    yield from _but_for_one(sites)
    yield from _in_every_turn(sites)
    yield from _single(sites, repeated=False)
    yield from _some_together(sites)
    yield from _everywhere(sites)
    yield from _read_and_written(sites)
    for (function, label), several in _alike(sites, "paired"):
        for pair in zip(several, several[1:]):
            if pair[0].shape[:-1] == pair[1].shape[:-1]:  # grouped heads have fewer keys than queries
                yield _Chosen(label[0], label[1], list(pair), _all(function, label, list(pair)))


def _some_together(sites: list[Site]) -> Iterator[_Chosen]:
    """Yields several expressions altered alike, each named by its text, as where gradients are stopped."""
    for cause in TOGETHER:
        labels = {(site.function, site.number): x for site in sites for x in site.labels if x[0] == cause}
        texts = list(dict.fromkeys(labels.values()))[:MOST_TOGETHER]
        for count in range(2, len(texts) + 1):
            for some in itertools.combinations(texts, count):
                chosen = {at: label for at, label in labels.items() if label in some}
                yield _each(cause, "; ".join(text for _, text in some), sites, chosen)


def _but_for_one(sites: list[Site]) -> Iterator[_Chosen]:
    """Yields the calls of one expression but for the first, or the last, as that of a first layer may be right."""
    for (function, label), several in _alike(sites, "labels"):
        if len(several) > 2 and len({site.turn for site in several}) == 1:
            for others, which in ((several[1:], "first"), (several[:-1], "last")):
                text = f"{label[1]} (in all calls of {function} but the {which})"
                yield _Chosen(label[0], text, others, _all(function, label, others))


def _in_every_turn(sites: list[Site]) -> Iterator[_Chosen]:
    """Yields the calls of one expression, as in a loop, where others could be altered alike."""
    for (function, label), several in _alike(sites, "labels"):
        for same in _by_expression(several).values():
            if 1 < len(same) < len(several):
                text = f"{label[1]} (in the {len(same)} calls of one {function}, of shape {same[0].shape})"
                yield _Chosen(label[0], text, same, _all(function, label, same))


def _single(sites: list[Site], repeated: bool) -> Iterator[_Chosen]:
    """Yields single calls, of expressions that are computed again or of those that are not."""
    counts = {site.function: site.number for site in sites}
    turns = {site: len(same) for same in _by_expression(sites).values() for site in same}
    for site in sorted(sites, key=lambda site: not site.place):  # a submodule says more than the body
        for label in dict.fromkeys(site.labels) if (turns[site] > 1) == repeated else ():
            cause, text = label
            if counts[site.function] > 1:
                text = f"{text} ({site.function} number {site.number}, of shape {site.shape})"
            yield _Chosen(cause, text, [site], _all(site.function, label, [site]))


def _by_expression(sites: list[Site]) -> dict[tuple, list[Site]]:
    same: dict[tuple, list[Site]] = {}
    for site in sites:
        same.setdefault((site.function, site.place, site.turn), []).append(site)
    return same


def _everywhere(sites: list[Site]) -> Iterator[_Chosen]:
    """Yields one convention wherever functions follow it, as heads are split and joined."""
    for cause, functions in CONVENTIONS.items():
        follow = [site for site in sites if not functions or site.function in functions]
        labels = [(site, next((label for label in site.labels if label[0] == cause), None)) for site in follow]
        chosen = {(site.function, site.number): label for site, label in labels if label}
        texts = dict.fromkeys(label[1] for label in chosen.values())
        if len(texts) > 1:
            yield _each(cause, "; ".join(texts), sites, chosen)


def _read_and_written(sites: list[Site]) -> Iterator[_Chosen]:
    """Yields one part of tensors wherever it is read and wherever it is written."""
    labels = [{label for site in sites if site.function == name for label in site.labels} for name in BOTH_WAYS]
    for label in sorted(set.intersection(*labels)):
        several = [site for site in sites if site.function in BOTH_WAYS and label in site.labels]
        yield _each(label[0], label[1], sites, {(site.function, site.number): label for site in several})


def _each(cause: str, text: str, sites: list[Site], chosen: Mapping[tuple[str, int], Label]) -> _Chosen:
    """Returns calls that are altered each in its own way."""
    return _Chosen(
        cause,
        text,
        [site for site in sites if (site.function, site.number) in chosen],
        lambda name, number: chosen.get((name, number)),
    )


def _alike(sites: list[Site], labels: str) -> Iterable[tuple[tuple[str, Label], list[Site]]]:
    """The calls of one function that have the same alternative."""
    alike: dict[tuple[str, Label], list[Site]] = {}
    for site in sites:
        for label in dict.fromkeys(getattr(site, labels)):
            alike.setdefault((site.function, label), []).append(site)
    return alike.items()


def around(sites: list[Site]) -> str:
    """The innermost submodule around all of them."""
    common = sites[0].place.split(".")
    for site in sites:
        parts = site.place.split(".")
        same = (a == b for a, b in zip(common, parts))
        common = common[: next((i for i, equal in enumerate(same) if not equal), min(len(common), len(parts)))]
    return ".".join(common)


def _all(function: str, label: Label, sites: list[Site]) -> Choice:
    numbers = {site.number for site in sites}
    return lambda name, number: label if name == function and number in numbers else None
