"""A step of load that outruns its servers: the fluid by integration, the chance part by an exact chain, the twin.

False-alarm rate of each simulated comparison 1e-6 (`verify`); 1000 surges see an error of about 5%.
"""

import heapq
import math

import numpy as np
import pytest
from scipy import integrate, sparse
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.montecarlo.kernels.surges import follow_surge
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools import LoadStep, erlang_c
from scaling_models.pools.formulas.load_step import (
    Step,
    fluid_backlog,
    fluid_wait,
    idling,
    longest_wait,
    mean_backlog,
    start_up,
)

ONE = sm.Exponential(1.0)
STEPS = [
    Step(7.0, 14.0, 10, 20, 1.0, 20.0),
    Step(700.0, 1100.0, 10, 12, 100.0, 120.0),
    Step(7.0, 14.0, 10, 20, 1.0, 100.0, 50.0),
    Step(40.0, 90.0, 50, 100, 1.0, 30.0, 10.0),
]


@pytest.mark.parametrize("step", STEPS)
def test_the_fluid_is_the_integral_of_its_equation(step):
    """n' = lambda(t) - mu min(n, c(t)), by small steps."""
    times = np.linspace(0.0, 1.5 * step.delay, 60_001)
    rates = np.interp(times, [0.0, max(step.ramp, 1e-12)], [step.before, step.after])
    servers, n, waiting = np.where(times <= step.delay, step.few, step.many), step.before / step.speed, []
    for rate, slots in zip(rates, servers, strict=True):
        waiting.append(max(n - slots, 0.0))
        n += (times[1] - times[0]) * (rate - step.speed * min(n, slots))
    expected = np.array(waiting)
    assert np.abs(fluid_backlog(step, times) - expected).max() < 3e-3 * expected.max()
    begin = np.interp(1e-9, expected[:20_000], times[:20_000])
    assert start_up(step) == pytest.approx(begin, abs=0.02 * step.delay)


@pytest.mark.parametrize("step", STEPS)
def test_the_fluid_wait_is_first_come_first_served(step):
    """Who comes at t starts when as many have started as came before: begun(t + wait) = arrived(t)."""
    times = np.linspace(1.01 * start_up(step), 1.1 * step.delay, 2000)
    begin = start_up(step)
    came = integrate.cumulative_trapezoid(
        np.interp(np.linspace(begin, times[-1], 400_001), [0.0, max(step.ramp, 1e-12)], [step.before, step.after]),
        np.linspace(begin, times[-1], 400_001),
        initial=0.0,
    )
    ahead = np.interp(times, np.linspace(begin, times[-1], 400_001), came)
    starts = times + fluid_wait(step, times)
    slow = step.capacity * (np.minimum(starts, step.delay) - begin)
    fast = np.where(
        starts > step.delay * (1 + 1e-12),
        step.many - step.few + step.many * step.speed * (starts - step.delay),
        0.0,
    )
    assert longest_wait(step) == pytest.approx(fluid_wait(step, times).max(), rel=1e-2)
    waits = fluid_wait(step, times) > 1e-9
    jump = starts[waits] <= step.delay * (1 + 1e-9)  # as the new servers come, many start at once
    gap = (ahead - slow - fast)[waits]
    assert np.abs(gap[~jump]).max() < 1e-6 * ahead.max()
    assert (gap[jump] < (step.many - step.few) * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("load", "after", "servers"), [(7.0, 14.0, 10), (7.0, 11.0, 10), (0.7, 1.2, 1), (18.0, 22.0, 20)]
)
def test_the_mean_backlog_is_that_of_the_exact_chain(load, after, servers):
    delay = 400.0 / (after - servers)
    most = int(servers + 2 * (after - servers) * delay + 400)
    n = np.arange(most + 1)
    weights = np.cumprod(np.append(1.0, load / np.minimum(n[1:], servers)))
    up, down = np.where(n < most, after, 0.0), np.minimum(n, servers).astype(float)
    generator = sparse.diags([-(up + down), up[:-1], down[1:]], [0, -1, 1]).tocsc()
    law = linalg.expm_multiply(generator * delay, weights / weights.sum())
    exact = np.maximum(n - servers, 0) @ law
    step = Step(load, after, servers, servers + 1, 1.0, delay)
    # What is left is the chance that the queue empties once more: it is seen for one slow server only.
    assert mean_backlog(step) == pytest.approx(exact, rel=2e-3)
    assert abs(fluid_backlog(step, delay) / exact - 1) > 5 * abs(mean_backlog(step) / exact - 1)


def test_one_server_idles_as_the_random_walk_says():
    """From one busy server: c mu idle whenever it is empty, and it empties after / (after - 1) - 1 times."""
    tiny = Step(1e-9, 1.5, 1, 2, 1.0, 100.0)
    assert idling(tiny) == pytest.approx(1 / 1.5 * (1 + 1 / 0.5), rel=1e-6)
    assert erlang_c(1, 1e-9) == pytest.approx(1e-9)


def test_the_story():
    model = LoadStep(700.0, 1100.0, 10, 2, 120.0, service=sm.Exponential(0.010))
    assert model.startup_time == pytest.approx(0.010 * math.log(4.0))
    assert model.backlog == pytest.approx(12_000, rel=1e-3)
    assert model.backlog_spread == pytest.approx(math.sqrt(2100 * 120), rel=1e-3)
    # The longest wait is not that of the last to come before the new servers (10 s), but of the one they find next.
    assert model.worst_wait.mean() == pytest.approx(12_000 / 1100, rel=5e-3)
    assert model.drain_time == pytest.approx(120, rel=1e-2)
    more = model.replace(added=3)
    assert more.drain_time == pytest.approx(60, rel=1e-2)
    assert more.worst_wait.mean() == pytest.approx(model.worst_wait.mean(), rel=1e-2)


