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
from scaling_models.wording import short

Array = NDArray[np.float64]
LOADS = np.unique(
    np.concatenate([np.linspace(0.05, 0.9, 24), 1.0 - np.geomspace(0.1, 0.005, 14), np.geomspace(1.02, 4.0, 8)])
)
"""What is offered, relative to the capacity: who loses requests has a steady state beyond it."""
HARDLY = 1e-6  # of the arrivals: hardly any load, at which nothing is lost and nothing copied for its sake


def load(model: Model, sizes: Sequence[int] = (1, 10, 100), level: float = 99.0) -> go.Figure:
    """The headline's percentile against utilization: the model's pool with other numbers of `servers`, and as it is.

    Takes a model with parameters `arrival_rate` and `servers` and an answer `utilization`, which need not be linear in
    the arrival rate: who loses requests is less busy. Traces: a line a size (none where the model cannot have so few
    servers), one for the model's own size, and a drop line where the model stands now.
    """
    if not {"arrival_rate", "servers"} <= set(model.parameters()) or "utilization" not in model.answers():
        raise ValueError(f"figures.load needs arrival_rate, servers and utilization; {short(model)} lacks one of them")
    own = int(model.values()["servers"])
    curves = [_curve_of(model, size, level) for size in (*sizes, own)]
    finite = np.concatenate([heights for _, heights in curves])
    finite = finite[np.isfinite(finite)]
    scale = units.axis(model.answers()[model.headline].unit, finite)
    names = [f"{size:,} server{'s' if size > 1 else ''}" for size in sizes]
    looks = [
        *zip(names, style.COLOURS, ["solid"] * len(names), strict=False),
        (f"this pool: {own:,}", style.BLACK, "dash"),
    ]
    traces = [
        style.line(100.0 * busy, [scale.show(v) if math.isfinite(v) else None for v in heights], name, colour, dash)
        for (busy, heights), (name, colour, dash) in zip(curves, looks, strict=True)
    ]
    traces.append(_now(model, level, scale, float(finite.min()) if finite.size else math.nan))
    axes: dict[str, Any] = {"yaxis": style.log_axis(), "xaxis_range": [0, 100]}
    title = f"{units.title_of(model)}: {_says(model, level)}"
    return style.figure(
        traces, title, "utilization (%)", scale.title(f"p{level:g} {units.words(model.headline)}"), **axes
    )


def _busy(model: Model) -> float:
    found = sweeps.closed(model, "utilization")
    return math.nan if found is None else float(found)


def _curve_of(model: Model, servers: int, level: float) -> tuple[Array, Array]:
    try:
        half_loaded = _half_loaded(model.replace(servers=servers))
    except ValueError:  # so few are illegal here, or their load is not known
        return LOADS, np.full(LOADS.shape, math.nan)
    return _curve(half_loaded, level)


def _half_loaded(model: Model) -> Model:
    """The model offered one half of its capacity: a curve over all loads does not depend on the load of now."""
    rate = HARDLY * model.values()["arrival_rate"]
    return model.replace(arrival_rate=float(f"{0.5 * rate / _busy(model.replace(arrival_rate=rate)):.12g}"))


@functools.lru_cache(maxsize=64)
def _curve(half_loaded: Model, level: float) -> tuple[Array, Array]:
    """Utilization and percentile at the LOADS that are offered."""
    rate = 2.0 * half_loaded.values()["arrival_rate"]
    models = [half_loaded.replace(arrival_rate=rate * load) for load in LOADS]
    return np.array([_busy(each) for each in models]), _percentiles(models, level)


def _percentiles(models: Sequence[Model], level: float) -> Array:
    return sweeps.columns(models, models[0].headline, [level])[f"p{level:g}"]


def _now(model: Model, level: float, scale: units.Scale, lowest: float) -> go.Scatter:
    value, busy = float(_percentiles([model], level)[0]), 100.0 * _busy(model)
    there = math.isfinite(value) and math.isfinite(lowest) and math.isfinite(busy)
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
