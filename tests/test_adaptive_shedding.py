"""Load shed at the door, and from a queue that stands: the thinned queue, the kernel by its events, limits, the twin.

Fixed seeds; a verification, and an interval at 1 - 1e-6, raises a false alarm once in a million.
"""

import collections
import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.shedding import Standing, controlled_waits
from scaling_models.pools import AdaptiveShedding, CentralQueue, ControlledDelay, HoldUtilization, ShedShare

SERVICES = [sm.Exponential(0.01), sm.Deterministic(0.01), sm.Hyperexponential(0.01, 4.0), sm.LogNormal(0.01, 4.0)]
ALIKE = ("wait", "latency", "latency_low", "latency_high", "probability_of_wait", "in_flight")


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(("rate", "rule"), [(900.0, ShedShare(0.2)), (2000.0, HoldUtilization(0.72))])
def test_behind_the_door_is_the_queue_of_who_is_admitted(service, rate, rule):
    pool, thinned = AdaptiveShedding(rate, 10, service, rule=rule), CentralQueue(720.0, 10, service)
    for name in ALIKE:
        for level in (None, 0.99):
            one, other = pool.accuracy(name, level), thinned.accuracy(name, level)
            assert (one.label, one.error) == (other.label, pytest.approx(other.error))
        try:
            expected = getattr(thinned, name)
        except sm.NoClosedForm:
            with pytest.raises(sm.NoClosedForm):
                getattr(pool, name)
            continue
        found = getattr(pool, name)
        if hasattr(expected, "mean"):
            assert found.mean() == pytest.approx(expected.mean(), rel=1e-9)
            expected, found = (each.icdf(0.99) if each.spread_known else 0.0 for each in (expected, found))
        assert found == pytest.approx(expected, rel=1e-9)
    assert pool.throughput == pytest.approx(720.0)
    assert pool.blocking_probability == pytest.approx(1.0 - 720.0 / rate)
    assert pool.mean_queue_length == pytest.approx(720.0 * thinned.wait.mean())
    if pool.accuracy("latency").label == "exact":
        assert pool.goodput == pytest.approx(720.0 * thinned.latency.cdf(0.05), rel=1e-9)
    else:
        with pytest.raises(sm.NoClosedForm, match="where the latency is exact"):
            pool.goodput  # noqa: B018


