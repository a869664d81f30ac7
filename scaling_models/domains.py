"""The legal values of parameters: intervals, whole numbers, choices, objects, rows of them."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any, ClassVar


def is_number(value: Any) -> bool:
    """Whether it is a real number (True and False are not)."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


class Illegal(ValueError):
    """What a domain says of a value that it refuses; the parameter puts its own name before it."""


@dataclasses.dataclass(frozen=True)
class Real:
    """A real number in an interval whose ends may be open; infinity only where `high` is closed."""

    low: float = 0.0
    high: float = math.inf
    open_low: bool = True
    open_high: bool = True
    measured: ClassVar[bool] = True  # its refusal names the unit

    def convert(self, value: Any) -> float:
        """`value` as a float, or `Illegal`."""
        if not is_number(value):
            raise Illegal(f"must be a number in {self}")
        try:
            number = float(value)
        except OverflowError:  # an int beyond all floats
            number = math.inf if value > 0 else -math.inf
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        if not (above and below):
            raise Illegal(f"must lie in {self}")
        return number

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


@dataclasses.dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, both included."""

    low: int = 1
    high: int = 10**6
    measured: ClassVar[bool] = True

    def convert(self, value: Any) -> int:
        """`value` as an int, or `Illegal`."""
        if not (is_number(value) and self.low <= value <= self.high and float(value).is_integer()):
            raise Illegal(f"must be a whole number in {self}")
        return int(value)

    def __str__(self) -> str:
        return f"[{self.low}, {self.high}]"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    options: tuple[str, ...]
    measured: ClassVar[bool] = False

    def convert(self, value: Any) -> str:
        """`value` itself, or `Illegal`."""
        if value not in self.options:
            raise Illegal(f"must be one of {self}")
        return str(value)

    def __str__(self) -> str:
        return ", ".join(repr(option) for option in self.options)


@dataclasses.dataclass(frozen=True)
class Record:
    """A declared object of its own: one of `kinds()` in a drop-down, or whatever `adapt` makes of the value."""

    about: str
    base: Callable[[], type]
    kinds: Callable[[], tuple[type[Any], ...]]
    adapt: Callable[[Any], Any] | None = None
    measured: ClassVar[bool] = False

    def convert(self, value: Any) -> Any:
        """`value` adapted to the base class, or `Illegal`."""
        adapted = self.adapt(value) if self.adapt else value
        if not isinstance(adapted, self.base()):
            raise Illegal(f"must be {self}")
        return adapted

    def __str__(self) -> str:
        return self.about


@dataclasses.dataclass(frozen=True)
class Rows:
    """Several values of one domain, in order."""

    item: Domain
    least: int = 1
    most: int = 10**6
    measured: ClassVar[bool] = False

    def convert(self, value: Any) -> tuple[Any, ...]:
        """`value` as a tuple of converted items, or `Illegal`."""
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise Illegal(f"must be {self}")
        items = tuple(value)
        if not self.least <= len(items) <= self.most:
            raise Illegal(f"must have {self.least} to {self.most} items")
        return tuple(self._item(position, item) for position, item in enumerate(items))

    def _item(self, position: int, item: Any) -> Any:
        try:
            return self.item.convert(item)
        except Illegal as refusal:
            raise Illegal(f"[{position}] {refusal}") from None

    def __str__(self) -> str:
        return f"a tuple of {self.least} to {self.most} items, each {self.item}"


Domain = Real | Integer | Choice | Record | Rows
