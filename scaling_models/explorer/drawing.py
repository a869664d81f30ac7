"""Figures redrawn in place, and work put off until the hand rests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from scaling_models.explorer.picture import Picture

QUIET = 0.3  # seconds without a change before anything slow is begun
SIZE = {"width": 940, "height": 430}  # fixed: what is drawn before it is attached cannot know the page
DATA = ("x", "y", "text", "textposition")


def shown(figure: go.Figure) -> go.FigureWidget:
    """The figure as a widget, as high as it asks to be: a picture of many rows needs more than a curve."""
    figure.update_layout(**SIZE | ({"height": figure.layout.height} if figure.layout.height else {}))
    return Picture(figure)


def redraw(widget: go.FigureWidget, figure: go.Figure) -> None:
    """Bring a widget to the state of a figure: data, titles and ranges only, as a whole layout takes 100 ms."""
    with widget.batch_update():
        if len(widget.data) != len(figure.data):  # a list of replicas has grown, say
            widget.data = ()
            widget.add_traces(figure.data)
        for old, new in zip(widget.data, figure.data, strict=True):
            _copy(old, new, DATA)
        for place in ("title", "xaxis.title", "yaxis.title"):
            _copy(widget.layout[place], figure.layout[place], ("text",))
        for axis in ("xaxis", "yaxis", *(axis for axis in ("yaxis2",) if axis in figure.layout)):
            _copy(widget.layout[axis], figure.layout[axis], ("tickvals", "ticktext"))
            if figure.layout[axis].range is not None:  # else plotly finds it, or a reader has chosen one
                _copy(widget.layout[axis], figure.layout[axis], ("range",))


def _copy(old: Any, new: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if not _same(old[name], new[name]):
            old[name] = new[name]


def _same(old: Any, new: Any) -> bool:
    if old is None or new is None or isinstance(old, str):
        return old is new or (isinstance(old, str) and old == new)
    return len(old) == len(new) and bool(np.array_equal(np.asarray(old), np.asarray(new)))


class Quiet:
    """Calls put off until nothing has asked for 300 ms; at once where no event loop runs, as in a script or a test."""

    def __init__(self) -> None:
        self._waiting: asyncio.TimerHandle | None = None

    def later(self, call: Callable[[], None]) -> None:
        """Call when it is quiet, in place of what was still waiting."""
        if self._waiting is not None:
            self._waiting.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            call()
        else:
            self._waiting = loop.call_later(QUIET, call)
