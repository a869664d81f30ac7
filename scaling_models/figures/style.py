"""The look that all figures share: template, colours, and axes with units."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from scaling_models import units

# Okabe and Ito's colours, which most colour-blind readers tell apart.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000",
)  # fmt: skip
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
GREY = "#767676"
DASHES = ("solid", "dash", "dot", "dashdot")
BAND = "rgba(230, 159, 0, 0.25)"
WASH = "rgba(0, 114, 178, 0.15)"
SIZE = {"width": 900, "height": 520}  # of a printed figure
TITLE_WIDTH = 100  # characters that fit above a figure of that width

TICKS = {1.0: "100%", 0.5: "50%", 0.1: "10%", 0.05: "5%", 0.01: "1%", 1e-3: "0.1%", 1e-4: "0.01%", 1e-5: "0.001%"}

_AXIS = {
    "showline": True,
    "linecolor": "#444444",
    "ticks": "outside",
    "tickcolor": "#444444",
    "gridcolor": "#E5E5E5",
    "zeroline": False,
    "title_standoff": 8,
    "automargin": True,
    "minor_ticks": "",
}
TEMPLATE = go.layout.Template(
    layout=go.Layout(
        font={"family": "Arial, Helvetica, sans-serif", "size": 14, "color": "#222222"},
        title={"font_size": 17, "x": 0.01, "xanchor": "left", "y": 0.96, "yanchor": "top"},
        paper_bgcolor="#FFFFFF",
        plot_bgcolor="#FFFFFF",
        colorway=list(COLOURS),
        xaxis=_AXIS,
        yaxis=_AXIS,
        hovermode="closest",
        modebar_orientation="v",  # down the margin: it would lie on the title
        margin={"l": 80, "r": 30, "t": 98, "b": 64},
        # Above the plot, so that it never lies on data.
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom", "font_size": 13},
    )
)


def figure(traces: Sequence[Any], title: str, x: str, y: str, **layout: Any) -> go.Figure:
    """A figure in the shared look, with the titles of its axes."""
    titles = {"title_text": wrapped(title), "xaxis_title_text": x, "yaxis_title_text": y}
    # All at once: an update afterwards would validate the template a second time, 4 ms of every redraw.
    return go.Figure(list(traces), layout={"template": TEMPLATE, **titles, **layout})


def wrapped(title: str, width: int = TITLE_WIDTH) -> str:
    """A title in lines that fit."""
    return "<br>".join(textwrap.wrap(title, width, break_on_hyphens=False)) or title


def line(x: Iterable[Any], y: Iterable[Any], name: str, colour: str, dash: str = "solid", **more: Any) -> go.Scatter:
    """A line."""
    return go.Scatter(
        x=list(x), y=list(y), name=name, mode="lines", line={"color": colour, "dash": dash, "width": 2.5}, **more
    )


def dots(x: Iterable[Any], y: Iterable[Any], name: str, colour: str, **more: Any) -> go.Scatter:
    """Markers without a line, above any line."""
    marker = {"color": colour, "size": 8, "line": {"color": "#FFFFFF", "width": 1}}
    return go.Scatter(x=list(x), y=list(y), name=name, mode="markers", marker=marker, **more)


def labels(x: Iterable[Any], y: Iterable[Any], text: Iterable[str], name: str, colour: str, **more: Any) -> go.Scatter:
    """Markers that carry text, without a place in the legend."""
    shown: dict[str, Any] = {
        "mode": "markers+text",
        "textposition": "top right",
        "marker": {"color": colour, "size": 10, "line": {"color": "#FFFFFF", "width": 1}},
        "textfont": {"color": colour, "size": 14},
        "showlegend": False,
        "cliponaxis": False,
    }
    return go.Scatter(x=list(x), y=list(y), text=list(text), name=name, **{**shown, **more})


def tail_axis(lowest: float) -> dict[str, Any]:
    """A log axis of probabilities from `lowest` to 1, with ticks as people say them."""
    ends = [math.log10(lowest) - 0.08, 0.06]
    return {"type": "log", "tickvals": list(TICKS), "ticktext": list(TICKS.values()), "range": ends}


def log_axis() -> dict[str, Any]:
    """A log axis with ticks at 1, 2 and 5 of each decade, wherever its range comes to lie."""
    ticks = [digit * 10.0**decade for decade in range(-6, 10) for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [units.number(tick) for tick in ticks]}


def away(share: float, turn: float, height: str = "top") -> str:
    """Where a label stands beside its point: left of it from `turn` on, a share of the way from left to right."""
    return f"{height} {'right' if share < turn else 'left'}"
