"""What does the average hide? A load that goes up and down, and who waits, through a period."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from scaling_models import units
from scaling_models.figures import style
from scaling_models.pools import TimeVaryingLoad

POINTS = 300
WAYS = (  # of reckoning, with colour and dash, in the order of the model's `course`
    (style.RED, "solid"),
    (style.BLUE, "dash"),
    (style.GREY, "dot"),
    (style.GREY, "solid"),
)


def wave(model: TimeVaryingLoad) -> go.Figure:
    """The arrivals of two periods above, and below them the chance of a wait, by each way to reckon it.

    Traces: arrivals, what the slots can carry, the exact chance (no line where the chain is too large), that by the
    modified offered load, that as if the moment's load stayed, and that as if the mean load stayed.
    """
    times = np.linspace(0.0, 2.0 * model.period, POINTS)
    across = units.axis("s", [float(times[-1])])
    arrivals, *ways = model.course(times).items()
    x, capacity = times * across.factor, model.arrival_rate / model.utilization
    traces = [
        style.line(x, arrivals[1], arrivals[0], style.BLUE),
        style.line([x[0], x[-1]], [capacity] * 2, "what the servers carry", style.GREY, "dot"),
        *(
            style.line(x, 100.0 * values, name, colour, dash, yaxis="y2")
            for (name, values), (colour, dash) in zip(ways, WAYS, strict=True)
        ),
    ]
    figure = style.figure(
        traces, f"{units.title_of(model)}: {_says(ways)}", across.title("time"), "arrivals (requests/s)"
    )
    return figure.update_layout(
        yaxis={"domain": [0.62, 1.0], "rangemode": "tozero"},
        yaxis2={"domain": [0.0, 0.5], "range": [0.0, 103.0], "title_text": "who has to wait (%)", "anchor": "x"},
        xaxis={"anchor": "y2", "range": [0.0, float(x[-1])]},
    )


def _says(ways: list[tuple[str, np.ndarray]]) -> str:
    exact, modified, _, constant = (values for _, values in ways)
    peak = modified if np.isnan(exact).any() else exact
    return f"{peak.max():.0%} of the requests wait at the worst moment; the mean load promises {constant.max():.0%}"
