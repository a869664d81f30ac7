"""The inputs of a model, nested ones included, each at a path: `arrival_rate`, `service.mean`, `rtts[0].mean`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from scaling_models import units
from scaling_models.domains import Choice, Domain, Integer, Real, Record, Rows
from scaling_models.parameters import Declared, Parameter

Thing = TypeVar("Thing", bound=Declared)
STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")
MOST_ROWS = 12  # longer rows are measurements, not inputs that somebody turns


@dataclasses.dataclass(frozen=True)
class Input:
    """A place in a model that can be changed: its path, its declaration, the domain of the value there, the value."""

    path: str
    declared: Parameter
    domain: Domain
    value: Any

    @property
    def label(self) -> str:
        """The path as people say it."""
        return re.sub(r"\[(\d+)\]", lambda found: f" {int(found[1]) + 1}", units.words(self.path))


def inputs(thing: Declared) -> Iterator[Input]:
    """All numbers and choices among the parameters, nested ones included, in the order of their declaration."""
    for name, declared in thing.parameters().items():
        yield from _inputs(name, declared, declared.domain, thing.values()[name])


def _inputs(path: str, declared: Parameter, domain: Domain, value: Any) -> Iterator[Input]:
    if isinstance(domain, Real | Integer | Choice):
        yield Input(path, declared, domain, value)
    elif isinstance(domain, Rows) and len(value) <= MOST_ROWS:
        for position, item in enumerate(value):
            yield from _inputs(f"{path}[{position}]", declared, domain.item, item)
    elif isinstance(domain, Record) and isinstance(value, Declared):
        for each in inputs(value):
            yield dataclasses.replace(each, path=f"{path}.{each.path}")


def find(thing: Declared, path: str) -> Input:
    """The input at a path, or a `ValueError` that lists those there are."""
    known = {each.path: each for each in inputs(thing)}
    if path not in known:
        raise ValueError(f"{type(thing).__name__} has no input {path!r}; it has {', '.join(known)}")
    return known[path]


def leading(thing: Declared) -> Input:
    """The first input that has a slider: what an answer is drawn over unless another is named."""
    return next(each for each in inputs(thing) if each.declared.slider is not None)


def replaced(thing: Thing, path: str, value: Any) -> Thing:
    """The same with the value at a path changed: `service.mean`, `follower_rtts[0].value`, or a plain name."""
    steps = [name or int(position) for name, position in STEP.findall(path)]
    if not steps or STEP.sub("", path):
        raise ValueError(f"{path!r} is no path of a parameter; write arrival_rate, service.mean or rows[0].mean")
    changed: Thing = _put(thing, steps, value, path)
    return changed


def _put(thing: Any, steps: Sequence[str | int], value: Any, path: str) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int) and isinstance(thing, tuple) and step < len(thing):
        return (*thing[:step], _put(thing[step], rest, value, path), *thing[step + 1 :])
    if isinstance(step, str) and isinstance(thing, Declared) and step in thing.parameters():
        return thing.replace(**{step: _put(thing.values()[step], rest, value, path)})
    held = f"it has {', '.join(thing.parameters())}" if isinstance(thing, Declared) else f"that is {thing!r:.60}"
    raise ValueError(f"there is no {step!r} in {type(thing).__name__}, asked for by {path!r}; {held}")
