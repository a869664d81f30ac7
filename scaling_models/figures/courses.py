"""How does it unfold? What waits, and for how long, from a step of load until it is over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from scaling_models import units
from scaling_models.answers import NoClosedForm
from scaling_models.figures import style
from scaling_models.pools import CacheLoss, LoadStep

POINTS = 300


def course(model: LoadStep | CacheLoss) -> go.Figure:
    """The fluid backlog above, and below it the wait of a request that comes at that time; one axis of time.

    Traces: backlog, wait, the moment at which the backlog turns (in both), and the longest wait.
    """
    turn, why = model.turning
    end = _end(model)
    times = np.union1d(np.linspace(0.0, end, POINTS), [turn] if turn < end else [])
    backlog, wait = model.course(times).values()
    across, up = units.axis("s", [end]), units.axis("s", [float(wait.max())])
    x, at, top = times * across.factor, min(turn, end) * across.factor, int(wait.argmax())
    there = wait[top] > 0
    longest = (
        ([x[top]], [wait[top] * up.factor], [f"longest {units.human(float(wait[top]), 's')}"]) if there else ([],) * 3
    )
    shown: dict[str, Any] = {"textposition": style.away(x[top] / x[-1], 0.3), "yaxis": "y2"}
    traces = [
        style.line(x, backlog, "requests that wait", style.BLUE),
        style.line(x, wait * up.factor, "wait of a request that comes", style.RED, yaxis="y2"),
        style.line([at, at], [0.0, float(backlog.max())], why, style.GREY, "dot"),
        style.line([at, at], [0.0, float(wait.max() * up.factor)], "", style.GREY, "dot", yaxis="y2", showlegend=False),
        style.labels(*longest, "longest wait", style.RED, **shown),
    ]
    figure = style.figure(
        traces, f"{units.title_of(model)}: {_says(model)}", across.title("time since it began"), "requests"
    )
    return figure.update_layout(
        yaxis={"domain": [0.56, 1.0], "rangemode": "tozero"},
        yaxis2={"domain": [0.0, 0.44], "rangemode": "tozero", "title_text": up.title("wait"), "anchor": "x"},
        xaxis={"anchor": "y2", "range": [0.0, float(x[-1])]},
    )


def _end(model: LoadStep | CacheLoss) -> float:
    """Until the queue is gone, or for as long again as it grew."""
    turn = model.turning[0]
    if not 0.0 < turn < math.inf:
        return model.span
    try:
        drain = model.drain_time
    except NoClosedForm:
        drain = math.inf
    again = 1.1 * drain if math.isfinite(drain) else turn
    return turn + min(again, 20.0 * turn)


def _says(model: LoadStep | CacheLoss) -> str:
    try:
        backlog = model.backlog
    except NoClosedForm:
        return "the servers there are carry the new load, or nearly"
    if math.isinf(backlog):
        return "overloaded before already"
    waiting = f"{backlog:,.0f} requests wait as {model.turning[1]}"
    try:
        drain = model.drain_time
    except NoClosedForm:
        return f"{waiting}, and are soon gone"
    return (
        f"{waiting}, and never get fewer" if math.isinf(drain) else f"{waiting}, gone {units.human(drain, 's')} later"
    )
