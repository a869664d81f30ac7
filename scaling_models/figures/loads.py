"""How busy may servers be? A high percentile against the load, for pools of several sizes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import sweeps, units
from scaling_models.answers import Model
from scaling_models.figures import style

Array = NDArray[np.float64]
LOADS = np.unique(np.concatenate([np.linspace(0.05, 0.9, 24), 1.0 - np.geomspace(0.1, 0.005, 14)]))


def load(model: Model, sizes: Sequence[int] = (1, 10, 100), level: float = 99.0) -> go.Figure:
    """The headline's percentile against utilization: the model's pool with other numbers of `servers`, and as it is.

    Takes a model with parameters `arrival_rate` and `servers` and an answer `utilization`. Traces: a line a size, one
    for the model's own size, and a drop line where the model stands now.
    """
    if not {"arrival_rate", "servers"} <= set(model.parameters()) or "utilization" not in model.answers():
        raise ValueError(f"figures.load needs arrival_rate, servers and utilization; {model!r} lacks one of them")
    own = int(model.values()["servers"])
    curves = [_curve(_half_loaded(model.replace(servers=size)), level) for size in (*sizes, own)]
    finite = np.concatenate(curves)
    finite = finite[np.isfinite(finite)]
    scale = units.axis(model.answers()[model.headline].unit, finite)
    names = [f"{size:,} server{'s' if size > 1 else ''}" for size in sizes]
    looks = [
        *zip(names, style.COLOURS, ["solid"] * len(names), strict=False),
        (f"this pool: {own:,}", style.BLACK, "dash"),
    ]
    traces = [
        style.line(100.0 * LOADS, [scale.show(v) if math.isfinite(v) else None for v in curve], name, colour, dash)
        for curve, (name, colour, dash) in zip(curves, looks, strict=True)
    ]
    traces.append(_now(model, level, scale, float(finite.min()) if finite.size else math.nan))
    axes: dict[str, Any] = {"yaxis": style.log_axis(), "xaxis_range": [0, 100]}
    title = f"{units.title_of(model)}: {_says(model, level)}"
    return style.figure(
        traces, title, "utilization (%)", scale.title(f"p{level:g} {units.words(model.headline)}"), **axes
    )


def _busy(model: Model) -> float:
    return float(model.utilization)  # type: ignore[attr-defined]  # asked for above


def _half_loaded(model: Model) -> Model:
    """The model at a load of one half: a curve over all loads does not depend on the load of now."""
    return model.replace(arrival_rate=float(f"{0.5 * model.values()['arrival_rate'] / _busy(model):.12g}"))


@functools.lru_cache(maxsize=64)
def _curve(half_loaded: Model, level: float) -> Array:
    rate = 2.0 * half_loaded.values()["arrival_rate"]
    return _percentiles([half_loaded.replace(arrival_rate=rate * busy) for busy in LOADS], level)


def _percentiles(models: Sequence[Model], level: float) -> Array:
    return sweeps.columns(models, models[0].headline, [level])[f"p{level:g}"]


def _now(model: Model, level: float, scale: units.Scale, lowest: float) -> go.Scatter:
    value, busy = float(_percentiles([model], level)[0]), 100.0 * _busy(model)
    there = math.isfinite(value) and math.isfinite(lowest)
    x, y = ([busy] * 2, [scale.show(lowest), scale.show(value)]) if there else ([], [])
    text = ["", f"now {scale.text(value)} at {busy:.3g}%"] if there else []
    return style.labels(
        x, y, text, "now", style.BLACK, mode="lines+markers+text", textposition=style.away(busy / 100.0, 0.25)
    )


def _says(model: Model, level: float) -> str:
    busy = _busy(model)
    if busy >= 1.0:
        return f"at {busy:.0%} load the latency grows without bound"
    return f"p{level:g} of the {units.words(model.headline)} against load, by the number of servers"
