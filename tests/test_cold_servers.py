"""New servers that come cold: the fluid by small steps, the kernel by a plain loop, the twin.

False-alarm rate of each simulated comparison 1e-6 (`verify`); 400 surges see an error of about 7%.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.warming import follow_warming
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools import ColdServers, LoadStep
from scaling_models.pools.formulas.warm_up import WarmUp, turning

ONE = sm.Exponential(1.0)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.just(0.0), st.floats(1e-6, 1.0)),
    st.one_of(st.just(0.0), st.floats(1e-3, 50.0)),
    st.floats(0.01, 100.0),
    st.one_of(st.just(0.0), st.floats(-0.5, -1e-6), st.floats(1e-6, 5.0)),
)
def test_work_is_the_integral_of_speed_and_when_its_inverse(first, time, x, steady):
    warm = WarmUp(first, time)
    grid = np.linspace(0.0, x, 20_001)
    integral = np.trapezoid(warm.speed(grid), grid)
    assert warm.work(x) == pytest.approx(integral, rel=1e-3, abs=1e-3 * x)
    assert warm.work(x) + warm.lost(x) == pytest.approx(x)
    if warm.speed(0.0) + steady > 0.01:  # else the way back is not the first
        assert warm.when(warm.work(x) + steady * x, steady) == pytest.approx(x, rel=1e-6)
    assert warm.lost(1e9) == pytest.approx((1.0 - first) * time / 2.0)


def test_what_broadcasts():
    warm = WarmUp(np.array([0.2, 0.5, 1.0]), 10.0)
    assert turning(warm, 0.5).tolist() == pytest.approx([3.75, 0.0, 0.0])
    assert turning(WarmUp(0.2, 10.0), [1.0, 1.1]).tolist() == [10.0, math.inf]
    assert WarmUp(0.2, 10.0).when(5.0, -1.5) == math.inf
    assert WarmUp(0.0, 0.0).work(3.0) == 3.0


CASES = [
    ColdServers(7.0, 14.0, 10, 10, 100.0, 0.0, ONE, first_speed=0.2, warm_up=100.0),
    ColdServers(7.0, 14.0, 10, 10, 100.0, 0.0, ONE, first_speed=0.5, warm_up=50.0),
    ColdServers(7.0, 14.0, 10, 10, 100.0, 60.0, ONE, first_speed=0.1, warm_up=10.0),
    ColdServers(70.0, 110.0, 10, 2, 120.0, first_speed=0.05, warm_up=200.0),
]


@pytest.mark.parametrize("model", CASES, ids=repr)
def test_the_course_is_the_integral_of_its_equation(model):
    step, end = model._step, model.provisioning + 1.1 * model.drain_time
    times = np.linspace(0.0, end, 40_001)
    rates = np.interp(times, [0.0, max(step.ramp, 1e-12)], [step.before, step.after])
    n, waiting, fresh = step.before / step.speed, [], 0
    for time, rate in zip(times, rates, strict=True):
        fresh = model.added if time > model.provisioning else 0
        old = min(n, model.servers)  # the old ones are taken first
        speed = model._warm.speed(time - model.provisioning) if fresh else 0.0
        waiting.append(max(n - model.servers - fresh, 0.0))
        n += end / 40_000 * (rate - step.speed * (old + speed * min(n - old, fresh)))
    expected = np.array(waiting)
    told = model.course(times)
    assert np.abs(told["requests that wait"] - expected).max() < 4e-3 * expected.max()
    assert told["requests that wait"].max() == pytest.approx(model._top, rel=1e-3)
    # First come, first served: who comes at t starts when as many have started as came before.
    wait = told["wait of a request that comes"]
    assert wait.max() * step.after == pytest.approx(model._top, rel=5e-3) or step.ramp > 0
    assert (np.diff((times + wait)[wait > 0]) >= -1e-9 * end).all()


def test_warm_servers_are_a_load_step():
    plain, warm = LoadStep(), ColdServers(first_speed=1.0)
    for name in ("backlog", "drain_time", "capacity", "new_capacity"):
        assert getattr(warm, name) == pytest.approx(getattr(plain, name), rel=1e-12)
    assert warm.worst_wait.mean() == pytest.approx(plain.worst_wait.mean(), rel=1e-12)
    assert ColdServers(warm_up=0.0).drain_time == pytest.approx(plain.drain_time, rel=1e-12)
    assert warm.capacity_lost == 0.0
    at = np.linspace(0.0, 300.0, 100)
    for name, line in plain.course(at).items():
        np.testing.assert_allclose(warm.course(at)[name], line, atol=1e-9)


def test_the_story():
    cold, warm = ColdServers(), LoadStep()
    assert (cold.first_capacity, cold.new_capacity) == pytest.approx((106.0, 120.0))
    assert cold.capacity_lost == pytest.approx(420.0)
    assert cold.drain_time == pytest.approx(warm.drain_time + 42.0, rel=1e-6)
    assert cold.turning_time == pytest.approx(60 * 0.2 / 0.7)
    assert cold.peak_backlog > cold.backlog
    assert cold.worst_wait.mean() > warm.worst_wait.mean()


def by_events(flow, slots, added, relief, warm, seed, blocks=40):
    """One lane by a plain list of slots: longest wait, requests waiting at relief, time from then to no wait."""
    state, arrivals, services = flow.start(1, streams_of(seed, 0)), [], []
    for block in range(1, blocks):
        work, gaps, state = flow.draw(state, streams_of(seed, block), 512)
        arrivals += gaps[:, 0].tolist()
        services += work[:, 0].tolist()
    free = [(0.0, False)] * slots + [(relief, True)] * added
    worst, waiting, now = 0.0, 0, 0.0
    for gap, work in zip(arrivals, services, strict=True):
        now += gap
        begin, cold = min((max(now, when), is_new) for when, is_new in free)
        free.remove(min(slot for slot in free if (max(now, slot[0]), slot[1]) == (begin, cold)))
        end, left = begin, work
        if cold:  # by small steps of what is done
            x, done = begin - relief, 0.0
            low, high = x, x + work / warm.first
            for _ in range(80):
                middle = (low + high) / 2
                done = warm.work(middle) - warm.work(x)
                low, high = (middle, high) if done < left else (low, middle)
            end = relief + low
        else:
            end = begin + work
        free.append((end, cold))
        worst = max(worst, begin - now)
        waiting += now <= relief <= begin
        if now >= relief and begin == now:
            return worst, waiting, now - relief
    raise AssertionError


@pytest.mark.parametrize("time", [80.0, 20.0])
def test_a_lane_equals_the_plain_loop(time):
    flow = TimeVarying((0.0, 30.0, 40.0), (7.0, 7.0, 13.0), math.inf, sm.LogNormal(1.0, 2.0))
    warm = WarmUp(0.25, time)

    def ends(begin, service):
        return warm.when(warm.work(begin) + service)

    expected = by_events(flow, 10, 5, 100.0, warm, 3)
    found = follow_warming(flow, 10, 5, 100.0, time, ends, 1, 3)
    assert (found.worst_wait[0], found.backlog[0], found.drain_time[0]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("model", CASES[:3], ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 400 * model.requests_in_surge, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["drain_time", "smallest_error"] < 0.25


class Wrong(ColdServers):
    """A drain as if the new servers came warm."""

    @answer("s", "a drain that is wrong", ColdServers.answers()["drain_time"].accuracy)
    def drain_time(self) -> float:
        """That of `LoadStep`."""
        return LoadStep._drained.fget(self)


@pytest.mark.slow
def test_forgetting_the_warm_up_is_seen():
    wrong = Wrong(**CASES[0].values())
    table = sm.verify(wrong, 200 * wrong.requests_in_surge, seed=1).set_index("quantity")
    assert table.loc["drain_time", "verdict"] == "disagrees"


def test_edges():
    never = ColdServers(added=1)
    assert never.worst_wait == sm.Never()
    assert never.drain_time == math.inf
    assert never.turning_time == 60.0
    assert ColdServers(added=0).peak_backlog == math.inf
    assert ColdServers(added=0).capacity_lost == 0.0
    with pytest.raises(sm.NotSettled, match="no end"):
        never.simulate(10)
    with pytest.raises(sm.NoClosedForm):
        ColdServers(after=60.0).worst_wait  # noqa: B018
    assert ColdServers().accuracy("capacity_lost").label == "exact"
    with pytest.raises(ValueError, match="first_speed must lie in"):
        ColdServers(first_speed=0.0)
    for model in (ColdServers(), never, ColdServers(added=0), ColdServers(after=60.0), ColdServers(before=120.0)):
        assert len(figures.course(model).data) == 5
        assert model.timeline().says


def test_without_a_warm_up_servers_come_warm():
    """However slow a cold one would be: nothing is left of its first speed."""
    warm, cold = ColdServers(first_speed=1.0, warm_up=0.0), ColdServers(first_speed=0.3, warm_up=0.0)
    for name in ("first_capacity", "capacity_lost", "turning_time", "peak_backlog", "drain_time"):
        assert getattr(cold, name) == pytest.approx(getattr(warm, name), rel=1e-12), name
    np.testing.assert_allclose(cold.worst_wait.icdf([0.01, 0.5, 0.99]), warm.worst_wait.icdf([0.01, 0.5, 0.99]))


def test_services_without_an_end_never_turn():
    model = ColdServers(service=sm.Never())
    assert model.turning_time == model.peak_backlog == math.inf
