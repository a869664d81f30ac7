"""Units as people read them: seconds as ms, shares as per cent, and no more than three significant digits."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

from scaling_models.domains import Real
from scaling_models.parameters import Parameter

DIGITS = 3  # no input is known better than that
TIMES = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min"), (172800.0, 1 / 3600, "h"))
DAYS = (1 / 86400, "days")
SIZES = ((1e3, 1.0, "bytes"), (1e6, 1e-3, "kB"), (1e9, 1e-6, "MB"), (1e12, 1e-9, "GB"), (math.inf, 1e-12, "TB"))
ROUNDING = 1e-14  # what a share of one may lack after a few thousand operations
ALMOST = 0.005  # from there on three digits would round a share to 100%


@dataclasses.dataclass(frozen=True)
class Scale:
    """How numbers of one unit are shown: times `factor`, with `suffix`."""

    factor: float = 1.0
    suffix: str = ""

    def show(self, value: float) -> float:
        """The number as shown; binary rounding noise is dropped."""
        shown = value * self.factor
        return shown if self.factor == 1.0 or not math.isfinite(shown) else float(f"{shown:.12g}")

    def read(self, shown: float) -> float:
        """The number that is shown as `shown`."""
        return shown if self.factor == 1.0 else float(f"{shown / self.factor:.12g}")

    def text(self, value: float) -> str:
        """The number with its suffix, to three significant digits; a share just below one by what it lacks of it."""
        if self.suffix == "%" and ROUNDING < 1.0 - value < ALMOST:
            return f"{_almost(100.0 * value, 100.0 * (1.0 - value))}%"
        joint = "" if self.suffix in ("", "%") else " "
        return f"{number(value * self.factor)}{joint}{self.suffix}"

    def title(self, name: str) -> str:
        """The title of an axis or a slider: the name, and in brackets what it is counted in."""
        return f"{name} ({self.suffix})" if self.suffix and self.suffix != name else name


def number(value: float) -> str:
    """Three significant digits, thousands set apart, no exponent between 0.0001 and a billion."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{DIGITS}g}")
    if not 1e-4 <= abs(rounded) < 1e9:
        return f"{rounded:.{DIGITS}g}".replace("-", "−")
    decimals = max(0, DIGITS - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:,.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def _almost(value: float, missing: float) -> str:
    """A number with as many decimals as show two digits of what is missing."""
    return f"{value:.{max(0, 1 - math.floor(math.log10(missing)))}f}".rstrip("0")


def human(value: float, unit: str) -> str:
    """A value as people write it: `human(0.0495, "s")` is 49.5 ms, `human(0.8, "")` 80%."""
    whole = isinstance(value, int) and unit not in ("", "s", "bytes")
    return f"{value:,} {unit}" if whole else scale(unit, [value]).text(value)


def scale(unit: str, values: Iterable[float] = ()) -> Scale:
    """The scale that suits the largest finite of some values that are shown together."""
    finite = [abs(float(value)) for value in values if math.isfinite(value)]
    largest = max(finite, default=0.5)
    if unit == "s":
        return _time(largest)
    if unit in ("bytes", "bytes/s"):
        rate = unit.removeprefix("bytes")
        return next(Scale(factor, suffix + rate) for below, factor, suffix in SIZES if largest < below)
    if unit == "":
        return Scale(100.0, "%") if largest <= 1 + 1e-9 else Scale()
    return Scale(1.0, unit)


def _time(largest: float) -> Scale:
    if largest == 0:
        return Scale(1e3, "ms")
    return next((Scale(factor, suffix) for below, factor, suffix in TIMES if largest < below), Scale(*DAYS))


def axis(unit: str, values: Iterable[float]) -> Scale:
    """The scale of an axis: as `scale`, but milliseconds up to ten seconds, so that neighbouring figures agree."""
    seen = list(values)
    finite = [abs(float(value)) for value in seen if math.isfinite(value)]
    if unit == "s" and 1e-3 <= max(finite, default=1.0) < 10.0:
        return Scale(1e3, "ms")
    return scale(unit, seen)


def slider(declared: Parameter) -> Scale:
    """The scale of a parameter's slider: seconds as ms up to ten seconds, shares as per cent."""
    if declared.unit == "" and isinstance(declared.domain, Real) and declared.domain.high <= 1:
        return Scale(100.0, "%")
    if declared.unit == "":
        return Scale()
    high = declared.slider.high if declared.slider else 1.0
    return axis(declared.unit, [high])


def words(name: str) -> str:
    """A name of the code as words: `arrival_rate` is arrival rate."""
    return name.replace("_", " ").replace(".", " ")


def title_of(thing: Any) -> str:
    """A class, or the class of an object, as words: `CentralQueue` is Central queue."""
    name = thing.__name__ if isinstance(thing, type) else type(thing).__name__
    first, *others = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).split(" ")
    return " ".join([first, *(word.lower() for word in others)])
