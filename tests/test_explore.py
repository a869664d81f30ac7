"""Explorers without a browser: set a slider's value, read the traces."""

from __future__ import annotations

import itertools
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest

import scaling_models as sm
from scaling_models import figures, inputs
from scaling_models.answers import Model, Timeline
from scaling_models.domains import Integer, Real
from scaling_models.explorer import Panel, explore
from scaling_models.explorer.beginnings import with_mean_of
from scaling_models.explorer.numbers import Grid, grid
from scaling_models.parameters import Slider, parameter
from scaling_models.pools import CentralQueue
from scaling_models.units import Scale, human

MODELS = [pytest.param(model, id=model.__name__) for model in sm.MODELS]
KINDS = [pytest.param(kind, id=kind.__name__) for kind in sm.latency.KINDS]
SLIDERS = (widgets.FloatSlider, widgets.IntSlider, widgets.FloatLogSlider)


def trace(panel: Panel, name: str) -> Any:
    return next(each for each in panel.figure.data if each.name == name)


def on_grid(slider: Any) -> bool:
    """Whether a browser would leave the slider where it is."""
    place = np.log10(slider.value) if isinstance(slider, widgets.FloatLogSlider) else slider.value
    steps = (place - slider.min) / slider.step
    return bool(abs(steps - round(steps)) < 1e-6 and slider.min <= place + 1e-9 and place <= slider.max + 1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_every_slider_stands_on_its_grid(kind: type[Model]) -> None:
    sliders = [each for each in explore(kind).controls.values() if isinstance(each, SLIDERS)]
    assert sliders
    assert all(on_grid(each) for each in sliders)


@pytest.mark.parametrize("law", KINDS)
def test_the_sliders_of_every_kind_stand_on_their_grids(law: type[sm.Distribution]) -> None:
    panel = explore(CentralQueue(service=sm.Exponential(0.0137)))
    panel.controls["service"].value = law
    assert type(panel.model.service) is law
    assert all(on_grid(each) for each in panel.controls.values() if isinstance(each, SLIDERS))


@pytest.mark.parametrize(
    ("slider", "value"),
    list(
        itertools.product(
            [Slider(0.001, 1.0, 0.05, log=True), Slider(0.0, 0.2, 0.005), Slider(0.001, 0.2, 0.001)],
            [0.010, 0.013, 0.064, 0.0123456, 0.2, 5.0],
        )
    ),
)
def test_any_value_gets_a_grid(slider: Slider, value: float) -> None:
    scale = Scale(1000.0, "ms")
    found = grid(slider, scale, value)
    assert isinstance(found, Grid)
    assert scale.show(value) in found


@pytest.mark.parametrize("kind", MODELS)
def test_there_is_a_control_for_every_input(kind: type[Model]) -> None:
    panel = explore(kind)
    assert {each.path for each in inputs.inputs(kind())} <= set(panel.controls)
    assert panel.model == kind()
    assert repr(kind()).split("(")[0] in panel.code.value


@pytest.mark.parametrize("kind", MODELS)
def test_every_slider_moves_the_model_and_untouched_ones_keep_their_values(kind: type[Model]) -> None:
    for path in [each.path for each in inputs.inputs(kind()) if isinstance(each.domain, Real | Integer)]:
        panel = explore(kind)
        slider = panel.controls[path]
        slider.value = (
            slider.value * 10**-slider.step
            if isinstance(slider, widgets.FloatLogSlider)
            else slider.value + (slider.step if slider.value + slider.step <= slider.max else -slider.step)
        )
        moved = inputs.find(panel.model, path).value
        assert moved != inputs.find(kind(), path).value, panel.message.value
        assert inputs.replaced(panel.model, path, inputs.find(kind(), path).value) == kind()


def test_a_slider_that_changes_how_long_it_takes_changes_the_axis_of_time_with_its_unit() -> None:
    panel = explore(sm.Rebalance, figures.rebalance)
    panel.controls["data"].value = panel.controls["data"].min
    expected = figures.rebalance(panel.model).layout.xaxis
    assert panel.figure.layout.xaxis.title.text == expected.title.text == "time (min)"
    assert panel.figure.layout.xaxis.range == expected.range
    panel.break_it.value = True
    panel.controls["data"].value = panel.controls["data"].max
    assert panel.timeline is not None
    assert panel.timeline.layout.xaxis.range == figures.timeline(panel.model, seed=0).layout.xaxis.range


def test_a_figure_of_many_rows_keeps_its_height() -> None:
    queues = figures.queues([CentralQueue(), sm.RoundRobin(), sm.PowerOfChoices()])
    assert sm.show(queues).layout.height == queues.layout.height > 430
    assert sm.show(figures.survival(CentralQueue())).layout.height == 430


def test_a_slider_redraws_the_figure_in_place() -> None:
    panel = explore(CentralQueue)
    figure, layout = panel.figure, panel.figure.layout.template
    panel.controls["arrival_rate"].value = 900
    assert panel.figure is figure
    assert panel.figure.layout.template == layout
    assert panel.model == CentralQueue(arrival_rate=900)
    assert trace(panel, "p99").x[0] == pytest.approx(1e3 * panel.model.latency.icdf(0.99))
    assert trace(panel, "p99").text[0] == "p99 62.5 ms"
    assert "62.5 ms" in panel.figure.layout.title.text


def test_labels_say_what_people_read() -> None:
    controls = explore(CentralQueue).controls
    assert controls["arrival_rate"].description == "arrival rate λ (requests/s)"
    assert controls["servers"].description == "servers N"
    assert controls["service.mean"].description == "mean 1/μ (ms)"
    assert controls["service.mean"].value == 10.0
    assert explore(sm.Raft).controls["availability"].value == pytest.approx(99.9)


def test_overload_is_drawn_and_comes_back() -> None:
    panel = explore(CentralQueue)
    panel.controls["arrival_rate"].value = 1200
    assert "no steady state" in panel.figure.layout.title.text
    doubled = human(CentralQueue(arrival_rate=1200, workers=2).latency.icdf(0.99), "s")
    assert "servers to 11, service mean +10%: still no steady state" in panel.assumptions.value
    assert f"workers to 2: then a steady state, p99 {doubled}" in panel.assumptions.value
    panel.controls["arrival_rate"].value = 800
    assert "49.5 ms" in panel.figure.layout.title.text


def test_an_illegal_combination_keeps_the_picture_and_says_why() -> None:
    panel = explore(sm.Raft(fsync=sm.Uniform(0.005, 0.020)))
    before, picture = panel.model, panel.figure.to_json()
    panel.controls["fsync.low"].value = 30
    assert panel.model == before
    assert panel.figure.to_json() == picture
    assert "Uniform.low must lie below high = 0.02 s; got 0.03" in panel.message.value
    panel.controls["fsync.high"].value = 40
    assert panel.model.fsync == sm.Uniform(0.030, 0.040)
    assert "must lie" not in panel.message.value


@pytest.mark.parametrize("law", KINDS)
def test_switching_kinds_keeps_the_mean(law: type[sm.Distribution]) -> None:
    panel = explore(CentralQueue(service=sm.Exponential(0.020)))
    panel.controls["service"].value = law
    assert panel.model.service.mean() == pytest.approx(0.020, rel=1e-5)
    assert ("service.scv" in panel.controls) == ("scv" in law.parameters())


def test_what_has_no_mean_is_switched_as_it_is() -> None:
    assert with_mean_of(CentralQueue(), sm.Exponential(0.02)) == CentralQueue()
    assert with_mean_of(sm.Exponential(), sm.Never()) == sm.Exponential()


def test_a_value_of_no_declared_kind_stays_as_given() -> None:
    panel = explore(CentralQueue(service=sm.Exponential(0.010) + 0.005))
    assert panel.controls["service"].options[0][0].startswith("as given")
    panel.controls["service"].value = sm.Exponential
    assert panel.model.service == sm.Exponential(0.015)
    panel.controls["service"].value = None
    assert panel.model.service == sm.Exponential(0.010) + 0.005


def test_rows_are_added_and_taken_away() -> None:
    panel = explore(sm.Raft)
    rtts = sm.Raft().follower_rtts
    panel.controls["follower_rtts.add"].click()
    assert panel.model.follower_rtts == (*rtts, rtts[-1])
    panel.controls["follower_rtts[0].remove"].click()
    assert panel.model.follower_rtts == (*rtts[1:], rtts[-1])
    panel.controls["follower_rtts[0].value"].value = 50
    assert panel.model.follower_rtts[0] == sm.Deterministic(0.050)
    assert panel.message.value.count("must") == 0


def test_dots_by_a_tick_box_are_kept() -> None:
    panel = explore(CentralQueue)
    assert len(trace(panel, "simulated").x) == 0
    panel.dots.value = True
    dots = trace(panel, "simulated").x
    assert len(dots) > 10
    panel.controls["arrival_rate"].value = 700
    panel.controls["arrival_rate"].value = 800
    np.testing.assert_array_equal(trace(panel, "simulated").x, dots)
    assert len(panel._simulations) == 2
    panel.dots.value = False
    assert len(trace(panel, "simulated").x) == 0


def test_without_a_closed_form_the_dots_are_drawn_anyway() -> None:
    panel = explore(CentralQueue(service=sm.Pareto(0.01, 1.9)))  # the variance is infinite
    assert len(trace(panel, "simulated").x) > 10
    assert len(trace(panel, "closed form").x) == 0
    assert "no usable closed form at these parameters" in panel.message.value
    assert "The dots are simulated." in panel.message.value


def test_what_cannot_be_simulated_says_so() -> None:
    panel = explore(CentralQueue)
    panel.dots.value = True
    panel.controls["arrival_rate"].value = 1200
    assert "there is no steady state to simulate" in panel.message.value
    assert "no steady state" in panel.figure.layout.title.text


class Breaking(CentralQueue):
    """A queue whose timeline is told by its seed and rate."""

    lines: int = parameter(default=1, domain=Integer(1, 3), about="how many lines", slider=Slider(1, 3, 1))

    def timeline(self, seed: int = 0) -> Timeline:
        times = np.linspace(0, 10, 5)
        drawn = {f"line {at}": times * self.arrival_rate for at in range(self.lines)}
        return Timeline("it breaks", times, drawn, "requests", ((2.0, "stall"),))


def on_show(panel):
    """The figure that is not hidden: both stay in the page, for a figure that leaves it never draws again."""
    boxes = [box for box in (panel._shown, panel._broken) if box.layout.display != "none"]
    assert len(boxes) == 1
    return boxes[0].children[0]


def test_break_it_shows_the_timeline_and_comes_back() -> None:
    panel = explore(Breaking)
    panel.break_it.value = True
    assert on_show(panel) is panel.timeline
    assert panel.timeline.data[0].y[-1] == 8000
    panel.controls["arrival_rate"].value = 900
    assert panel.timeline.data[0].y[-1] == 9000
    panel.controls["lines"].value = 2
    assert len(panel.timeline.data) == 4
    panel.break_it.value = False
    assert on_show(panel) is panel.figure


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_can_be_broken(kind: type[Model]) -> None:
    panel = explore(kind)
    panel.break_it.value = True
    assert on_show(panel) is panel.timeline, panel.message.value


def test_nothing_can_be_shown_on_a_slider_of_decades() -> None:
    panel = explore(sm.Raft(fsync=sm.Deterministic(0.0)))
    slider = panel.controls["fsync.value"]
    assert slider.value == 0.0
    slider.value += slider.step
    assert panel.model.fsync.value > 0.0


class Counted(CentralQueue):
    """A queue that is asked for a number first."""

    headline = "utilization"


def test_a_headline_that_is_a_number_is_drawn_over_the_first_slider() -> None:
    panel = explore(Counted)
    assert panel.figure.layout.xaxis.title.text.startswith("arrival rate")
    assert panel.figure.layout.yaxis.title.text.startswith("utilization")
    panel.controls["servers"].value = 20
    assert trace(panel, "now").y[0] == pytest.approx(40.0)
    assert "exact" in panel.accuracy.value


class Failing(CentralQueue):
    """A queue whose timeline does not work."""

    def timeline(self, seed: int = 0) -> Timeline:
        raise ZeroDivisionError("division by nothing")


class Silent(CentralQueue):
    """A queue without a timeline."""

    def timeline(self, seed: int = 0) -> Timeline:
        raise NotImplementedError


def test_no_exception_leaves_a_callback() -> None:
    panel = explore(Failing)
    panel.break_it.value = True
    assert "ZeroDivisionError: division by nothing" in panel.message.value
    panel = explore(Silent)
    panel.break_it.value = True
    assert "Silent has no timeline to show yet." in panel.message.value


def test_the_panel_tells_what_stands_behind_its_numbers() -> None:
    panel = explore(CentralQueue)
    assert "exact" in panel.accuracy.value
    assert "Poisson arrivals (<i>optimistic if arrivals are bursty</i>)" in panel.assumptions.value
    assert "arrival rate +10%: p99 +16%" in panel.assumptions.value
    assert "CentralQueue(arrival_rate=800.0, servers=10, " in panel.code.value


def test_another_figure_with_options() -> None:
    panel = explore(CentralQueue(), figures.sweep, parameter="arrival_rate")
    panel.controls["servers"].value = 20
    assert trace(panel, "wall").x[0] == pytest.approx(2000)
    assert trace(panel, "now").x[0] == 800


def test_a_refusal_stays_until_a_control_moves():
    panel = explore(CentralQueue(service=sm.Uniform(0.005, 0.020)))
    panel.controls["service.low"].value = 30.0
    refusal = panel.message.value
    assert "Uniform.low must lie below high" in refusal
    panel._explain()  # what comes when it is quiet speaks of the last good picture
    assert panel.message.value == refusal
    panel.controls["service.low"].value = 4.0
    assert "must lie below" not in panel.message.value


def test_break_it_at_overload_leaves_no_old_timeline():
    panel = explore(CentralQueue)
    panel.break_it.value = True
    assert on_show(panel) is panel.timeline
    panel.controls["arrival_rate"].value = 1500
    assert on_show(panel) is panel.figure
    assert "overloaded" in panel.message.value
    panel.break_it.value = False
    assert "overloaded" not in panel.message.value


def test_only_models_can_be_explored() -> None:
    with pytest.raises(ValueError, match="explore must be given a model or a class of models; got 3"):
        explore(3)  # type: ignore[arg-type]


def test_the_room_may_be_called_by_its_name_however_often() -> None:
    assert sm.explore(CentralQueue).model == sm.explore(CentralQueue).model


def test_what_is_not_named_first_is_folded_away_and_still_moves_the_model() -> None:
    panel = explore(CentralQueue, first=["servers", "arrival_rate"])
    columns, folded = panel.children[:2]
    assert isinstance(folded, widgets.Accordion)
    assert folded.selected_index is None
    assert folded.titles == ("more parameters",)
    seen = [each.description for column in columns.children for each in column.children]
    assert seen == ["servers N", "arrival rate λ (requests/s)"]
    panel.controls["workers"].value = 2
    assert panel.model == CentralQueue(workers=2)


def test_everything_named_first_leaves_nothing_to_fold() -> None:
    panel = explore(CentralQueue, first=list(CentralQueue.parameters()))
    assert not any(isinstance(each, widgets.Accordion) for each in panel.children)


@pytest.mark.parametrize("first", [["speed"], "servers", ["service.mean"]])
def test_only_parameters_can_be_first(first: Any) -> None:
    with pytest.raises(ValueError, match=r"explore\.first must be a list of parameters of the model, of arrival_"):
        explore(CentralQueue, first=first)


def test_a_slider_goes_to_twice_a_value_at_or_beyond_its_declared_end() -> None:
    slider, scale = Slider(10.0, 100.0, 10.0), Scale()
    assert grid(slider, scale, 90.0).high == 100.0
    assert grid(slider, scale, 100.0).high == 200.0
    assert grid(slider, scale, 730.0).high == 1460.0
    assert grid(slider, scale, 100.0, most=150.0).high == 150.0
    assert grid(slider, scale, 100.0, most=100.0).high == 100.0
    assert grid(Slider(0.1, 10.0, 0.1, log=True), scale, 30.0).high == 60.0
    step = explore(sm.LoadStep(before=700, after=1100)).controls
    assert step["after"].max >= 2200
    share = explore(sm.PoolPlan(level=0.9999)).controls["level"]
    assert share.max < 100.0


def test_inputs_of_equal_effect_are_told_together() -> None:
    raft = explore(sm.Raft(follower_rtts=(0.01, 0.02, 0.5, 0.6), fsync=0.002))
    assert raft.assumptions.value.count("unchanged") == 1
    gone = explore(sm.RetryingClients(arrival_rate=990)).assumptions.value
    assert "still no good state" in gone
    assert "steady state" not in gone.split("What 10% more")[1]
