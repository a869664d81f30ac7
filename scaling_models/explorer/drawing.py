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
# What a reader changes by hand, or the page: kept where a figure says nothing about it.
KEPT = {"uid", "width", "height", "range", "autorange", "visible", "dragmode", "hovermode", "showspikes", "selections"}


def shown(figure: go.Figure) -> go.FigureWidget:
    """The figure as a widget, as high as it asks to be: a picture of many rows needs more than a curve."""
    figure.update_layout(**SIZE | ({"height": figure.layout.height} if figure.layout.height else {}))
    return Picture(figure)


def redraw(widget: go.FigureWidget, figure: go.Figure) -> None:
    """Bring a widget to the state of a figure: only what differs is sent, as a whole layout takes 100 ms."""
    with widget.batch_update():
        if [trace.type for trace in widget.data] != [trace.type for trace in figure.data]:  # a list has grown, say
            widget.data = ()
            widget.add_traces(figure.data)
        for old, new in zip(widget.data, figure.data, strict=True):
            _bring(old, new)
        _bring(widget.layout, figure.layout)


def _bring(old: Any, new: Any) -> None:
    was, said = old.to_plotly_json(), new.to_plotly_json()
    kept = KEPT if was.get("type") == said.get("type") else KEPT - {"range", "autorange"}  # of an axis of another type
    for name in (was.keys() | said.keys()) - (kept - said.keys()) - {"template"}:
        before, after = was.get(name), said.get(name)
        if isinstance(before, dict) or isinstance(after, dict):
            _bring(old[name], new[name])
        elif not _same(before, after):
            old[name] = after


def _same(old: Any, new: Any) -> bool:
    if old is None or new is None:
        return old is new
    return bool(np.array_equal(np.asarray(old), np.asarray(new)))


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