@given(st.floats(1.0, 1e5), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_what_holds_a_utilization(rate, target):
    pool = AdaptiveShedding(rate, 10, rule=HoldUtilization(target))
    assert pool.utilization == pytest.approx(min(target, rate / 1000.0))
    assert pool.blocking_probability == pytest.approx(max(0.0, 1.0 - 1000.0 * target / rate))
    assert math.isfinite(pool.latency.icdf(0.999))


def test_who_sheds_too_little_is_overloaded():
    pool = AdaptiveShedding(1500.0, 10, rule=ShedShare(0.3))
    assert pool.utilization == pytest.approx(1.05)
    assert (pool.latency, pool.wait, pool.probability_of_wait) == (sm.Never(), sm.Never(), 1.0)
    assert (pool.in_flight, pool.throughput, pool.goodput) == (math.inf, pytest.approx(1000.0), 0.0)
    assert pool.accuracy("latency", 0.99).label == "exact"
    with pytest.raises(sm.NotSettled, match="no steady state"):
        pool.simulate(1000)


def test_delays_are_simulated_and_illegal_ones_refused():
    pool = AdaptiveShedding(1500.0, rule=ControlledDelay())
    for name in AdaptiveShedding.answers():
        if name != "offered_load":
            assert pool.accuracy(name).label == "simulated"
            with pytest.raises(sm.NoClosedForm):
                getattr(pool, name)
    assert pool.offered_load == pytest.approx(15.0)
    with pytest.raises(ValueError, match=r"ControlledDelay.target must lie in \(0, 0.1\] s, the interval; got 0.2"):
        ControlledDelay(0.2)
    with pytest.raises(ValueError, match="rule must be a rule of shedding"):
        AdaptiveShedding(rule=0.1)
    with pytest.raises(ValueError, match=r"ShedShare.refused must lie in \[0, 1\); got 1.0"):
        ShedShare(1.0)


def by_events(arrivals, services, admitted, slots, target, interval):
    """One lane by a heap of arrivals, departures and timeouts: the wait of the served (NaN), and time in the queue."""
    events = [(t, 2, n) for n, t in enumerate(arrivals) if admitted[n]]  # at a tie who leaves makes place first
    heapq.heapify(events)
    busy, queue, last_empty = 0, collections.deque(), -math.inf
    waits, queued = np.full(len(arrivals), np.nan), np.zeros(len(arrivals))
    while events:
        now, kind, n = heapq.heappop(events)
        if kind == 2:
            last_empty = last_empty if queue else now
            queue.append(n)
            longest = target if now - last_empty > interval else interval
            heapq.heappush(events, (now + longest, 1, n))
        elif kind == 1:
            if n in queue:
                queue.remove(n)
                queued[n] = now - arrivals[n]
        else:
            busy -= 1
        while queue and busy < slots:
            n = queue.popleft()
            busy += 1
            waits[n] = queued[n] = now - arrivals[n]
            heapq.heappush(events, (now + services[n], 0, n))
    return waits, queued


@pytest.mark.parametrize(
    ("slots", "load", "target", "interval"), [(1, 0.9, 0.5, 3.0), (3, 1.4, 0.2, 2.0), (5, 2.5, 0.1, 0.1)]
)
def test_the_kernel_is_its_events(slots, load, target, interval):
    rng, shape = np.random.default_rng(slots), (900, 5)
    services, gaps = rng.exponential(1.0, shape), rng.exponential(0.8 / (load * slots), shape)
    admitted = rng.random(shape) < 0.8
    queue = Standing(np.zeros((slots, 5)), np.zeros(5), np.zeros(5))
    parts = []
    for low, high in ((0, 300), (300, 301), (301, 900)):  # cut anywhere
        some = (each[low:high] for each in (services, gaps, admitted))
        waits, allowed, queue = controlled_waits(*some, queue, target, interval)
        parts.append((waits, allowed))
    waits, allowed = (np.concatenate(each) for each in zip(*parts, strict=True))
    served = admitted & (waits <= allowed)
    for lane in range(5):
        arrivals = np.cumsum(gaps[:, lane])
        told, queued = by_events(arrivals, services[:, lane], admitted[:, lane], slots, target, interval)
        np.testing.assert_allclose(np.where(served, waits, np.nan)[:, lane], told, rtol=1e-9, atol=1e-9)
        found = (np.minimum(waits, allowed) * admitted)[:, lane]
        np.testing.assert_allclose(found, queued, rtol=1e-9, atol=1e-9)
    assert (admitted & ~served).any()
    assert {target, interval} == set(allowed.ravel())


def constant_patience(load, slots, patience):
    """P(lost) and mean wait of the served in M/M/c+D, services of mean 1: the density of the offered wait at x is in
    proportion to exp(load min(x, d) - c x) (Baccelli and Hebuterne 1981)."""
    states = np.cumprod(np.concatenate([[1.0], load / np.arange(1.0, slots)]))  # 0 ... c - 1 present
    density = lambda x: load * states[-1] * math.exp((load - slots) * x)  # noqa: E731
    served, _ = integrate.quad(density, 0.0, patience)
    waited, _ = integrate.quad(lambda x: x * density(x), 0.0, patience)
    late = density(patience) / slots
    all_ = states.sum() + served + late
    return late / all_, waited / (states.sum() + served)


def test_where_all_may_wait_as_long_it_is_a_constant_patience():
    """At a false-alarm rate of 1e-6 each, where an error of 3% would be seen."""
    pool = AdaptiveShedding(1200.0, 10, rule=ControlledDelay(0.01, 0.01))
    lost, wait = constant_patience(12.0, 10, 1.0)
    told = pool.simulate(5_000_000, seed=1)
    for found, exact in ((told.blocking_probability, lost), (told.wait.mean_estimate(), 0.01 * wait)):
        low, high = found.interval(1.0 - 1e-6)
        assert low <= exact <= high
        assert high - low < 0.045 * exact  # 3% are 7.3 standard errors: seen in 95 of 100 runs


def test_a_standing_queue_is_cut_and_a_burst_is_let_through():
    """Twice the capacity stands: nobody waits longer than the target for long. At half load nearly nobody is lost."""
    over = AdaptiveShedding(2000.0, 10, rule=ControlledDelay(0.005, 0.1)).simulate(100_000, seed=1)
    assert over.wait.icdf(0.5) <= 0.005
    assert over.utilization.value > 0.97
    assert over.throughput.interval(1.0 - 1e-6)[0] <= 1000.0
    half = AdaptiveShedding(500.0, 10, rule=ControlledDelay(0.005, 0.1)).simulate(100_000, seed=1)
    # Who is lost would have waited longer than the target for a queue that is longer yet.
    assert half.blocking_probability.interval(1.0 - 1e-6)[0] < CentralQueue(500.0).wait.ccdf(0.005)


@pytest.mark.parametrize("rule", [ShedShare(0.5), HoldUtilization(0.8), ControlledDelay()], ids=repr)
def test_a_surge_is_met(rule):
    told = AdaptiveShedding(rule=rule).timeline(seed=1)
    shed, plain = told.lines.values()
    assert list(told.lines) == ["in time with shedding", "in time without shedding"]
    late = (told.times > 0.5 * told.times[-1]) & (told.times < 0.66 * told.times[-1])
    assert shed[late].mean() > 600.0 > 100.0 > plain[late].mean()


@pytest.mark.parametrize("rule", [ShedShare(0.3), HoldUtilization(0.7)], ids=repr)
def test_the_twin_agrees(rule):
    table = sm.verify(AdaptiveShedding(1000.0, rule=rule), requests=1_000_000, seed=1).set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.loc[["blocking_probability", "goodput", "latency p99"], "smallest_error"].max() < 0.05


class Wrong(AdaptiveShedding):
    """Refuses three per cent more than it says."""

    @answer("", "a share that is wrong")
    def blocking_probability(self):
        """Off by three per cent."""
        return 0.97 * AdaptiveShedding.blocking_probability.compute(self)

    @answer("requests/s", "a goodput that is wrong")
    def goodput(self):
        """Off by three per cent."""
        return 1.03 * AdaptiveShedding.goodput.compute(self)


def test_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(1000.0), requests=1_000_000, seed=2).set_index("quantity")
    assert (table.loc[["blocking_probability", "goodput"], "verdict"] == "disagrees").all(), table.to_string()
