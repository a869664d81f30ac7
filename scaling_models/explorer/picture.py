"""Plotly's figure as a widget that all of a page's figures can afford: one script for all, and none is ever deaf."""

from __future__ import annotations

import functools
from pathlib import Path

import anywidget
import plotly
import plotly.graph_objects as go
import traitlets


class Script(anywidget.AnyWidget):
    """Plotly's script for the page, sent once."""

    _esm = "export default {}"
    text = traitlets.Unicode().tag(sync=True)


@functools.cache
def _script() -> Script:
    return Script(text=str(go.FigureWidget._esm))


def script() -> Script:
    """The one of this kernel; a new one where somebody has closed all widgets."""
    if _script().comm is None:
        _script.cache_clear()
    return _script()


class Picture(go.FigureWidget):  # type: ignore[misc]  # plotly ships no types
    """A `FigureWidget` whose script is there at once: see picture.js."""

    _esm = Path(__file__).with_name("picture.js")
    _script_id = traitlets.Unicode().tag(sync=True)
    _plotly_version = traitlets.Unicode(plotly.__version__).tag(sync=True)

    @traitlets.default("_script_id")
    def _the_kernels(self) -> str:
        return str(script().model_id)
