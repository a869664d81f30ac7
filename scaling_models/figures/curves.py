"""An answer over one parameter's range, with the wall beyond which there is no steady state found between points."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models import inputs, sweeps
from scaling_models.answers import Model
from scaling_models.domains import Choice, Integer
from scaling_models.inputs import Input
from scaling_models.parameters import Slider

Array = NDArray[np.float64]
POINTS = 61
TOWARDS_WALL = (1.0 - np.geomspace(0.1, 0.005, 8)).tolist()  # of the way to the wall, where curves bend most
HALVINGS = 16
AHEAD = 2.0  # times a value beyond its slider's end: how far a curve, or a panel's slider, then goes


@dataclasses.dataclass(frozen=True)
class Curve:
    """The swept values, the answer's columns, and the first value without a steady state (NaN: none).

    `bare` are the means where nothing else is known, else NaN. `above` tells whether there is no steady state from the
    wall on (else up to it).
    """

    values: list[Any]
    columns: dict[str, Array]
    bare: Array
    wall: float
    above: bool

    @property
    def finite(self) -> Array:
        """All finite numbers that are drawn."""
        every: Array = np.concatenate([*self.columns.values(), self.bare])
        return np.asarray(every[np.isfinite(every)])


def curve(model: Model, path: str, given: list[Any] | None, answer: str, levels: Sequence[float]) -> Curve:
    """The answer over given values, or over the slider's with some more near the wall."""
    values = _legal(model, path, grid(inputs.find(model, path))) if given is None else given
    models = [inputs.replaced(model, path, value) for value in values]
    over = [_over(each, answer) for each in models]
    wall, above = _wall(model, path, answer, values, over)
    if given is None and math.isfinite(wall) and isinstance(values[0], float):
        start = values[over.index(False)] if above else values[-1]
        more = [start + (wall - start) * share for share in TOWARDS_WALL]
        pairs = dict(zip(values, models, strict=True)) | {x: inputs.replaced(model, path, x) for x in more}
        values = sorted(pairs)
        models = [pairs[value] for value in values]
    found = sweeps.columns(models, answer, levels)
    means = found.pop("mean", np.full(len(values), math.nan))
    unknown = np.all([np.isnan(column) for column in found.values()], axis=0)
    return Curve(values, found, np.where(unknown, means, math.nan), wall, above)


def _legal(model: Model, path: str, values: list[Any]) -> list[Any]:
    """Those of the slider's values that go with the other parameters: not fewer servers than are chosen from, say."""

    def goes(value: Any) -> bool:
        try:
            inputs.replaced(model, path, value)
        except ValueError:
            return False
        return True

    return [value for value in values if goes(value)] or [inputs.find(model, path).value]


def grid(swept: Input) -> list[Any]:
    """The values that a parameter's slider passes over and where it stands, 61 at most; the options of a choice."""
    slider = swept.declared.slider
    if isinstance(swept.domain, Choice):
        return list(swept.domain.options)
    if slider is None:
        raise ValueError(f"sweep must be given the values of {swept.path}, for no slider is declared for it")
    values = (np.geomspace if slider.log else np.linspace)(*_ends(slider, swept.value), POINTS)
    if isinstance(swept.domain, Integer):
        return [int(value) for value in np.unique(np.round(values))]
    return [float(f"{value:.6g}") for value in values]


def _ends(slider: Slider, stands: float) -> tuple[float, float]:
    """Of the slider, and of where the model stands beyond it."""
    if not math.isfinite(stands) or slider.low <= stands <= slider.high:
        return slider.low, slider.high
    if stands > slider.high:
        return slider.low, AHEAD * stands  # as a panel's sliders
    return (slider.low if slider.log and stands <= 0 else stands), slider.high


def _over(model: Model, answer: str) -> bool:
    found = sweeps.closed(model, answer)
    return found is not None and sweeps.unstable(found)


def _wall(model: Model, path: str, answer: str, values: list[Any], over: list[bool]) -> tuple[float, bool]:
    """Where the first turn is: between real values found by halving, between others the unstable one."""
    at = next((at for at in range(1, len(over)) if over[at] != over[at - 1]), None)
    if at is None or isinstance(values[0], str):
        return math.nan, True
    stable, beyond = (values[at - 1], values[at]) if over[at] else (values[at], values[at - 1])
    if isinstance(beyond, float):
        for _ in range(HALVINGS):
            middle = (stable + beyond) / 2.0
            stable, beyond = (
                (stable, middle) if _over(inputs.replaced(model, path, middle), answer) else (middle, beyond)
            )
    return float(f"{beyond:.4g}"), over[at]
