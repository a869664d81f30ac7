"""What does one parameter do? Percentiles over its range, of one model or of several side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from scaling_models import inputs, sweeps, units
from scaling_models.answers import Model
from scaling_models.domains import Choice
from scaling_models.figures import style
from scaling_models.figures.curves import Curve, curve
from scaling_models.inputs import Input

LEVELS = (50.0, 95.0, 99.0)
BARE = "mean, where only that is known"


def sweep(
    model: Model | Sequence[Model],
    parameter: str,
    values: Iterable[Any] | None = None,
    *,
    answer: str | None = None,
    levels: Sequence[float] = LEVELS,
) -> go.Figure:
    """An answer (the headline unless named) over one parameter, of one model or of several side by side.

    Values are those of the parameter's slider unless given; the path may be nested (`service.mean`). Traces, a model:
    one line for each level (or one for a scalar), the mean where nothing but that is known, the wall beyond which there
    is no steady state, and where the model stands now.
    """
    models = [model] if isinstance(model, Model) else list(model)
    if not models:
        raise ValueError("sweep must be given one model at least; got none")
    name, swept = answer or models[0].headline, inputs.find(models[0], parameter)
    given = None if values is None else list(values)
    unit = sweeps.known_answer(type(models[0]), name).unit
    curves = [curve(each, parameter, given, name, levels) for each in models]
    looks = _looks(models, swept, unit, curves)
    traces: list[go.Scatter] = []
    for each, found, look in zip(models, curves, looks, strict=True):
        now = _now(each, parameter, name, levels, found, look)
        traces += [*_lines(found, look), _bare(found, look), _wall(found, look), now]
    title = f"{' and '.join(dict.fromkeys(look.name for look in looks))}: {_says(name, swept, curves, looks)}"
    across, up = looks[0].across.title(swept.label), looks[0].scale.title(units.words(name))
    axes: dict[str, Any] = {"yaxis": _y_axis(curves, unit), "xaxis": _x_axis(swept)}
    return style.figure(traces, title, across, up, **axes, margin_t=98 if len(models) == 1 else 124)


@dataclasses.dataclass(frozen=True)
class _Look:
    """How one of several models is drawn: one model has a colour a level, several have a colour each."""

    name: str
    at: int
    alone: bool
    bounded: str
    across: units.Scale
    scale: units.Scale
    log: bool  # whether the swept values are spread evenly by their ratios

    @property
    def colour(self) -> str:
        return style.COLOURS[self.at % len(style.COLOURS)]

    def line(self, label: str, position: int) -> dict[str, Any]:
        if self.alone:
            return {"name": label, "colour": style.COLOURS[position % len(style.COLOURS)]}
        return {
            "name": f"{self.name} {label}",
            "colour": self.colour,
            "dash": style.DASHES[position % len(style.DASHES)],
        }

    def x(self, value: Any) -> Any:
        return value if isinstance(value, str) else self.across.show(value)


def _looks(models: Sequence[Model], swept: Input, unit: str, curves: Sequence[Curve]) -> list[_Look]:
    # Times by the smallest, lest minutes at the wall make milliseconds unreadable; all else by the largest.
    least = [float(found.finite.min()) for found in curves if len(found.finite)]
    largest = [float(found.finite.max()) for found in curves if len(found.finite)]
    scale, across = units.axis(unit, least if unit == "s" else largest), units.slider(swept.declared)
    log, alone = swept.declared.slider is not None and swept.declared.slider.log, len(models) == 1
    each = enumerate(zip(names_of(models), models, strict=True))
    return [_Look(name, at, alone, model.bounded, across, scale, log) for at, (name, model) in each]


def names_of(models: Sequence[Model]) -> list[str]:
    """What each of several models is called: its kind, and of several of a kind what tells it from the others."""
    plain = [units.title_of(each) for each in models]
    return [
        f"{name} ({_differing(each, models)})" if plain.count(name) > 1 else name
        for name, each in zip(plain, models, strict=True)
    ]


def _differing(model: Model, models: Sequence[Model]) -> str:
    """What tells a model from the others of its class."""
    same = [each.values() for each in models if type(each) is type(model)]
    return ", ".join(
        f"{units.words(name)} {value}"
        for name, value in model.values().items()
        if any(each[name] != value for each in same)
    )


def _lines(found: Curve, look: _Look) -> list[go.Scatter]:
    x = [look.x(value) for value in found.values]
    # A gap where there is no steady state or no closed form.
    columns = {
        label: [look.scale.show(value) if math.isfinite(value) else None for value in column.tolist()]
        for label, column in found.columns.items()
    }
    drawn = [style.line(x, y, **look.line(label, position)) for position, (label, y) in enumerate(columns.items())]
    # Between the options of a choice there is nothing that a line could stand for.
    return [each.update(mode="markers", marker_size=10) for each in drawn] if isinstance(x[0], str) else drawn


def _bare(found: Curve, look: _Look) -> go.Scatter:
    """The mean, in gaps of the percentiles."""
    there = np.isfinite(found.bare)
    y = [look.scale.show(value) if math.isfinite(value) else None for value in found.bare.tolist()]
    drawn = style.line([look.x(value) for value in found.values], y, BARE, style.GREY, "dashdot")
    named = BARE if look.alone else f"{look.name} {BARE}"
    drawn.update(name=named, showlegend=bool(there.any()), line_color=style.GREY if look.alone else look.colour)
    return drawn.update(mode="markers", marker_size=10) if isinstance(found.values[0], str) else drawn


def _wall(found: Curve, look: _Look) -> go.Scatter:
    there = math.isfinite(found.wall) and len(found.finite) > 0
    x = [look.across.show(found.wall)] * 2 if there else []
    y = [look.scale.show(float(end)) for end in (found.finite.min(), found.finite.max())] if there else []
    side = "from" if found.above else "up to"
    text = ["", f"no {look.bounded} {side} {look.across.text(found.wall)}" if look.alone else ""] if there else []
    place = style.away(_share(found.wall, found, look.log), 0.6)
    drawn = style.labels(x, y, text, "wall", style.GREY, mode="lines+text", textposition=place)
    return drawn.update(line={"color": style.GREY if look.alone else look.colour, "dash": "dot", "width": 2})


def _now(model: Model, path: str, answer: str, levels: Sequence[float], found: Curve, look: _Look) -> go.Scatter:
    """A mark where the model stands now, on its last line."""
    table, at = sweeps.columns([model], answer, levels), inputs.find(model, path).value
    label, column = list(table.items())[-1]
    if len(table) > 1 and all(np.isnan(each[0]) for name, each in table.items() if name != "mean"):
        label, column = "mean", table["mean"]
    value = float(column[0])
    there = math.isfinite(value)
    said = f"now {label if label != answer else ''} {look.scale.text(value)}".replace("  ", " ")
    text = [said if look.alone else ""] if there else []  # the marks of several models are too near each other
    x, y = ([look.x(at)], [look.scale.show(value)]) if there else ([], [])
    return style.labels(x, y, text, "now", style.BLACK, textposition=style.away(_share(at, found, look.log), 0.25))


def _share(value: Any, found: Curve, log: bool) -> float:
    """How far along the axis a value lies, from 0 to 1."""
    if isinstance(value, str):
        return found.values.index(value) / len(found.values) if value in found.values else 0.0
    if math.isnan(value) or found.values[0] == found.values[-1]:
        return 0.0
    if log and min(value, found.values[0]) > 0:
        return math.log(value / found.values[0]) / math.log(found.values[-1] / found.values[0])
    return float((value - found.values[0]) / (found.values[-1] - found.values[0]))


def _says(answer: str, swept: Input, curves: Sequence[Curve], looks: Sequence[_Look]) -> str:
    walls = [
        f"{'from' if found.above else 'up to'} {look.across.text(found.wall)}"
        for found, look in zip(curves, looks, strict=True)
        if math.isfinite(found.wall)
    ]
    if not any(len(found.finite) for found in curves):
        return f"{units.words(answer)} has no closed form or no {looks[0].bounded} at any {swept.label}"
    said = f"{units.words(answer)} against {swept.label}"
    return f"{said}, without bound {' and '.join(dict.fromkeys(walls))}" if walls else said


def _y_axis(curves: Sequence[Curve], unit: str) -> dict[str, Any]:
    """Times on a log axis where they differ by more than a factor of three; the rest from zero."""
    ends = [float(end) for found in curves if len(found.finite) for end in (found.finite.min(), found.finite.max())]
    wide = bool(ends) and min(ends) > 0 and max(ends) > 3.0 * min(ends)
    return style.log_axis() if unit == "s" and wide else {"rangemode": "tozero"}


def _x_axis(swept: Input) -> dict[str, Any]:
    if isinstance(swept.domain, Choice):
        return {"type": "category"}
    return style.log_axis() if swept.declared.slider is not None and swept.declared.slider.log else {}
