"""When will the rebalance end, and will it hurt?"""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from scaling_models import units
from scaling_models.figures import style
from scaling_models.shards import Rebalance

POINTS = 300
BEFORE = 0.05  # of the picture, before it begins


def rebalance(model: Rebalance) -> go.Figure:
    """Bytes left to copy, and written meanwhile, above; the requests' p99 below; one axis of time.

    Traces: bytes left, bytes written, the cut-over (in both), p99.
    """
    done, end = _end(model)
    times = np.union1d(np.linspace(-BEFORE * end, end, POINTS), [-1e-9 * end, 0.0, done, done * (1.0 + 1e-9)])
    left, written, p99 = model.course(np.maximum(times, 0.0)).values()
    calm = model.replace(nodes_after=model.nodes_before).course(np.zeros(1))["p99 of requests"]
    p99 = np.where(times < 0, calm, p99)
    across, size = units.scale("s", [end]), units.scale("bytes", [float(max(left.max(), written.max()))])
    shown = np.where(np.isfinite(p99), p99, np.nan)
    slow = units.axis("s", [float(np.nanmax(shown, initial=0.0))])
    x, at = times * across.factor, min(done, end) * across.factor
    top = [float(max(left.max(), written.max())) * size.factor, float(np.nanmax(shown, initial=0.0)) * slow.factor]
    traces = [
        style.line(x, left * size.factor, "bytes left to copy", style.BLUE),
        style.line(x, written * size.factor, "written meanwhile", style.GREY, "dash"),
        style.line([at, at], [0.0, top[0]], "cut-over", style.GREY, "dot"),
        style.line([at, at], [0.0, top[1]], "", style.GREY, "dot", yaxis="y2", showlegend=False),
        style.line(x, shown * slow.factor, "p99 of requests", style.RED, yaxis="y2"),
    ]
    figure = style.figure(traces, f"{units.title_of(model)}: {model.says}", across.title("time"), size.suffix)
    return figure.update_layout(
        yaxis={"domain": [0.56, 1.0], "rangemode": "tozero"},
        yaxis2={"domain": [0.0, 0.44], "rangemode": "tozero", "title_text": slow.title("p99"), "anchor": "x"},
        xaxis={"anchor": "y2", "range": [float(x[0]), float(x[-1])]},
    )


def _end(model: Rebalance) -> tuple[float, float]:
    """When it is done, and how long the picture lasts (s): where it never ends, ten copies without writes."""
    done = model.planned
    if math.isfinite(done) and done > 0:
        return done, 1.15 * done
    alone = model.bytes_moved.mean() / model.copy_rate if model.copy_rate else 0.0
    span = 10.0 * alone if alone > 0 else 1.0
    return 2.0 * span, span
