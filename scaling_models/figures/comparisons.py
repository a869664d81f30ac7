"""Which policy, and how much does it buy at my load? One percentile of several models, and how they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from scaling_models import sweeps, units
from scaling_models.answers import Model
from scaling_models.figures import style
from scaling_models.figures.sweeping import names_of
from scaling_models.montecarlo.comparison import labels
from scaling_models.wording import short

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, float]
EMPTY: Row = dict.fromkeys(("simulated", "low", "high", "difference", "difference_low", "difference_high"), math.nan)


def comparison(models: Sequence[Model], level: float = 99.0, *, table: pd.DataFrame | None = None) -> go.Figure:
    """The headline's percentile of several models, a row each, and how far each is below or above the first.

    `table` is `compare(models, requests=...)` with that level among its `levels`: simulated on the same requests, so
    that the differences are known better than either side. Traces, always these: the first model's value, the closed
    forms, the 95% intervals of the simulated values, those of their differences from the first (set off from its
    value), the simulated values, and what is said of each. Raises ValueError for less than two models, for headlines
    of different units, and for a table of other models.
    """
    models = list(models)
    checked(models)
    quantity, name = f"p{level:g}", models[0].headline
    closed = np.array([float(sweeps.columns([each], each.headline, [level])[quantity][0]) for each in models])
    rows = [EMPTY] * len(models) if table is None else _rows(models, quantity, table)
    found = np.array([row["simulated"] for row in rows])
    values = np.where(np.isnan(found), closed, found)
    scale = units.axis(models[0].answers()[name].unit, values[np.isfinite(values)])
    names = names_of(models)
    own = [(row["low"], row["high"]) for row in rows]
    apart = [(found[0] + row["difference_low"], found[0] + row["difference_high"]) for row in rows]
    first = scale.show(values[0]) if math.isfinite(values[0]) else None
    rightmost = [_rightmost(*ends) for ends in zip(values, own, apart, strict=True)]
    traces = [
        style.line([first] * 2, [names[0], names[-1]], f"{names[0]}, the first", style.GREY, "dot"),
        _segments(names, own, scale, "95% interval", style.GREY, 3),
        _segments(names, apart, scale, "95% interval of the difference from it", style.ORANGE, 9),
        style.dots(_shown(found, scale), names, "simulated", style.BLACK),
        style.dots(_shown(closed, scale), names, "closed form", style.BLUE).update(
            marker_symbol="diamond-open", marker_size=14, marker_line_width=2, marker_line_color=style.BLUE
        ),
        _sayings(names, _shown(rightmost, scale), [_says(at, values, rows[at], scale) for at in range(len(models))]),
    ]
    up: dict[str, Any] = {"type": "category", "categoryorder": "array", "categoryarray": names[::-1], "showgrid": False}
    return style.figure(
        traces,
        _title(names, values, quantity, units.words(name), scale),
        scale.title(f"{quantity} {units.words(name)}"),
        "",
        yaxis=up,
        xaxis_range=[0.0, 1.45 * max((each for each in _shown(rightmost, scale) if each is not None), default=1.0)],
        height=max(320, 216 + 46 * len(names)),
        margin_t=124,
    )


def checked(models: Sequence[Model]) -> None:
    """Refuse what cannot stand on one axis."""
    if len(models) < 2 or not all(isinstance(each, Model) for each in models):
        raise ValueError(f"figures.comparison must be given two models at least; got {short(models)}")
    units_ = {each.answers()[each.headline].unit for each in models}
    spread = all(sweeps.is_distribution(type(each), each.headline) for each in models)
    if len(units_) > 1 or not spread:
        raise ValueError(
            "figures.comparison needs headlines that are distributions of one unit; got "
            + ", ".join(f"{each.headline} ({each.answers()[each.headline].unit})" for each in models)
        )


def _rows(models: Sequence[Model], quantity: str, table: pd.DataFrame) -> list[Row]:
    asked = table[table.quantity == quantity]
    whose = [repr(each) for each in models]
    if list(asked.model) != labels(models) or table.attrs.get("models") != whose:
        lost = "" if "models" in table.attrs else " and does not say of which (its attrs are lost)"
        raise ValueError(
            f"figures.comparison: the table must be compare(models, requests=...) of these models, with {quantity}; "
            f"it has {quantity} of {len(asked)}{lost} and {len(models)} models are given"
        )
    return [{name: float(row[name]) for name in EMPTY} for _, row in asked.iterrows()]


def _shown(values: Any, scale: units.Scale) -> list[float | None]:
    return [scale.show(float(value)) if math.isfinite(value) else None for value in values]


def _rightmost(value: float, *ends: tuple[float, float]) -> float:
    """Where a row's drawing ends."""
    known = [value, *(high for _, high in ends)]
    return max((each for each in known if math.isfinite(each)), default=math.nan)


def _segments(
    names: Sequence[str], ends: Sequence[tuple[float, float]], scale: units.Scale, name: str, colour: str, width: int
) -> go.Scatter:
    """A segment a row, where it is known."""
    known = [(row, low, high) for row, (low, high) in zip(names, ends, strict=True) if np.isfinite([low, high]).all()]
    x = [part for _, low, high in known for part in (scale.show(low), scale.show(high), None)]
    y = [part for row, _, _ in known for part in (row, row, None)]
    return style.line(x, y, name, colour).update(line_width=width, opacity=0.75)


def _sayings(names: Sequence[str], at: Sequence[float | None], says: Sequence[str]) -> go.Scatter:
    """What is said of each row, right of its value; nothing is drawn there."""
    places = [0.0 if x is None else x for x in at]
    return style.labels(
        places, names, [f"   {said}" for said in says], "said", style.BLACK, mode="text", textposition="middle right"
    )


def _says(at: int, values: Any, row: Row, scale: units.Scale) -> str:
    value, first = float(values[at]), float(values[0])
    if math.isnan(value):
        return "no closed form: simulate it"
    if math.isinf(value):
        return "no steady state"
    if at == 0 or not (math.isfinite(first) and first > 0):
        return scale.text(value)
    share = f"{value / first - 1.0:+.0%}"
    ends = [row[f"difference_{end}"] / first for end in ("low", "high")]
    if np.isfinite(ends).all():
        share = f"{row['difference'] / first:+.0%} ({ends[0]:+.1%} to {ends[1]:+.1%})"
    return f"{scale.text(value)}, {share}".replace("-", "−")


def _title(names: Sequence[str], values: Any, quantity: str, answer: str, scale: units.Scale) -> str:
    known = np.where(np.isfinite(values), values, math.inf)
    best = int(known.argmin())
    if math.isinf(known[best]):
        return f"{quantity} of the {answer}: of none of these is it known, or has a steady state"
    said = f"{names[best]} has the lowest {quantity}, {scale.text(float(values[best]))}"
    if best == 0:
        return f"{said}: none of the others is better"
    if not math.isfinite(known[0]):
        return said
    return f"{said}: {1.0 - values[best] / values[0]:.0%} less than {names[0]}"
