"""Figures as widgets: what keeps one from staying empty on a slow machine."""

from __future__ import annotations

import ipywidgets as widgets
import plotly.graph_objects as go

from scaling_models.explorer.drawing import shown
from scaling_models.explorer.picture import Picture, script

QUICK = 10_000  # characters that any page runs within anywidget's two seconds; plotly's own script has 5,000,000


def figure() -> go.Figure:
    return go.Figure(go.Scatter(x=[1.0, 2.0], y=[3.0, 4.0]))


def test_a_pictures_own_script_is_small_and_plotlys_is_sent_once() -> None:
    first, second = shown(figure()), shown(figure())
    assert isinstance(first, Picture)
    assert len(first.get_state()["_esm"]) < QUICK
    assert first._script_id == second._script_id == script().model_id
    assert script().text == str(go.FigureWidget._esm)
    assert len(script().text) > 100 * QUICK


def test_a_new_script_comes_where_all_widgets_were_closed() -> None:
    before = script().model_id
    widgets.Widget.close_all()
    assert shown(figure())._script_id == script().model_id != before


def test_every_change_that_plotly_can_tell_a_figure_is_heard_before_its_script_is_there() -> None:
    told = {name.removeprefix("_py2js_") for name in go.FigureWidget.class_trait_names() if name.startswith("_py2js_")}
    names = str(Picture._esm).partition("CHANGES = [")[2].partition("]")[0]
    assert told == {name.strip(' "\n') for name in names.split(",")} - {""}
