"""Sizing: every number is the least one by another route, limits hold, and what no number can do is said."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasting import pasted
from scipy import stats

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.explorer import explore
from scaling_models.latency import Distribution, MeanOnly, Never
from scaling_models.montecarlo.kernels.stalls import stalled_waits
from scaling_models.pools import CentralQueue, RandomSplit
from scaling_models.pools.bases.pool import Pool
from scaling_models.pools.formulas.sizing import (
    central_load,
    central_servers,
    least_whole,
    left_of_zones,
    spares_for,
    split_load,
    split_servers,
    zoned,
)
from scaling_models.sizing import PoolPlan, most_load, servers_for, sizing_table

POOL = CentralQueue(1000.0, 1)


# The formulas, each by another route.


def late_by_states(servers: int, rate: float, mean: float, time: float) -> float:
    """P(T > t) of M/M/c, state by state: with n >= c before it a request waits for n - c + 1 departures."""
    a = rate * mean
    tail = 1.0
    for k in range(1, servers + 1):  # the states up to c, in units of that of c
        tail = 1.0 + tail * k / a
    below = tail - 1.0
    busy = 1.0 / (1.0 - a / servers)
    wait = busy / (below + busy)
    drain = servers / mean - rate
    # S + W > t: by parts over the exponential service.
    if abs(drain * mean - 1.0) < 1e-9:
        return math.exp(-time / mean) * (1.0 + wait * time / mean)
    both = (math.exp(-drain * time) - math.exp(-time / mean)) / (1.0 - drain * mean)
    return math.exp(-time / mean) + wait * both


LOADS = st.floats(0.05, 300.0)
TARGETS = st.floats(1.001, 30.0)  # in multiples of the service's own quantile
LEVELS = st.sampled_from([0.5, 0.9, 0.99, 0.999])


@given(LOADS, TARGETS, LEVELS, st.floats(1e-3, 10.0))
@settings(max_examples=150, deadline=None)
def test_central_servers_are_the_first_that_a_loop_finds(load: float, times: float, level: float, mean: float) -> None:
    time = times * -mean * math.log1p(-level)
    found = math.floor(load) + 1
    while late_by_states(found, load / mean, mean, time) > 1.0 - level:
        found += 1
    assert central_servers(load / mean, mean, time, level) == found


@given(LOADS, TARGETS, LEVELS, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_servers_of_several_workers_are_enough_and_one_fewer_is_not(
    load: float, times: float, level: float, workers: int
) -> None:
    time = times * -math.log1p(-level)
    for kind, find in ((CentralQueue, central_servers), (RandomSplit, split_servers)):
        found = int(find(load, 1.0, time, level, workers))
        assert kind(load, found, sm.Exponential(1.0), workers).latency.ccdf(time) <= (1.0 - level) * (1 + 1e-8)
        if found > 1:
            fewer = kind(load, found - 1, sm.Exponential(1.0), workers).latency
            assert fewer.ccdf(time) > (1.0 - level) * (1 - 1e-8)


def test_a_random_split_of_single_workers_has_a_formula_of_one_line() -> None:
    """e^{-(mu - lambda / N) t} <= 1 - p: N >= lambda / (mu - ln(1 / (1 - p)) / t)."""
    rates = np.linspace(10.0, 5000.0, 200)
    expected = np.ceil(rates / (100.0 - math.log(100.0) / 0.050))
    np.testing.assert_array_equal(split_servers(rates, 0.010, 0.050), expected)
    np.testing.assert_allclose(split_load(7, 0.010, 0.050), 7 * (100.0 - math.log(100.0) / 0.050), rtol=1e-11)


def test_the_most_load_is_where_one_more_server_begins() -> None:
    servers, workers = np.arange(1, 200), np.array([[1], [5]])
    load = central_load(servers, 0.010, 0.080, 0.999, workers)
    np.testing.assert_array_equal(
        central_servers(load * (1 - 1e-7), 0.010, 0.080, 0.999, workers), servers + 0 * workers
    )
    np.testing.assert_array_equal(
        central_servers(load * (1 + 1e-7), 0.010, 0.080, 0.999, workers), servers + 1 + 0 * workers
    )
    late = [late_by_states(int(c), float(rate), 0.010, 0.080) for c, rate in zip(servers, load[0], strict=True)]
    np.testing.assert_allclose(late, 0.001, rtol=1e-8)


def test_the_service_alone_sets_what_is_possible() -> None:
    quantile = 0.010 * math.log(100.0)
    assert central_servers(1000.0, 0.010, [quantile * (1 - 1e-9), 0.045]).tolist() == [math.inf, math.inf]
    assert split_servers(1000.0, 0.010, 0.045) == math.inf
    assert central_load([1, 100], 0.010, 0.045).tolist() == [0.0, 0.0]
    close = central_servers(1000.0, 0.010, quantile * (1 + 1e-9))
    assert 12 < close < 100
    assert split_servers(1000.0, 0.010, quantile * (1 + 1e-4)) == math.ceil(1000.0 / (100.0 - 100.0 / (1 + 1e-4)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((-1.0, 0.01, 0.05), "{first} must lie in (0, inf){unit}; got -1.0"),
        ((1.0, 0.0, 0.05), "service_mean must lie in (0, inf) s; got 0.0"),
        ((1.0, 0.01, math.nan), "latency must lie in (0, inf) s; got nan"),
        ((1.0, 0.01, [0.05, -2.0]), "latency must lie in (0, inf) s; got -2.0"),
        ((1.0, 0.01, 0.05, 1.0), "level must lie in (0, 1); got 1.0"),
        ((1.0, 0.01, 0.05, 0.9, 0), "workers must lie in (0, inf); got 0.0"),
    ],
)
@pytest.mark.parametrize("function", [central_servers, split_servers, central_load, split_load])
def test_illegal_arguments_are_told(function: Callable[..., object], arguments: tuple[float, ...], said: str) -> None:
    first = ("arrival_rate", " requests/s") if "servers" in function.__name__ else ("servers", "")
    told = said.format(first=first[0], unit=first[1])
    with pytest.raises(ValueError, match=f"^{function.__name__}: {re.escape(told)}$"):
        function(*arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1.5, 0.9, 0.1), "servers must be whole numbers in [1, inf); got 1.5"),
        ((10, 0.0, 0.1), "availability must lie in (0, 1]; got 0.0"),
        ((10, 0.9, [0.1, math.nan]), "target must lie in (0, 1]; got nan"),
    ],
)
def test_illegal_spares_are_told(arguments: tuple[float, ...], said: str) -> None:
    with pytest.raises(ValueError, match=f"^spares_for: {re.escape(said)}$"):
        spares_for(*arguments)


def test_zones_leave_what_is_needed_and_one_server_fewer_would_not() -> None:
    needed, zones = np.arange(1, 80)[:, None], np.arange(2, 9)
    servers = zoned(needed, zones)
    assert (servers - np.ceil(servers / zones) >= needed).all()
    assert (servers - 1 - np.ceil((servers - 1) / zones) < needed).all()
    np.testing.assert_array_equal(left_of_zones(servers, zones), servers - np.ceil(servers / zones))
    np.testing.assert_array_equal(servers, np.ceil(needed * zones / (zones - 1.0) - 1e-9))
    assert zoned(12, 1) == 12
    assert zoned([math.inf, 3], 3).tolist() == [math.inf, 5]
    assert left_of_zones(12, 1) == 12


@pytest.mark.parametrize("availability", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("target", [0.1, 1e-4, 1e-9])
def test_spares_are_the_first_that_a_loop_finds(availability: float, target: float) -> None:
    needed = np.array([1, 3, 20])
    for n, found in zip(needed, spares_for(needed, availability, target), strict=True):
        spares = 0
        while stats.binom.cdf(n - 1, n + spares, availability) > target:
            spares += 1
        assert found == spares


def test_spares_at_the_ends() -> None:
    assert spares_for(10, 1.0, 1e-12) == 0
    assert spares_for(10, 0.3, 1.0) == 0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(0, 1000))
def test_the_least_whole_number(above: list[int], more: int) -> None:
    low = np.array(above)
    assert (least_whole(lambda n: n >= low + 1 + more, low) == low + 1 + more).all()
    assert np.isinf(least_whole(lambda n: n < 0, low, most=2e6)).all()


# The search over models.


def test_the_figures_of_the_story() -> None:
    found = [servers_for(CentralQueue(rate), p99=0.050) for rate in (100.0, 1000.0, 10_000.0)]
    assert [each.servers for each in found] == [3, 12, 103]
    assert [round(100 * each.model.utilization) for each in found] == [33, 83, 97]
    assert servers_for(POOL, p99=0.050, zones=3).servers == 18
    none = servers_for(POOL, p99=0.045)
    assert none.servers == math.inf
    assert none.achieved == pytest.approx(0.010 * math.log(100.0))
    assert "46.1 ms already" in str(none)
    with pytest.raises(ValueError, match="No number of servers"):
        int(none)


def test_a_sizing_tells_what_it_achieves_and_what_one_fewer_would() -> None:
    found = sm.servers_for(POOL, p99=0.050)
    assert int(found) == found.needed == 12
    assert found.model == CentralQueue(1000.0, 12)
    assert found.achieved == found.model.latency.icdf(0.99)
    assert found.one_fewer == CentralQueue(1000.0, 11).latency.icdf(0.99)
    assert found.achieved <= 0.050 < found.one_fewer
    assert found.accuracy == EXACT
    assert found.says == "12 servers: p99 of the latency is 49.7 ms, at most 50 ms is wanted; with 11 it is 62.7 ms"


def test_the_simulation_agrees_that_eleven_are_too_few() -> None:
    """62.7 ms against 50: the interval of 300,000 requests is some 1%, so chance has no say (beyond 20 sigma)."""
    assert CentralQueue(1000.0, 11).simulate(300_000, seed=1).latency.interval(0.99)[0] > 0.050
    assert CentralQueue(1000.0, 14).simulate(300_000, seed=1).latency.interval(0.99)[1] < 0.050


SCALARS: list[dict[str, Any]] = [
    {"mean": 0.012},
    {"p50": 0.008},
    {"p99_9": 0.080},
    {"latency": 0.080, "level": 0.999},
    {"wait": 0.005, "level": 0.95},
    {"utilization": 0.7},
    {"probability_of_wait": 0.05},
    {"in_flight": 10.5},
]


def answered(model: Pool, wanted: dict[str, Any]) -> float:
    name, level = next(iter(wanted)), wanted.get("level")
    if level is not None:
        return float(getattr(model, name).icdf(level))
    levels = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999}
    if name in levels:
        return float(model.latency.icdf(levels[name]))
    return float(model.latency.mean() if name == "mean" else getattr(model, name))


@pytest.mark.parametrize("wanted", SCALARS, ids=lambda wanted: next(iter(wanted)))
@pytest.mark.parametrize("kind", [CentralQueue, RandomSplit])
@pytest.mark.parametrize("now", [1, 300])
def test_any_answer_by_a_plain_loop(kind: type[Pool], wanted: dict[str, Any], now: int) -> None:
    bound, servers = next(iter(wanted.values())), 1
    while answered(kind(1000.0, servers, workers=3), wanted) > bound:
        servers += 1
    assert servers_for(kind(1000.0, now, workers=3), **wanted).servers == servers


@pytest.mark.parametrize("wanted", SCALARS, ids=lambda wanted: next(iter(wanted)))
@pytest.mark.parametrize("kind", [CentralQueue, RandomSplit])
def test_the_most_load_just_meets_the_target(kind: type[Pool], wanted: dict[str, Any]) -> None:
    bound = next(iter(wanted.values()))
    found = sm.most_load(kind(77.0, 12, workers=2), **wanted)
    at_most = kind(found.arrival_rate, 12, workers=2)
    assert answered(at_most, wanted) == pytest.approx(bound, rel=1e-7)
    assert found.achieved == pytest.approx(bound, rel=1e-7)
    assert answered(at_most.replace(arrival_rate=1.001 * found.arrival_rate), wanted) > bound


def test_both_ways_round() -> None:
    load = float(most_load(CentralQueue(1.0, 12), p99=0.050))
    assert load == pytest.approx(float(central_load(12, 0.010, 0.050)), rel=1e-9)
    assert servers_for(CentralQueue(load), p99=0.050).servers == 12
    assert servers_for(CentralQueue(load * 1.0001), p99=0.050).servers == 13
    assert most_load(POOL, p99=0.045).arrival_rate == 0.0


def test_reserves_add_up() -> None:
    bare = servers_for(CentralQueue(2500.0), p99_9=0.100)
    found = servers_for(POOL, p99_9=0.100, zones=3, failures=2, peak=2.5)
    assert found.needed == bare.servers
    left = found.servers - math.ceil(found.servers / 3) - 2
    assert left == found.needed
    assert "left after the loss of one of 3 zones and 2 servers" in found.says
    assert "at the peak of 2,500 requests/s" in found.says
    back = most_load(CentralQueue(1.0, int(found.servers)), p99_9=0.100, zones=3, failures=2, peak=2.5)
    assert back.arrival_rate >= 1000.0
    assert back.arrival_rate == pytest.approx(central_load(left, 0.010, 0.100, 0.999) / 2.5, rel=1e-9)


def test_of_several_targets_the_binding_one_is_told() -> None:
    found = servers_for(POOL, p99=0.050, utilization=0.5)
    assert (found.servers, found.achieved) == (20, 0.5)
    assert "utilization is 50%" in found.says
    assert servers_for(POOL, p99=0.050, utilization=0.99).servers == 12


def test_a_target_met_exactly_is_met() -> None:
    assert servers_for(CentralQueue(700.0), utilization=0.7).servers == 10
    exactly = CentralQueue(900.0, 10).latency.icdf(0.95)
    assert servers_for(CentralQueue(900.0), latency=exactly, level=0.95).servers == 10


class Partly(Pool):
    """A pool whose closed form holds from ten servers on only, and there of the mean alone or of all."""

    spread = True

    @answer("s", "time from arrival to reply")
    def latency(self) -> Distribution:
        """That of one queue."""
        if self._overloaded:
            return Never()
        if self.servers < 10:
            raise self._simulate_it()
        found = CentralQueue(self.arrival_rate, self.servers, self.service, self.workers).latency
        return found if self.spread else MeanOnly(found.mean())

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As labelled: the extreme tail is simulated."""
        return Accuracy("simulated", None) if level is not None and level > 0.999 else EXACT


