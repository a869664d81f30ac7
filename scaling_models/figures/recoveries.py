"""What brings it back? The same break under several models, over time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from scaling_models import units
from scaling_models.answers import Model
from scaling_models.figures import style
from scaling_models.figures.timelines import largest, marks

WIDTHS = (4.0, 2.5)  # of the first line, and of the others


def recovery(models: Mapping[str, Model], line: str, beside: str = "", seed: int = 0) -> go.Figure:
    """One line of the `timeline` of each model, by name, with the marks of the first; all see the same seed.

    `beside` is another line of the first model's timeline, drawn in grey for comparison. Traces: that line (empty
    without one), a line a model, the marks' lines, the marks' labels. Raises ValueError without models, or where a
    timeline lacks the line.
    """
    if not models:
        raise ValueError("figures.recovery must be given one model at least; got none")
    told = {name: model.timeline(seed) for name, model in models.items()}
    first = next(iter(told.values()))
    for each in told.values():
        missing = [name for name in (line, beside) if name and name not in each.lines]
        if missing:
            raise ValueError(f"figures.recovery: a timeline has no line {missing[0]!r}; it has {', '.join(each.lines)}")
    values = {name: np.asarray(each.lines[line], dtype=float) for name, each in told.items()}
    top = max(largest(each) for each in values.values())
    across = units.scale("s", [largest(np.asarray(first.times))])
    scale = units.axis(first.unit, [top])
    grey = [np.asarray(first.times), np.asarray(first.lines[beside])] if beside else [np.array([]), np.array([])]
    traces = [
        style.line(grey[0] * across.factor, grey[1] * scale.factor, beside, "#BBBBBB", showlegend=bool(beside)),
        *(
            style.line(np.asarray(each.times) * across.factor, values[name] * scale.factor, name, colour)
            for (name, each), colour in zip(told.items(), style.COLOURS[1::-1] + style.COLOURS[2:] * 9, strict=False)
        ),
    ]
    for trace, width in zip(traces[1:], (WIDTHS[0], *[WIDTHS[1]] * len(models)), strict=False):
        trace.update(line_width=width)
    drawn = style.figure(
        [*traces, *marks(first, across, top * scale.factor)],
        f"{next(iter(models))}: {first.says}",
        across.title("time"),
        f"{line} ({scale.suffix})",
    )
    return drawn.update_layout(
        yaxis_rangemode="tozero", xaxis_range=[0, largest(np.asarray(first.times)) * across.factor]
    )