def by_events(flow, slots, ready, relief, seed, blocks=40):
    """One lane by a heap of free times: longest wait, requests waiting at relief, time from then to no wait."""
    state, arrivals, services = flow.start(1, streams_of(seed, 0)), [], []
    for block in range(1, blocks):
        work, gaps, state = flow.draw(state, streams_of(seed, block), 512)
        arrivals += gaps[:, 0].tolist()
        services += work[:, 0].tolist()
    free = [0.0] * slots + list(ready)
    heapq.heapify(free)
    worst, waiting, now = 0.0, 0, 0.0
    for gap, work in zip(arrivals, services, strict=True):
        now += gap
        start = max(now, heapq.heappop(free))
        heapq.heappush(free, start + work)
        worst = max(worst, start - now)
        waiting += now <= relief <= start
        if now >= relief and start == now:
            return worst, waiting, now - relief
    raise AssertionError


def test_a_lane_equals_the_heap_of_events():
    flow = TimeVarying((0.0, 30.0, 40.0), (7.0, 7.0, 13.0), math.inf, sm.LogNormal(1.0, 2.0))
    ready = np.array([100.0, 100.0, 90.0, 110.0, 100.0])
    expected = by_events(flow, 10, ready, 100.0, 3)
    found = follow_surge(flow, 10, ready[:, None], 100.0, 3, math.inf)
    assert (found.worst_wait[0], found.backlog[0], found.drain_time[0]) == pytest.approx(expected)


TWINS = [
    LoadStep(7.0, 11.0, 10, 2, 400.0, 0.0, ONE),
    LoadStep(7.0, 14.0, 10, 10, 100.0, 0.0, ONE),
    LoadStep(7.0, 14.0, 10, 10, 100.0, 60.0, ONE),
    LoadStep(0.7, 1.2, 1, 1, 1000.0, 0.0, ONE),
    LoadStep(7.0, 14.0, 10, 10, 100.0, 0.0, sm.LogNormal(1.0, 4.0)),
    LoadStep(7.0, 14.0, 10, 10, 100.0, 0.0, sm.Deterministic(1.0)),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", TWINS, ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 1000 * model.requests_in_surge, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["backlog", "smallest_error"] < 0.2


@pytest.mark.slow
def test_a_backlog_a_tenth_wrong_is_seen():
    model = LoadStep(7.0, 14.0, 10, 10, 100.0, 0.0, ONE)
    found = model.simulate(1000 * model.requests_in_surge, seed=2)
    low, high = found.backlog.interval(1 - 1e-6)
    assert low < model.backlog < high
    assert high - low < 0.1 * found.backlog.value


def test_edges():
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        LoadStep(70.0, 90.0).worst_wait  # noqa: B018
    assert LoadStep(70.0, 90.0).startup_time == math.inf
    assert LoadStep(70.0, 90.0).accuracy("worst_wait").label == "simulated"
    never = LoadStep(added=1)
    assert never.worst_wait == sm.Never()
    assert never.drain_time == math.inf
    assert never.backlog == pytest.approx(1200, rel=1e-2)
    with pytest.raises(sm.NotSettled, match="no end"):
        never.simulate(10)
    assert LoadStep(100.0, 110.0).backlog == math.inf
    with pytest.raises(sm.NoClosedForm, match="carry the new load"):
        LoadStep(after=60.0).backlog  # noqa: B018
    with pytest.raises(ValueError, match="ramp must lie"):
        LoadStep(ramp=200.0)
    with pytest.raises(sm.NoClosedForm, match="small beside"):
        LoadStep(7.0, 11.0, 10, 2, 40.0, 0.0, ONE).worst_wait  # noqa: B018
    late = LoadStep().simulate(64, seed=1, violating="servers come late")
    assert late.worst_wait.mean() > LoadStep().worst_wait.mean()


@pytest.mark.parametrize(
    ("added", "service"),
    [(1200, sm.Exponential(0.1)), (600, sm.Deterministic(0.1)), (300, sm.Hyperexponential(0.1, 4.0))],
)
def test_no_drain_is_told_where_the_new_servers_take_about_as_many_at_once_as_wait(added, service):
    """The twin is five standard errors and 15% away from the fluid; one such in 2 million would be chance."""
    model = LoadStep(added=added, service=service)
    assert model.accuracy("drain_time").label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        _ = model.drain_time
    found = model.simulate(4_000_000).drain_time
    assert abs(model._drained / found.value - 1.0) > 0.15
    assert abs(model._drained - found.value) > 5.0 * found.error
    assert model.replace(added=2).accuracy("drain_time").label == "within 3%"
    assert len(model.timeline().times) == 400


def test_a_steady_state_that_takes_hours_to_reach_is_refused():
    with pytest.raises(ValueError, match="too many to simulate"):
        LoadStep(before=99.9).simulate()
    with pytest.raises(ValueError, match="too many to simulate"):
        sm.pools.ColdServers(before=99.9).simulate()
    with pytest.raises(ValueError, match="too many to simulate"):
        sm.pools.CacheLoss(hit_ratio=0.95005).simulate()