class OnlyMeans(Partly):
    """Without percentiles."""

    spread = False


def test_what_has_no_closed_form_is_not_simulated_but_said() -> None:
    assert servers_for(Partly(1000.0), p99=0.050).servers == 12  # the plain search, without a vector path
    unknown = servers_for(Partly(500.0), p99=0.500)
    assert unknown.servers == 10
    assert math.isnan(unknown.one_fewer)
    assert unknown.says.endswith("with 9 it is not known: fewer may do, simulate it")
    with pytest.raises(NoClosedForm, match=r"servers_for p99.99 of the latency: Partly has no closed form that holds"):
        servers_for(Partly(1000.0), p99_99=0.200)
    assert servers_for(OnlyMeans(1000.0), mean=0.012).servers == servers_for(POOL, mean=0.012).servers
    with pytest.raises(NoClosedForm, match="only the mean is known"):
        servers_for(OnlyMeans(1000.0), p99=0.050)
    with pytest.raises(NoClosedForm, match="most_load p99 of the latency: only the mean"):
        most_load(OnlyMeans(1000.0, 12), p99=0.050)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: servers_for(POOL), "a target is wanted"),
        (lambda: servers_for(POOL, p999=0.1), r"'p999' is no target: write p99=0.1 \(p99_9 for 99.9%\)"),
        (lambda: servers_for(POOL, p0=0.1), "'p0' is no target"),
        (lambda: servers_for(POOL, speed=1.0), "'speed' is no target: .* one of utilization"),
        (lambda: servers_for(POOL, latency=0.1), "latency is a distribution: say at which level"),
        (lambda: servers_for(POOL, latency=0.1, level=1.5), r"level must lie in \(0, 1\); got 1.5"),
        (lambda: servers_for(POOL, p99=0.1, level=0.9), "level goes with the name of a distribution"),
        (lambda: servers_for(POOL, p99=-0.1), r"the target p99 must lie in \(0, inf\) s; got -0.1"),
        (lambda: servers_for(POOL, p99=math.nan), "the target p99 must lie"),
        (lambda: servers_for(POOL, p99=0.1, zones=0), "zones must be a whole number from 1; got 0"),
        (lambda: servers_for(POOL, p99=0.1, failures=-1), "failures must be a whole number from 0"),
        (lambda: servers_for(POOL, p99=0.1, peak=0.5), "peak .* must lie in"),
        (lambda: servers_for(sm.Raft(), p99=0.1), "sizing needs servers; Raft has follower_rtts"),
        (lambda: servers_for(CentralQueue, p99=0.1), "sizing must be given a model"),
        (lambda: most_load(CentralQueue(1.0, 2), p99=0.1, failures=2), "of 2 servers none is left"),
        (lambda: sizing_table(POOL, [100.0], p99=0.1, price=0.0), r"price .* must lie in \(0, inf\); got 0.0"),
        (lambda: sizing_table(POOL, [100.0, -1.0], p99=0.1), "arrival_rates must lie .* got -1.0"),
    ],
)
def test_bad_questions_are_told(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


# The table.


@pytest.mark.parametrize("kind", [CentralQueue, RandomSplit, Partly])
def test_the_table_has_the_numbers_of_the_search(kind: type[Pool]) -> None:
    rates = [3000.0, 1200.0, 100_000.0]
    table = sizing_table(kind(), rates, p99=0.050, zones=3, peak=1.5, price=2.0)
    assert list(table.columns) == [
        "arrival_rate", "servers", "needed", "utilization", "cost_per_hour", "cost_per_million",
    ]  # fmt: skip
    for row in table.itertuples():
        found = servers_for(kind(row.arrival_rate), p99=0.050, zones=3, peak=1.5)
        assert (row.servers, row.needed) == (found.servers, found.needed)
        assert row.utilization == pytest.approx(row.arrival_rate * 0.010 / row.servers)
        assert row.cost_per_hour == 2.0 * row.servers
        assert row.cost_per_million == pytest.approx(2.0 * row.servers / 3600.0 / row.arrival_rate * 1e6)


def test_rows_of_the_table_without_an_answer() -> None:
    impossible = sizing_table(POOL, [1000.0], p99=0.045)
    assert impossible.servers[0] == math.inf
    assert math.isnan(impossible.utilization[0])
    unknown = sizing_table(OnlyMeans(), [1000.0], p99=0.050)
    assert math.isnan(unknown.servers[0])


# The plan, its figure and its panel.


def test_the_plan_answers_as_the_search_does() -> None:
    plan = PoolPlan(peak=1.4, failures=1)
    found = servers_for(POOL, p99=0.050, zones=3, peak=1.4, failures=1)
    assert (plan.servers, plan.needed) == (found.servers, found.needed)
    assert plan.latency.icdf(0.99) == found.achieved
    assert plan.utilization == pytest.approx(10.0 / found.servers)
    assert plan.busiest == pytest.approx(14.0 / found.needed)
    assert plan.accuracy("servers") == EXACT
    assert eval(repr(plan), {**pasted(), "PoolPlan": sm.PoolPlan}) == plan
    assert PoolPlan(target=0.045).servers == math.inf
    assert PoolPlan(target=0.045).latency == sm.Exponential(0.010)


def test_the_figure_has_the_same_traces_in_every_state() -> None:
    plans = [PoolPlan(), PoolPlan(target=0.045), PoolPlan(zones=1), PoolPlan(arrival_rate=1e6)]
    drawn = [figures.sizing(plan) for plan in plans]
    shapes = [[(each.name, each.mode, each.xaxis) for each in figure.data] for figure in drawn]
    assert all(shape == shapes[0] for shape in shapes)
    assert drawn[0].to_json() == figures.sizing(PoolPlan()).to_json()
    title = drawn[0].layout.title.text.replace("<br>", " ")
    assert title == "Pool plan: 18 servers, of which 12 are left after the loss of one of 3 zones, hold p99 at 49.7 ms"
    assert "No number of servers brings p99" in drawn[1].layout.title.text
    assert [list(each.y) for each in drawn[1].data[4:]] == [[]] * 4
    marked = [(each.y[0], each.text[0]) for each in drawn[0].data[4:]]
    assert [text for _, text in marked] == ["12 servers", "83.3%", "18 servers", "55.6%"]


def test_without_a_closed_form_the_figure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = [each.name for each in figures.sizing(PoolPlan()).data]

    def refuse(*_: Any) -> Any:
        raise NoClosedForm("there is none: simulate it")

    monkeypatch.setattr(CentralQueue, "latency", property(refuse))
    monkeypatch.setattr(CentralQueue, "servers_holding", refuse)
    figure = figures.sizing(PoolPlan(target=0.051))
    assert [each.name for each in figure.data] == shape
    assert figure.layout.title.text == "Pool plan: no closed form for these parameters"
    assert "there is none: simulate it" in explore(PoolPlan(target=0.051), figures.sizing).message.value


def test_the_curves_are_those_of_the_search() -> None:
    without, with_zone, busy, _ = figures.sizing(PoolPlan(peak=1.2)).data[:4]
    for at in range(0, len(without.x), 9):
        pool = CentralQueue(without.x[at])
        assert without.y[at] == servers_for(pool, p99=0.050, peak=1.2).servers
        assert with_zone.y[at] == servers_for(pool, p99=0.050, peak=1.2, zones=3).servers
        assert busy.y[at] == pytest.approx(without.x[at] / without.y[at])
    assert len(without.x) < 200


def test_the_panel_of_a_plan() -> None:
    panel = explore(PoolPlan, figures.sizing)
    assert {"arrival_rate", "service.mean", "target", "zones", "peak"} <= set(panel.controls)
    for path, control in panel.controls.items():
        if isinstance(control, widgets.FloatSlider | widgets.IntSlider):
            steps = (control.value - control.min) / control.step
            assert abs(steps - round(steps)) < 1e-6, path
    panel.controls["zones"].value = 2
    assert panel.model.servers == 24
    assert "24 servers" in panel.figure.layout.title.text
    panel.controls["target"].value = 45
    assert "No number of servers" in panel.figure.layout.title.text
    panel.controls["target"].value = 50
    panel.controls["peak"].value = 2.0
    assert panel.model.needed == servers_for(CentralQueue(2000.0), p99=0.050).servers
    assert "zones to 3: servers" in panel.assumptions.value
    panel.controls["service"].value = sm.LogNormal
    panel.controls["service.scv"].value = 4.0  # its own p99 is 86 ms: so it is without any closed form of the queue
    assert "No number of servers" in panel.figure.layout.title.text
    panel.controls["service"].value = sm.Exponential
    panel.break_it.value = True
    assert "one of 2 zones is lost" in panel.timeline.layout.title.text
    panel.controls["zones"].value = 1
    assert "no zone can be lost" in panel.message.value


def test_a_lost_zone_drowns_the_pool_that_did_not_plan_for_it() -> None:
    told = PoolPlan().timeline()
    planned, unplanned = told.lines["planned for"], told.lines["not planned for"]
    # 250 requests/s too many for 15 s leave 3,750; of the others 12 servers hold some 12. Six standard deviations.
    assert 2900 < unplanned[-1] < 4600
    assert planned.max() < 100


def test_lost_slots_as_a_heap_sees_them() -> None:
    rng = np.random.default_rng(1)
    arrivals, services = np.cumsum(rng.exponential(0.1, 400)), rng.exponential(0.5, 400)
    at, slots, gone = 12.0, 8, 3
    free, expected, lost = [0.0] * slots, [], False
    for arrival, service in zip(arrivals, services, strict=True):
        if arrival >= at and not lost:
            lost = True
            for _ in range(gone):
                heapq.heappop(free)
        start = max(arrival, heapq.heappop(free))
        expected.append(start - arrival)
        heapq.heappush(free, start + service)
    found = stalled_waits(arrivals, services, slots, at, 1e6, gone)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_fast_first_server_does_not_make_a_target_impossible():
    """One that is twice as fast holds what the service alone would miss."""
    pool = sm.RandomSplit(10.0, 1, sm.Exponential(0.01), first_speed=2.0)
    assert pool.unloaded_latency.mean() == pytest.approx(0.005)
    assert sm.RandomSplit(first_answers="errors in 1 ms").unloaded_latency.icdf(0.99) == pytest.approx(0.001)
    assert pool.latency.icdf(0.99) < 0.03
    assert sm.servers_for(pool, p99=0.03).servers == 1


def test_a_table_of_rates_far_apart_finds_what_each_alone_finds():
    pool = sm.RandomSplit(service=sm.Deterministic(0.01))
    table = sizing_table(pool, [1.0, 1e6], p99=0.1)
    alone = [int(sm.servers_for(pool.replace(arrival_rate=rate), p99=0.1)) for rate in (1.0, 1e6)]
    assert table.needed.tolist() == alone


def test_what_must_be_up_is_told_where_more_than_may_be_would_have_to_be_provided():
    pool = CentralQueue(1e6, 10, sm.Exponential(0.7))
    found = servers_for(pool, p99=5.0, zones=2)
    assert found.servers == math.inf
    assert found.needed == servers_for(pool, p99=5.0).servers
    assert "1,400,002 have to be provided" in found.says


def test_a_plan_that_cannot_be_has_no_utilization():
    plan = PoolPlan(target=0.001)
    assert plan.servers == math.inf
    assert math.isnan(plan.utilization)
    assert math.isnan(plan.busiest)


def test_a_plan_is_simulated_as_its_pool() -> None:
    """False alarm 1e-6; and where no number will do, the sentence that says so."""
    table = sm.verify(sm.PoolPlan(), 100_000, 2, false_alarm=1e-6)
    assert set(table.verdict) == {"agrees"}, table.to_string()
    assert "busiest" in set(table.quantity)
    with pytest.raises(ValueError, match="No number of servers brings"):
        sm.PoolPlan(target=0.001).simulate()
