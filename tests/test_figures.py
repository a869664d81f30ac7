"""Figures: the same traces whatever the state, axes with units, and the model's own numbers on them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from strategies import DISTRIBUTED, SPREAD

import scaling_models as sm
from scaling_models import figures, inputs, sweeps
from scaling_models.answers import Model, Simulation, Timeline
from scaling_models.figures.curves import curve
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.pools import CentralQueue, RandomSplit

MODELS = [pytest.param(model, id=model.__name__) for model in sm.MODELS]
WITH_TAIL = [pytest.param(model, id=model.__name__) for model in DISTRIBUTED]
WITH_FORMULA = [pytest.param(model, id=model.__name__) for model in SPREAD]
PERCENTILES = (50, 95, 99)
TIMES = {"ms": 1e3, "s": 1.0, "min": 1 / 60, "h": 1 / 3600, "days": 1 / 86400}  # what axes count seconds in
SHORT: dict[type[Model], int] = {sm.ShardLoad: 80, sm.ShardPlan: 80}  # placements of all keys are slow


@functools.cache
def verified(kind: type[Model]) -> Any:
    """The table of a short verification."""
    return sm.verify(kind(), requests=SHORT.get(kind, 20_000))


FIGURES: dict[str, Callable[[Any], go.Figure]] = {
    "survival": figures.survival,
    "sweep": lambda model: figures.sweep(model, inputs.leading(model).path),
    "timeline": figures.timeline,
    "verification": lambda model: figures.verification(verified(type(model))),
}


def shape(figure: go.Figure) -> list[tuple[str, str | None]]:
    """The names and modes of the traces, in order."""
    return [(trace.name, trace.mode) for trace in figure.data]


def trace(figure: go.Figure, name: str) -> Any:
    return next(each for each in figure.data if each.name == name)


def simulated(model: Model, requests: int = 20_000) -> Simulation:
    return model.simulate(requests=SHORT.get(type(model), requests), seed=1)


@pytest.mark.parametrize("question", FIGURES)
@pytest.mark.parametrize("kind", MODELS)
def test_figures_have_a_title_and_axes_with_units(kind: type[Model], question: str) -> None:
    if question == "survival" and kind not in DISTRIBUTED:
        with pytest.raises(ValueError, match="needs an answer that is a distribution"):
            figures.survival(kind())
        return
    draw = FIGURES[question]
    figure = draw(kind())
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text
    assert figure.layout.template.layout.font.size >= 13
    assert figure.to_json() == draw(kind()).to_json()


@pytest.mark.parametrize("kind", MODELS)
def test_the_axis_of_an_answer_says_its_unit(kind: type[Model]) -> None:
    unit = kind.answers()[kind.headline].unit
    said = {"s": tuple(f"({time})" for time in TIMES), "": ("(%)",)}.get(unit, (f"({unit})",))
    titles = [figures.sweep(kind(), inputs.leading(kind()).path).layout.yaxis.title.text]
    if kind in DISTRIBUTED:
        titles.append(figures.survival(kind()).layout.xaxis.title.text)
    for title in titles:
        assert title.endswith(said), title


@pytest.mark.parametrize("kind", WITH_FORMULA)
def test_the_marked_percentiles_are_the_models(kind: type[Model]) -> None:
    model = kind.example()  # with percentiles to mark
    figure = figures.survival(model)
    latency = getattr(model, model.headline)
    shown = figure.layout.xaxis.title.text.rpartition("(")[2].rstrip(")")
    factor = {**TIMES, "%": 1e2}[shown]
    for level, value in zip(PERCENTILES, latency.percentiles(*PERCENTILES), strict=True):
        marked = trace(figure, f"p{level}")
        assert marked.x[0] == pytest.approx(factor * value)
        assert marked.y[0] == pytest.approx(1 - level / 100)
        name, number = re.fullmatch(r"(p\d+) ([\d.,]+).*", marked.text[0]).groups()
        assert name == f"p{level}"
        assert float(number.replace(",", "")) == pytest.approx(marked.x[0], rel=0.006)  # three digits


@pytest.mark.parametrize("kind", WITH_TAIL)
def test_survival_has_the_same_traces_in_every_state(kind: type[Model]) -> None:
    model = kind()
    states = [
        figures.survival(model),
        figures.survival(model, simulation=simulated(model)),
        figures.survival(model, measured=np.random.default_rng(1).exponential(0.01, 50)),
    ]
    assert all(shape(each) == shape(states[0]) for each in states)
    assert len(trace(states[1], "simulated").x) > 0
    assert len(trace(states[0], "simulated").x) == 0
    assert len(trace(states[2], "measured").x) > 0


OVERLOADED = CentralQueue(arrival_rate=1200)
NO_FORMULA = CentralQueue(service=sm.Pareto(0.010, 1.9))


def test_survival_without_a_steady_state_says_so() -> None:
    figure = figures.survival(OVERLOADED)
    assert shape(figure) == shape(figures.survival(CentralQueue()))
    assert "no steady state" in figure.layout.title.text
    assert set(trace(figure, "closed form").y) == {1.0}
    assert not trace(figure, "p99").x


def test_survival_without_a_closed_form_draws_the_simulation_and_says_so() -> None:
    figure = figures.survival(NO_FORMULA, simulation=simulated(NO_FORMULA))
    assert shape(figure) == shape(figures.survival(CentralQueue()))
    assert "simulation only" in figure.layout.title.text
    assert len(trace(figure, "closed form").x) == 0
    assert len(trace(figure, "simulated").x) > 10


def test_simulated_dots_lie_in_their_band_and_on_their_own_ccdf() -> None:
    run = simulated(CentralQueue(), 200_000)
    figure = figures.survival(CentralQueue(), simulation=run)
    dots, band = trace(figure, "simulated"), trace(figure, "95% interval")
    count = len(dots.x)
    one_sample = 2.0 / run.latency.size  # whose time may round to either side on its way to ms and back
    np.testing.assert_allclose(dots.y, run.latency.ccdf(np.array(dots.x) / 1e3), rtol=1e-9, atol=one_sample)
    high, low = np.array(band.y[:count]), np.array(band.y[count:])[::-1]
    assert ((low <= dots.y) & (dots.y <= high)).all()


def test_a_simulated_latency_alone_will_do() -> None:
    batches = CentralQueue().latency.sample((8, 500), rng=1)
    assert len(trace(figures.survival(CentralQueue(), simulation=SimulatedLatency(batches)), "simulated").x) > 5


def test_measured_steps_are_the_samples() -> None:
    figure = figures.survival(CentralQueue(), measured=[0.03, 0.01, 0.02, 0.04])
    steps = trace(figure, "measured")
    np.testing.assert_allclose(steps.x, [10, 20, 30, 40])
    np.testing.assert_allclose(steps.y, [0.75, 0.5, 0.25, 1e-12])


def test_only_a_mean_known_is_told() -> None:
    raft = sm.Raft(follower_rtts=(sm.MeanOnly(0.010), sm.MeanOnly(0.020)), fsync=sm.MeanOnly(0.001))
    assert "known by its mean only" in figures.survival(raft).layout.title.text


def test_a_sweep_shows_the_wall_where_it_is() -> None:
    figure = figures.sweep(CentralQueue(), "arrival_rate")
    wall = trace(figure, "wall")
    assert wall.x == pytest.approx((1000.0, 1000.0))
    assert wall.text[-1] == "no steady state from 1,000 requests/s"
    assert max(x for x, y in zip(trace(figure, "p99").x, trace(figure, "p99").y, strict=True) if y) < 1000
    assert trace(figure, "now").y[0] == pytest.approx(1e3 * CentralQueue().latency.icdf(0.99))
    assert figure.layout.yaxis.type == "log"


def test_a_sweep_draws_the_mean_where_only_that_is_known() -> None:
    figure = figures.sweep(sm.FailingServers(), "arrival_rate", [400.0, 800.0])
    bare = trace(figure, "mean, where only that is known")
    assert bare.showlegend
    np.testing.assert_allclose(bare.y, 1e3 * sweeps.sweep(sm.FailingServers(), "arrival_rate", [400.0, 800.0])["mean"])
    assert trace(figure, "now").text[0].startswith("now mean")
    whole = trace(figures.sweep(CentralQueue(), "arrival_rate"), "mean, where only that is known")
    assert not whole.showlegend
    assert set(whole.y) == {None}


def test_a_sweep_reaches_where_the_model_stands() -> None:
    beyond = sm.CentralQueue(5000.0, 60)
    assert max(trace(figures.sweep(beyond, "arrival_rate"), "p99").x) >= 5000.0
    assert trace(figures.sweep(beyond, "arrival_rate"), "now").x == (5000.0,)


def test_the_label_of_a_wall_near_the_end_of_a_log_axis_stands_before_it() -> None:
    assert trace(figures.sweep(sm.ShardPlan(), "stored"), "wall").textposition.endswith("left")


def test_too_few_servers_are_a_wall_as_well() -> None:
    found = curve(CentralQueue(), "servers", None, "latency", PERCENTILES)
    assert not found.above
    assert 1 <= found.wall <= 8


@pytest.mark.parametrize("model", [CentralQueue(), OVERLOADED, NO_FORMULA], ids=["stable", "overloaded", "no formula"])
def test_a_sweep_has_the_same_traces_in_every_state(model: Model) -> None:
    assert shape(figures.sweep(model, "arrival_rate")) == shape(figures.sweep(CentralQueue(), "arrival_rate"))


def test_a_sweep_draws_the_numbers_of_the_table() -> None:
    values = [200.0, 500.0, 900.0]
    figure = figures.sweep(CentralQueue(), "arrival_rate", values, levels=(90,))
    np.testing.assert_allclose(
        trace(figure, "p90").y, 1e3 * sweeps.sweep(CentralQueue(), "arrival_rate", values, levels=(90,))["p90"]
    )


def test_models_side_by_side() -> None:
    figure = figures.sweep([CentralQueue(), RandomSplit(), RandomSplit(servers=20)], "arrival_rate", levels=(99,))
    names = [each.name for each in figure.data if each.name not in ("wall", "now") and not each.name.endswith("known")]
    assert names == ["Central queue p99", "Random split (servers 10) p99", "Random split (servers 20) p99"]


def test_choices_and_scalars_can_be_swept() -> None:
    assert trace(figures.sweep(sm.Raft(), "leader_write"), "p99").mode == "markers"
    assert len(trace(figures.sweep(CentralQueue(), "servers", answer="utilization"), "utilization").x) > 10


def test_what_cannot_be_swept_is_told() -> None:
    with pytest.raises(ValueError, match="must be given one model at least"):
        figures.sweep([], "arrival_rate")
    with pytest.raises(ValueError, match="has no input 'speed'"):
        figures.sweep(CentralQueue(), "speed")


def test_verification_tells_what_disagrees() -> None:
    table = sm.verify(CentralQueue(), requests=20_000)
    good = figures.verification(table)
    table.loc[3, "verdict"] = "disagrees"
    bad = figures.verification(table)
    assert shape(good) == shape(bad)
    assert f"1 of {len(table)} quantities disagree" in bad.layout.title.text
    row = table.iloc[0]
    assert trace(good, "simulated, agrees").x[0] == pytest.approx(100 * (row.simulated / row.closed_form - 1))
    assert "utilization = 80%" in trace(good, "simulated, agrees").y
    table.loc[4, "verdict"] = "unseen"
    seldom = figures.verification(table)
    assert shape(good) == shape(seldom)
    assert len(trace(seldom, "simulated, too seldom to tell").y) == 1
    assert len(trace(seldom, "simulated, agrees").y) == len(table) - 2
    assert f"1 of {len(table)} quantities disagree, 1 seen too seldom" in seldom.layout.title.text
    table.loc[3, "verdict"] = "agrees"
    assert f"{len(table) - 1} of {len(table)} quantities agree, 1 seen" in figures.verification(table).layout.title.text


def test_rows_seldom_seen_do_not_squeeze_the_others() -> None:
    table = sm.verify(CentralQueue(), requests=20_000)
    usual = figures.verification(table).layout.xaxis.range
    table.loc[0, ["closed_form", "simulated", "low", "high", "verdict"]] = [1e-12, 0.0, -1e-6, 1e-6, "unseen"]
    assert figures.verification(table).layout.xaxis.range[1] <= usual[1]


class Breaking(CentralQueue):
    """A queue with a timeline of its own."""

    def timeline(self, seed: int = 0) -> Timeline:
        times = np.linspace(0, 10, 5)
        return Timeline(
            "it breaks", times, {"backlog": times**2, "wait": times}, "requests", ((2.0, "stall"), (8.0, "end"))
        )


def test_a_timeline_draws_lines_and_marks() -> None:
    figure = figures.timeline(Breaking())
    assert [each.name for each in figure.data] == ["backlog", "wait", "marks", "events"]
    assert [text.strip() for text in trace(figure, "events").text] == ["stall", "end"]
    assert trace(figure, "events").textposition == ("middle right", "middle left")
    assert figure.layout.xaxis.title.text == "time (s)"
    assert figure.layout.yaxis.title.text == "requests"


def test_what_a_formula_misses_is_drawn_as_disagreeing() -> None:
    table = sm.verify(CentralQueue(800, 10), requests=200_000, violating="arrivals in bursts")
    missed = int((table.verdict == "missed").sum())
    figure = figures.verification(table)
    assert missed > 5
    assert len(trace(figure, "simulated, disagrees").x) == missed
    assert f"with arrivals in bursts: {missed} of {len(table)} quantities disagree" in figure.layout.title.text


def test_a_sweep_goes_on_to_a_model_beyond_its_slider() -> None:
    """Where none of a slider's values is legal, or the model lies beyond them, the curve goes to twice its value."""
    for model, path in (
        (sm.shards.Durability(nodes=1000, scatter_width=500), "nodes"),
        (sm.shards.ScatterGather(shards=500, needed=500), "shards"),
    ):
        drawn = figures.sweep(model, path).data[0].x
        assert min(drawn) <= model.values()[path] <= max(drawn)
