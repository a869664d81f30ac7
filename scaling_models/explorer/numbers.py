"""Sliders: numbers shown as people read them, on a grid on which the present value lies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import ipywidgets as widgets

from scaling_models import units
from scaling_models.domains import Domain, Integer, Real, Rows
from scaling_models.figures.curves import AHEAD
from scaling_models.parameters import Parameter, Slider

LABEL = {"description_width": "14.5em"}
REFINEMENTS = (1, 2, 4, 5, 10, 20, 50, 100, 1000)  # finer grids tried until the present value lies on one
EVEN = 200  # steps of a slider in decades that stands at nothing
BELOW = 1.0 - 1e-6  # times an end that is itself illegal
LOG_DIGITS = 3  # of a value read from a slider in geometric steps


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where a slider may stand, as shown: from `low` to `high` by `step`; decades where `log`."""

    low: float
    high: float
    step: float
    log: bool

    def __contains__(self, shown: float) -> bool:
        place = math.log10(shown) if self.log else shown
        low = math.log10(self.low) if self.log else self.low
        steps = (place - low) / self.step
        return abs(steps - round(steps)) < 1e-6 and self.low <= shown * (1 + 1e-12) and shown <= self.high * (1 + 1e-12)


def grid(slider: Slider, scale: units.Scale, value: float, whole: bool = False, most: float = math.inf) -> Grid:
    """The declared grid as shown; widened, refined or shifted so that the present value lies on it.

    Where the value lies at the declared end or beyond, the grid goes to twice the value, or as near to `most` (the
    largest legal value) as a step comes. A browser moves a value that lies off its slider's grid to the nearest place,
    unasked.
    """
    shown, low, high = (scale.show(each) for each in (value, slider.low, slider.high))
    end = min(AHEAD * shown, scale.show(most)) if shown >= high else high
    if slider.log and shown == 0:  # which no decade holds
        return Grid(0.0, high, high / EVEN, False)
    if slider.log:
        return _decades(shown, low, max(high, end), slider.step)
    step = scale.show(slider.step)
    low -= step * max(0, math.ceil((low - shown) / step))
    high += step * max(0, math.ceil((shown - high) / step), math.floor((end - high) / step + 1e-9))
    steps = [step / finer for finer in REFINEMENTS if not whole or step % finer == 0]
    tried = (Grid(low, _legal(high, each, scale.show(most)), each, False) for each in steps)
    fallback = _shifted(shown, low, min(high, scale.show(most)), 1.0 if whole else step, whole)
    return next((each for each in tried if shown in each), fallback)


def _shifted(shown: float, low: float, high: float, step: float, whole: bool) -> Grid:
    """The grid moved until the present value lies on it: what is left where no finer one does."""
    first = low if whole else shown - step * math.floor((shown - low) / step)
    return Grid(first, first + step * math.floor((high - first) / step + 1e-9), step, False)


def _legal(high: float, step: float, most: float) -> float:
    """The end of a grid, drawn back by whole steps to what is legal."""
    return high - step * math.ceil((high - most) / step - 1e-9) if high > most else high


def _decades(shown: float, low: float, high: float, step: float) -> Grid:
    declared = Grid(low, high, step, True)
    if shown in declared:
        return declared
    below = max(0, math.ceil(math.log10(shown / low) / step))
    return Grid(shown / 10.0 ** (below * step), max(high, shown), step, True)


def largest(domain: Domain) -> float:
    """The largest number of a domain; just below its end where that is open."""
    number = domain.item if isinstance(domain, Rows) else domain
    if not isinstance(number, Real | Integer):
        return math.inf
    return number.high * BELOW if isinstance(number, Real) and number.open_high else number.high


class NumberEditor:
    """A slider (or a box to type in, where no slider is declared) for one number."""

    def __init__(self, declared: Parameter, value: float, label: str) -> None:
        self.whole = isinstance(declared.domain, Integer)
        self.scale = units.slider(declared)
        self.kept, self.decimals = value, 12
        self.widget = self._widget(declared, value, label)
        self.shown = self.widget.value

    def _widget(self, declared: Parameter, value: float, label: str) -> Any:
        common = {
            "description": label,
            "style": LABEL,
            "layout": widgets.Layout(width="auto", min_width="26em"),
            "tooltip": declared.about,
            "value": self.scale.show(value),
        }
        if declared.slider is None:
            return widgets.IntText(**common) if self.whole else widgets.FloatText(**common)
        on = self.grid = grid(declared.slider, self.scale, value, self.whole, largest(declared.domain))
        if on.log:
            ends = {"min": math.log10(on.low), "max": math.log10(on.high)}
            return widgets.FloatLogSlider(step=on.step, base=10, readout_format=".3r", **ends, **common)
        if self.whole:
            whole = {"min": round(on.low), "max": round(on.high), "step": max(1, round(on.step))}
            return widgets.IntSlider(**(common | {"value": int(value)}), **whole)
        self.decimals = max(0, -math.floor(math.log10(on.step) + 1e-9))
        form = f".{self.decimals}f"  # no commas: a browser reads what is typed as 1,200 as 1
        return widgets.FloatSlider(min=on.low, max=on.high, step=on.step, readout_format=form, **common)

    @property
    def value(self) -> float:
        """The number in the parameter's own unit; untouched sliders give back exactly what they were given."""
        shown = self.widget.value
        if math.isclose(shown, self.shown, rel_tol=1e-9):
            return self.kept
        if isinstance(self.widget, widgets.FloatLogSlider):
            shown = float(f"{shown:.{LOG_DIGITS}g}")
        return round(shown) if self.whole else self.scale.read(round(shown, self.decimals))
