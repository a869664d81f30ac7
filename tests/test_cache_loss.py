"""A cache that loses its content: the fluid by integration, the chance part by the exact chain, the twin.

False-alarm rate of each simulated comparison 1e-6 (`verify`); a thousand losses see an error of a few per cent.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import answer
from scaling_models.pools import CacheLoss, CentralQueue
from scaling_models.pools.formulas.cache_loss import (
    Refill,
    added_by_chance,
    beyond_the_top,
    drained,
    filling,
    fluid_backlog,
    least_hit_ratio,
    overload_time,
    start_up,
)

REFILLS = [
    Refill(100.0, 1000.0, 5, 100.0, 60.0),
    Refill(3.0, 30.0, 10, 1.0, 7.0),
    Refill(3.0, 30.0, 10, 1.0, 1.0),  # the slots fill as slowly as the cache
    Refill(5.0, 10.0, 6, 1.0, 100.0),
]


@pytest.mark.parametrize("refill", REFILLS)
def test_the_fluid_is_the_integral_of_its_equation(refill):
    """n' = misses(t) - speed min(n, slots), by small steps."""
    end = 1.2 * float(drained(refill))
    times = np.linspace(0.0, end, 100_001)
    n, waiting = refill.before / refill.speed, []
    for rate in refill.at(times):
        waiting.append(max(n - refill.slots, 0.0))
        n += end / 100_000 * (rate - refill.speed * min(n, refill.slots))
    expected = np.array(waiting)
    assert np.abs(fluid_backlog(refill, times) - expected).max() < 3e-3 * expected.max()
    assert times[expected.argmax()] == pytest.approx(overload_time(refill), rel=1e-2)
    assert times[np.flatnonzero(expected > 0)[-1]] == pytest.approx(drained(refill), rel=2e-3)
    assert filling(refill, start_up(refill)) == pytest.approx(refill.slots, rel=1e-9)


def test_everything_broadcasts_and_knows_its_edges():
    first = np.array([20.0, 60.0, 100.0, 1000.0])
    many = Refill(np.full(4, 10.0), first, 60, 1.0, 5.0)
    for formula in (overload_time, start_up, drained):
        each = [formula(Refill(10.0, value, 60, 1.0, 5.0)) for value in first]
        np.testing.assert_allclose(formula(many), each, rtol=1e-12)
    assert overload_time(many)[:2].tolist() == [0.0, 0.0]
    assert np.isinf(start_up(many)[:2]).all()
    assert drained(many)[0] == 0.0
    full = Refill(60.0, 100.0, 60, 1.0, 5.0)
    assert overload_time(full) == drained(full) == math.inf
    assert least_hit_ratio([1000.0, 10.0], 50.0).tolist() == pytest.approx([0.95, 0.0])


@settings(max_examples=100, deadline=None)
@given(st.floats(0.0, 0.9), st.floats(1.05, 20.0), st.integers(1, 50), st.floats(2.0, 1e4), st.floats(0.0, 100.0))
def test_what_came_is_begun_when_the_queue_is_gone(before, first, slots, time, extra):
    refill = Refill(before * slots, first * slots, slots, 1.0, time)
    if not math.isfinite(start_up(refill)):
        return
    begin, ends = start_up(refill), drained(refill, extra)
    came = refill.arrived(ends) - refill.arrived(begin) + extra
    assert came == pytest.approx(slots * (ends - begin), rel=1e-6, abs=1e-6)
    assert begin <= overload_time(refill) <= ends


@pytest.mark.parametrize("refill", [Refill(2.0, 20.0, 10, 1.0, 20.0), Refill(5.0, 15.0, 8, 1.0, 60.0)])
def test_the_mean_backlog_is_that_of_the_exact_chain(refill):
    most = int(fluid_backlog(refill, overload_time(refill)) * 2 + 200)
    n = np.arange(most + 1)
    down = np.minimum(n, refill.slots).astype(float)

    def slope(t, p):
        up = np.where(n < most, refill.at(t), 0.0)
        change = -(up + down) * p
        change[1:] += (up * p)[:-1]
        change[:-1] += (down * p)[1:]
        return change

    weights = np.cumprod(np.append(1.0, refill.before / down[1:]))
    options = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-12, "lband": 1, "uband": 1}
    law = integrate.solve_ivp(slope, (0.0, overload_time(refill)), weights / weights.sum(), **options).y[:, -1]
    exact = law @ np.maximum(n - refill.slots, 0)
    fluid = fluid_backlog(refill, overload_time(refill))
    assert fluid + added_by_chance(refill) == pytest.approx(exact, rel=0.01)
    assert abs(fluid + added_by_chance(refill) - exact) < 0.5 * abs(fluid - exact)


