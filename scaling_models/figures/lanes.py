"""Who does what when? Swim lanes: a lane for each, bars for what it does, arrows for what it sends."""

from __future__ import annotations

import plotly.graph_objects as go

from scaling_models import units
from scaling_models.answers import SwimLanes
from scaling_models.figures import style

BARS = ("#C9DDEA", style.ORANGE, style.GREEN)
ARROWS = (style.GREY, style.BLUE, style.RED, style.PURPLE)
AROUND = ("bottom right", "bottom left", "top left", "top right")
NARROW = 76  # characters of a line of the title, which is long where there are several protocols
# Of many kinds, as many rows as there is room for in the page: under the plot, where they push nothing away.
BELOW, BELOW_HIGH = {"yref": "container", "y": 0.0, "yanchor": "bottom"}, 124
THICK, HEAD = 16, 9  # pixels: of a bar, of an arrow's head


def swim_lanes(record: SwimLanes) -> go.Figure:
    """The record's lanes from top to bottom over time.

    Traces: bars, one a kind; arrows, one a kind; the marks.
    """
    times = [t for _, _, begin, end in record.bars for t in (begin, end)]
    times += [t for _, _, sent, _, received in record.arrows for t in (sent, received)]
    times += [t for _, t, _ in record.marks] or [0.0]
    across = units.scale("s", [max(times) - min(times)])
    traces = [_bars(record, kind, BARS[i % len(BARS)], across) for i, kind in enumerate(record.bar_kinds)]
    traces += [_arrows(record, kind, ARROWS[i % len(ARROWS)], across) for i, kind in enumerate(record.arrow_kinds)]
    title = style.wrapped(record.says, NARROW)
    figure = style.figure([*traces, _marks(record, across)], "", across.title("time"), "", title_text=title)
    margin = 0.03 * (max(times) - min(times))
    return figure.update_layout(
        legend=BELOW,
        margin_b=BELOW_HIGH,
        xaxis={"range": [(min(times) - margin) * across.factor, (max(times) + 3 * margin) * across.factor]},
        yaxis={
            "tickvals": list(range(len(record.lanes))),
            "ticktext": list(record.lanes),
            "range": [len(record.lanes) - 0.4, -0.7],
            "showgrid": False,
        },
    )


def _bars(record: SwimLanes, kind: str, colour: str, across: units.Scale) -> go.Scatter:
    mine = [
        (lane, begin * across.factor, end * across.factor) for name, lane, begin, end in record.bars if name == kind
    ]
    x = [t for _, begin, end in mine for t in (begin, end, None)]
    y = [row for lane, _, _ in mine for row in (lane, lane, None)]
    return go.Scatter(x=x, y=y, name=kind, mode="lines", line={"color": colour, "width": THICK})


def _arrows(record: SwimLanes, kind: str, colour: str, across: units.Scale) -> go.Scatter:
    """Lines with a head at their end, which points along the line."""
    mine = [
        (a, sent * across.factor, b, got * across.factor) for name, a, sent, b, got in record.arrows if name == kind
    ]
    x = [t for _, sent, _, got in mine for t in (sent, got, None)]
    y = [row for a, _, b, _ in mine for row in (a, b, None)]
    sizes = [size for _ in mine for size in (0, HEAD, 0)]
    marker = {"symbol": "arrow", "angleref": "previous", "size": sizes, "color": colour, "opacity": 1.0}
    return go.Scatter(
        x=x, y=y, name=kind, mode="lines+markers", line={"color": colour, "width": 1.5}, marker=marker, hoverinfo="skip"
    )


def _marks(record: SwimLanes, across: units.Scale) -> go.Scatter:
    """Dots with their texts, which a lane's last marks, often close together, have around them."""
    lanes = [lane for lane, _, _ in record.marks]
    places = [AROUND[lanes[i + 1 :].count(lane) % len(AROUND)] for i, lane in enumerate(lanes)]
    times = [t * across.factor for _, t, _ in record.marks]
    return style.labels(times, lanes, [text for _, _, text in record.marks], "marks", style.BLACK, textposition=places)
