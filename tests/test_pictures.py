"""Figures as widgets: what keeps one from staying empty on a slow machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go
import pytest

import scaling_models as sm
from scaling_models import figures, inputs
from scaling_models.answers import Model
from scaling_models.domains import Integer
from scaling_models.explorer.drawing import redraw, shown
from scaling_models.explorer.picture import Picture, script

CentralQueue = sm.pools.CentralQueue
Draw = Callable[[Any], go.Figure]
DRAWN: list[tuple[Draw, Model, str]] = [
    (figures.survival, CentralQueue(), "servers service.mean"),
    (figures.load, CentralQueue(), "servers service.mean"),
    (figures.load_map, sm.RetryingClients(), "workers timeout"),
    (figures.course, sm.LoadStep(before=700, after=1100), "provisioning added"),
    (figures.sizing, sm.PoolPlan(), "arrival_rate zones"),
    (figures.rebalance, sm.Rebalance(), "data arrival_rate"),
    (figures.timeouts, sm.quorums.Election(), "members"),
    (functools.partial(figures.hot_shards, arrival_rate=13_500), sm.shards.ShardLoad(), "shards"),
    (functools.partial(figures.sweep, parameter="fsync.value"), sm.Raft(), "fsync.value"),
    (functools.partial(figures.sweep, parameter="throttle", answer="duration"), sm.Rebalance(), "data"),
    (figures.timeline, sm.LoadStep(before=700, after=1100), "provisioning"),
    (figures.timeline, sm.shards.ShardPlan(), "reads"),
]
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


def ends(model: Model, path: str) -> tuple[Model, Model]:
    """The model with one of its sliders at either end."""
    found = inputs.find(model, path)
    slider = found.declared.slider
    assert slider is not None
    low, high = (round(end) if isinstance(found.domain, Integer) else end for end in (slider.low, slider.high))
    return inputs.replaced(model, path, low), inputs.replaced(model, path, high)


def said(figure: go.Figure) -> Any:
    """All that a figure says, without what is the page's: its width, the traces' names for themselves."""
    told = figure.to_plotly_json()
    for each in told["data"]:
        each.pop("uid", None)
    for name in ("width", "height", "template"):
        told["layout"].pop(name, None)
    return told


def leaves(told: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that is said, by its place; nothing is not said."""
    items = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    if not items and told is not None and not isinstance(told, dict | list):
        yield path, np.asarray(told)
    for key, value in items:
        yield from leaves(value, f"{path}.{key}")


@pytest.mark.parametrize(("draw", "model", "paths"), DRAWN)
def test_a_moved_slider_leaves_nothing_of_the_last_picture(draw: Draw, model: Model, paths: str) -> None:
    widget = shown(draw(model))
    for moved in (moved for path in paths.split() for moved in ends(model, path)):
        figure = draw(moved)
        redraw(widget, figure)
        old, new = dict(leaves(said(widget))), dict(leaves(said(figure)))
        assert old.keys() == new.keys(), moved
        for place, value in new.items():
            assert np.array_equal(old[place], value, equal_nan=value.dtype.kind == "f"), (place, moved)


def test_what_a_reader_chose_stays_until_the_figure_says_otherwise_or_its_axis_is_of_another_type() -> None:
    first = figure().update_layout(xaxis_type="linear")
    widget = shown(first)
    widget.update_layout(xaxis_range=[1.2, 1.4], yaxis_range=[3.1, 3.2], dragmode="pan")
    widget.data[0].visible = "legendonly"
    redraw(widget, figure().update_layout(xaxis_type="log", yaxis_title_text="waits"))
    assert widget.layout.xaxis.range is None
    assert widget.layout.yaxis.range == (3.1, 3.2)
    assert (widget.data[0].visible, widget.layout.dragmode) == ("legendonly", "pan")
    redraw(widget, figure().update_layout(yaxis_range=[0.0, 5.0]))
    assert widget.layout.yaxis.range == (0.0, 5.0)