def test_the_top_is_exceeded_as_brownian_motion_exceeds_a_parabola():
    """E max(W(t) - t^2 / 2) = 0.996 by drawing it, to 3% (standard error 0.5%; for W(t) - t^2 it is 0.791)."""
    rng, step = np.random.default_rng(1), 2e-3
    times = step * np.arange(1, 2501)
    tops = []
    for _ in range(20):
        walks = np.cumsum(rng.standard_normal((2, 500, 2500)), axis=2) * math.sqrt(step) - times**2 / 2
        tops.append(np.maximum(walks.max(axis=(0, 2)), 0.0))
    drawn = np.mean(tops) + 0.5826 * math.sqrt(step)  # what a maximum at discrete times falls short by
    refill = Refill(0.0, 10.0, 1, 1.0, 1.0)  # capacity 1, slope 1
    assert beyond_the_top(refill, 1.0) == pytest.approx(drawn, rel=0.03)


def test_the_story():
    loss = CacheLoss()
    assert loss.load_factor == pytest.approx(10.0)
    assert (loss.utilization, loss.utilization_after) == pytest.approx((0.2, 2.0))
    assert loss.least_hit_ratio == pytest.approx(0.95)
    assert loss.overload_time == pytest.approx(60 * math.log(900 / 400))
    assert loss.backlog == pytest.approx(10_500, rel=0.01)
    assert loss.worst_wait.mean() == pytest.approx(21.2, rel=0.01)
    assert loss.latency.mean() == pytest.approx(0.99 * 0.002 + 0.01 * loss.miss_latency.mean())
    assert loss.miss_latency.mean() == CentralQueue(100.0, 5).latency.mean()
    worst = loss.latency_at_worst
    assert worst.ccdf(1.0) == pytest.approx(0.05, rel=1e-6)  # the misses that the pool carries
    assert worst.icdf(0.99) == pytest.approx(21.5, rel=0.02)
    assert loss.drain_time > loss.overload_time
    doubled = loss.replace(refill=120.0)
    assert doubled.worst_wait.mean() == pytest.approx(2 * loss.worst_wait.mean(), rel=0.01)


TWINS = [
    CacheLoss(1000.0, 0.9, 0.5, 20.0, 4, sm.Exponential(0.01)),
    CacheLoss(1000.0, 0.9, 0.2, 20.0, 16, sm.Exponential(0.025)),
    CacheLoss(100.0, 0.5, 0.0, 40.0, 3, sm.Exponential(0.1), workers=2),
    CacheLoss(1000.0, 0.9, 0.2, 20.0, 4, sm.LogNormal(0.01, 4.0)),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", TWINS, ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 500 * model.requests_in_loss, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["backlog", "smallest_error"] < 0.25
    assert table.loc["worst_wait mean", "verdict"] == "agrees"


class Wrong(CacheLoss):
    """A backlog without what is served meanwhile, and one that is a tenth too large."""

    @answer("requests", "a backlog that is wrong", CacheLoss.answers()["backlog"].accuracy)
    def backlog(self) -> float:
        """Off by a tenth."""
        return 1.1 * CacheLoss.backlog.compute(self)


@pytest.mark.slow
def test_a_backlog_a_tenth_wrong_fails():
    table = sm.verify(Wrong(), seed=1).set_index("quantity")
    assert table.loc["backlog", "verdict"] == "disagrees"
    assert table.loc["worst_wait mean", "verdict"] == "disagrees"
    assert table.loc["drain_time", "verdict"] == "agrees"


def test_edges():
    carried = CacheLoss(servers=10)
    assert carried.overload_time == 0.0
    for name in ("backlog", "worst_wait", "drain_time", "latency_at_worst"):
        with pytest.raises(sm.NoClosedForm, match="the pool carries the misses"):
            getattr(carried, name)
        assert carried.accuracy(name).label == "simulated"
    assert carried.simulate(64, seed=1).worst_wait.mean() < 1.0
    full = CacheLoss(servers=1)
    assert full.backlog == full.drain_time == full.overload_time == math.inf
    assert full.worst_wait == full.miss_latency == sm.Never()
    assert full.latency.lost == pytest.approx(0.01)
    with pytest.raises(sm.NotSettled, match="no end"):
        full.simulate(10)
    with pytest.raises(sm.NoClosedForm, match="small beside"):
        CacheLoss(servers=9, refill=2.0).worst_wait  # noqa: B018
    with pytest.raises(ValueError, match="first_hit_ratio must lie in"):
        CacheLoss(first_hit_ratio=0.995)
    with pytest.raises(ValueError, match=r"CacheLoss.service must have a mean in \[1e-09, 1e\+09\] s"):
        CacheLoss(service=0.0)
    for model in (CacheLoss(), carried, full):
        figure = figures.course(model)
        assert len(figure.data) == 5
        assert model.timeline().says
    assert "10,535 requests wait as the pool carries the misses again, gone 66.6 s later" in (
        figures.course(CacheLoss()).layout.title.text.replace("<br>", " ")
    )


def test_services_without_an_end_overload():
    model = CacheLoss(service=sm.Never())
    assert model.utilization == model.utilization_after == math.inf
