"""What happens when it breaks? One run with a fixed seed, over time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import units
from scaling_models.answers import Model, Timeline
from scaling_models.figures import style

SHARES = (0, 20, 40, 60, 80, 100)
LEVELS_OF_MARKS = 4  # heights over which the labels of marks are spread, so that neighbours do not overlap


def timeline(model: Model, seed: int = 0) -> go.Figure:
    """The model's `timeline`: its lines over time, then its marks as dotted lines, then their labels.

    Traces: one for each line, the marks' lines, the marks' labels.
    """
    told = model.timeline(seed)
    times = np.asarray(told.times, dtype=float)
    values = {name: np.asarray(line, dtype=float) for name, line in told.lines.items()}
    seen = np.concatenate([line[np.isfinite(line)] for line in values.values()] or [np.array([])])
    across, scale = units.scale("s", [largest(times)]), units.axis(told.unit, [largest(seen)])
    traces = [
        style.line(times * across.factor, np.where(np.isfinite(line), line, np.nan) * scale.factor, name, colour)
        for (name, line), colour in zip(values.items(), style.COLOURS * len(values), strict=False)
    ]
    top = largest(seen) * scale.factor
    title = f"{units.title_of(model)}: {told.says}"
    y = scale.suffix if told.unit != "s" else scale.title("time it takes")
    figure = style.figure([*traces, *marks(told, across, top)], title, across.title("time"), y)
    ticks = SHARES if scale.suffix == "%" and top <= SHARES[-1] else None  # none beyond 100%, where only labels stand
    return figure.update_layout(
        yaxis={"rangemode": "tozero", "tickvals": ticks}, xaxis_range=[0, largest(times) * across.factor]
    )


def largest(values: NDArray[np.float64]) -> float:
    """The largest of some values; 1 of none."""
    return float(values.max()) if len(values) else 1.0


def marks(told: Timeline, across: units.Scale, top: float) -> list[go.Scatter]:
    """Dotted lines at the marks, and their labels at alternating heights, right of them until near the end."""
    at = [time * across.factor for time, _ in told.marks]
    x = [part for time in at for part in (time, time, None)]
    y = [part for _ in at for part in (0.0, 1.28 * top, None)]
    drawn = style.line(x, y, "marks", style.GREY, "dot", showlegend=False, hoverinfo="skip")
    end = largest(np.asarray(told.times, dtype=float)) * across.factor
    heights = [top * (1.25 - 0.075 * (number % LEVELS_OF_MARKS)) for number in range(len(at))]
    text = [f"\u00a0{said}\u00a0" for _, said in told.marks]  # a space off the line
    places = [style.away(time / end, 0.75, "middle") for time in at]
    return [drawn, style.labels(at, heights, text, "events", style.BLACK, textposition=places, mode="text")]
