"""Could it collapse? Attempts against requests: the good state, the bad one, and the border between them."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from scaling_models import units
from scaling_models.answers import NoClosedForm
from scaling_models.figures import style
from scaling_models.latency.distribution import Array
from scaling_models.pools import RetryingClients

SHADE = "rgba(213, 94, 0, 0.10)"
ACROSS, UP = 115.0, 200.0  # per cent of capacity that are drawn
NOTHING = np.full((2, 1), math.nan)


def load_map(model: RetryingClients) -> go.Figure:
    """Attempts a second against fresh requests a second, both over capacity: every state that sustains itself.

    Traces, always these: the load at which it can collapse (shaded), what the workers can serve, the good state, the
    border, the bad state, the way from the good state to the border, and where the model stands.
    """
    scale = 100.0 * model.service.mean() / model.workers
    try:
        good, border, bad = (scale * branch for branch in model.branches())
        says = _says(model, scale, good, bad)
        now = _now(model, scale, good)
    except NoClosedForm as reason:
        good, border, bad, now = NOTHING, NOTHING, NOTHING, (math.nan,) * 3
        says = str(reason)
    traces = [
        _shade(good, border, bad),
        style.line([0.0, ACROSS], [100.0, 100.0], "what the workers can serve", style.GREY, "dot"),
        style.line(good[0], good[1], "good state", style.BLUE),
        style.line(border[0], border[1], "border", style.BLACK, "dash"),
        style.line(bad[0], bad[1], "bad state: all in vain", style.RED),
        *_marks(*now),
    ]
    axes = {"xaxis_range": [0.0, ACROSS], "yaxis_range": [0.0, UP]}
    across, up = "load of the requests (% of capacity)", "load with their retries (% of capacity)"
    return style.figure(traces, f"{units.title_of(model)}: {says}", across, up, **axes)


def _shade(good: Array, border: Array, bad: Array) -> go.Scatter:
    there = border.shape[1] > 1
    low, high = (float(bad[0].min()), float(good[0].max())) if there else (math.nan, math.nan)
    drawn = {"fill": "toself", "fillcolor": SHADE, "line": {"width": 0}, "mode": "lines", "hoverinfo": "skip"}
    return go.Scatter(x=[low, high, high, low], y=[0.0, 0.0, UP, UP], name="can collapse", **drawn)


def _now(model: RetryingClients, scale: float, good: Array) -> tuple[float, float, float]:
    """The load of the requests, with their retries in the good state, and at the border; NaN where there is none."""
    if model.arrival_rate >= model.fold:
        return (math.nan,) * 3
    rate = scale * model.arrival_rate
    border = model.border if math.isfinite(model.border) else math.nan
    return rate, float(np.interp(rate, good[0], good[1])), scale * border


def _marks(rate: float, low: float, border: float) -> list[go.Scatter]:
    there, reach = math.isfinite(low), math.isfinite(border)
    x, y = ([rate] * 3, [low, (low + 3.0 * border) / 4.0, border]) if reach else ([], [])
    text = ["", f"\u00a0× {units.number(border / low)}, and it collapses", ""] if reach else []
    way = style.labels(x, y, text, "to the border", style.BLACK, mode="lines+markers+text")
    heads = {"symbol": ["circle", "circle", "arrow-up"], "size": [1, 1, 12], "color": style.BLACK}
    now = style.labels([rate] if there else [], [low] if there else [], ["now"] if there else [], "now", style.BLACK)
    place = style.away(rate / ACROSS if there else 0.0, 0.5, "middle")
    return [
        way.update(line={"width": 1.5, "color": style.BLACK}, marker=heads, textposition=place),
        now.update(textposition="bottom right"),
    ]


def _says(model: RetryingClients, scale: float, good: Array, bad: Array) -> str:
    busy = f"at {scale * model.arrival_rate:.3g}% load"
    if model.arrival_rate >= model.fold:
        return f"{busy} there is no good state"
    if not model.can_collapse:
        return f"{busy} it always comes back: there is no bad state"
    most = float(np.interp(scale * model.arrival_rate, bad[0], bad[1])) / scale
    return (
        f"{busy} it can collapse: {model.arrival_rate:,.0f} requests can become {most:,.0f} attempts a second, "
        f"and the workers serve {100.0 / scale:,.0f}"
    )
