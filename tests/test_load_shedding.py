"""Load shedding: chains solved another way, the best limit by trying all, the kernel by a heap of events, the twin.

Fixed seeds; a verification raises a false alarm once in a million.
"""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.admission import AdmittedClass, admitted_waits, nobody
from scaling_models.pools import FiniteQueue, LoadShedding
from scaling_models.pools.formulas.admission import Loads, best_limit, goodputs, in_time, present

E = sm.Exponential


def solved(slots, load, important, limit, reserved):
    """The chain's generator, solved as linear equations (of services of mean 1)."""
    flow = np.zeros((limit + 1, limit + 1))
    for n in range(limit):
        flow[n, n + 1] = load if n < limit - reserved else important
        flow[n + 1, n] = min(n + 1, slots)
    flow -= np.diag(flow.sum(axis=1))
    balance = np.vstack([flow.T, np.ones(limit + 1)])
    return np.linalg.lstsq(balance, np.append(np.zeros(limit + 1), 1.0), rcond=None)[0]


def direct_ccdf(t, slots, n):
    """P(wait + service > t) for who finds n present, services of mean 1: n - c + 1 stages, by quadrature."""
    if n < slots:
        return math.exp(-t)
    stages = n - slots + 1
    x, w = np.polynomial.legendre.leggauss(200)
    u = (x + 1.0) * t / 2.0
    density = slots * np.exp((stages - 1) * np.log(slots * u) - slots * u - special.gammaln(stages))
    return float(special.gammaincc(stages, slots * t) + t / 2.0 * (w * density) @ np.exp(-(t - u)))


@given(st.integers(1, 12), st.floats(0.1, 3.0), st.floats(0.05, 0.95), st.integers(1, 30), st.integers(0, 30))
@settings(max_examples=25, deadline=None)
def test_two_limits_are_their_chain(slots, ratio, share, limit, reserved):
    load, other = slots * ratio, max(0, limit - reserved)
    pool = LoadShedding(load, slots, E(1.0), important_share=share, limit=limit, reserved=reserved, deadline=1.5)
    p, n = solved(slots, load, load * share, limit, reserved), np.arange(limit + 1)
    np.testing.assert_allclose(present(Loads(slots, load, load * share), limit, other), p, rtol=1e-7, atol=1e-13)
    assert pool.important_blocking == pytest.approx(p[-1], rel=1e-7, abs=1e-12)
    assert pool.other_blocking == pytest.approx(p[other:].sum(), rel=1e-7, abs=1e-12)
    admitted = p[:-1] * np.where(n[:-1] < other, 1.0, share)
    assert pool.throughput == pytest.approx(load * admitted.sum(), rel=1e-9)
    assert pool.throughput == pytest.approx(p @ np.minimum(n, slots), rel=1e-9)  # what goes in comes out
    assert pool.in_flight == pytest.approx(p @ n, rel=1e-9)
    assert pool.throughput * pool.latency.mean() == pytest.approx(pool.in_flight, rel=1e-9)
    assert pool.probability_of_wait == pytest.approx(admitted[slots:].sum() / admitted.sum(), rel=1e-9, abs=1e-12)
    late_by = np.array([direct_ccdf(1.5, slots, k) for k in range(limit)])
    assert pool.important_in_time_share == pytest.approx(p[:-1] @ (1.0 - late_by), rel=1e-8)
    assert pool.in_time_share == pytest.approx(admitted @ (1.0 - late_by), rel=1e-8)
    assert pool.goodput <= pool.throughput <= pool.arrival_rate


@pytest.mark.parametrize("limit", [11, 30, 200])
def test_with_nothing_reserved_it_is_a_finite_queue(limit):
    shed, queue = LoadShedding(1200.0, limit=limit, reserved=0), FiniteQueue(1200.0, queue_limit=limit - 10)
    for name in ("blocking_probability", "throughput", "utilization", "in_flight", "probability_of_wait"):
        assert getattr(shed, name) == pytest.approx(getattr(queue, name), rel=1e-10)
    for name in ("wait", "latency"):
        one, other = getattr(shed, name), getattr(queue, name)
        np.testing.assert_allclose(one.icdf([0.5, 0.99, 0.99999]), other.icdf([0.5, 0.99, 0.99999]), rtol=1e-8)
    assert shed.important_blocking == shed.other_blocking


@pytest.mark.parametrize("slots", [1, 2, 10, 300])
@pytest.mark.parametrize("deadline", [0.01, 1.0, 7.0])
def test_who_is_in_time_by_two_routes(slots, deadline):
    found = in_time(slots, slots * deadline, slots + 60)
    n = [0, slots - 1, slots, slots + 5, slots + 59]
    np.testing.assert_allclose(found[n], [1.0 - direct_ccdf(deadline, slots, k) for k in n], rtol=1e-9, atol=1e-14)


@given(st.integers(1, 20), st.floats(0.2, 3.0), st.floats(0.05, 0.95), st.integers(0, 40), st.floats(0.05, 3.0))
@settings(max_examples=12, deadline=None)
def test_the_best_limit_is_the_best_of_all(slots, ratio, share, reserved, deadline):
    load, timely = slots * ratio, in_time(slots, slots * deadline, 200)
    loads = Loads(slots, load, load * share)
    tried = []
    for limit in range(1, 201):
        admitted = np.where(np.arange(limit) < limit - reserved, load, load * share)
        tried.append(present(loads, limit, max(0, limit - reserved))[:-1] * admitted @ timely[:limit])
    np.testing.assert_allclose(goodputs(loads, reserved, timely), tried, rtol=1e-9)
    best = best_limit(loads, reserved, slots * deadline)
    assert tried[best - 1] >= max(tried) * (1.0 - 1e-8)
    assert best == 1 or tried[best - 2] < tried[best - 1]
    pool = LoadShedding(load, slots, E(1.0), 1, share, best, reserved, deadline)
    assert (pool.best_limit, pool.goodput) == (best, pytest.approx(tried[best - 1], rel=1e-8))


def test_the_border_of_the_best_limit():
    """It pays to admit behind K others as long as c mu P(in time) exceeds the goodput."""
    pool = LoadShedding(1500.0, 10, reserved=0)
    best, timely = pool.best_limit, in_time(10, 50.0, 200)
    assert 1000.0 * timely[best] <= pool.replace(limit=best).goodput < 1000.0 * timely[best - 1] * 1.0001
    assert pool.replace(limit=2000).goodput < 0.1 * pool.replace(limit=best).goodput


def test_a_limit_keeps_the_goodput_and_a_reserve_the_important():
    over = LoadShedding(1500.0)
    assert over.important_blocking < 1e-4 < 0.3 < over.other_blocking
    assert over.goodput > 900.0
    assert over.replace(limit=500, reserved=0).goodput < 50.0
    assert over.replace(reserved=0).important_blocking > 0.3
    with_limit, without = over.timeline(seed=1).lines.values()
    assert with_limit.sum() > 1.5 * without.sum()


def test_a_reserve_of_the_whole_limit_leaves_the_others_nothing():
    pool = LoadShedding(reserved=30)
    assert pool.other_blocking == pytest.approx(1.0, abs=1e-15)
    assert pool.other_latency == sm.Never()
    assert pool.other_in_time_share == pytest.approx(0.0, abs=1e-15)
    t = [0.001, 0.02, 0.1]
    np.testing.assert_allclose(pool.latency.ccdf(t), pool.important_latency.ccdf(t), rtol=1e-12)
    assert (sm.verify(pool, requests=50_000).verdict != "disagrees").all()


def phased(slots, rates, p, fast, slow, limit):
    """P(n present) in a loss system of two-phase services whose arrivals come at `rates[n]`, by its whole chain."""
    states = [(i, j) for i in range(limit + 1) for j in range(limit + 1 - i)]
    at = {n: k for k, n in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    for (i, j), k in at.items():
        if i + j < limit:
            flow[k, at[i + 1, j]] += rates[i + j] * p
            flow[k, at[i, j + 1]] += rates[i + j] * (1 - p)
        if i:
            flow[k, at[i - 1, j]] += i * fast
        if j:
            flow[k, at[i, j - 1]] += j * slow
    flow -= np.diag(flow.sum(axis=1))
    x = np.linalg.lstsq(np.vstack([flow.T, np.ones(len(states))]), np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return np.bincount([i + j for i, j in states], x)


def test_where_nobody_waits_any_service_will_do():
    p, fast, slow = 0.9, 3.0, 0.4
    mean = p / fast + (1 - p) / slow
    found = present(Loads(6, 4.0 * mean, 1.2 * mean), 5, 3)
    np.testing.assert_allclose(phased(6, [4.0] * 3 + [1.2] * 2, p, fast, slow, 5), found, rtol=1e-9)
    pool = LoadShedding(800.0, 10, sm.LogNormal(0.01, 4.0), limit=9, reserved=3)
    assert pool.accuracy("other_blocking").label == pool.accuracy("latency", 0.99).label == "exact"
    assert pool.latency == pool.service
    assert pool.accuracy("best_limit").label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        pool.best_limit  # noqa: B018
    assert (sm.verify(pool, requests=200_000, seed=1).verdict != "disagrees").all()


def test_what_must_wait_is_simulated():
    pool = LoadShedding(service=sm.LogNormal(0.01, 4.0))
    for name in ("latency", "wait", "blocking_probability", "important_in_time_share", "goodput", "other_latency"):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            getattr(pool, name)
        assert pool.accuracy(name).label == "simulated"
    assert 0.9 < pool.simulate(20_000, seed=1).in_time_share.value < 1.0


def by_events(services, gaps, who, classes, slots):
    """One lane by a heap of departures and a heap of free slots; the present are counted one by one."""
    free, present_, waits, now = [0.0] * slots, [], [], 0.0
    for service, gap, k in zip(services, gaps, who, strict=True):
        now += gap
        present_ = [(end, other) for end, other in present_ if end > now]
        mine = sum(other == k for _, other in present_)
        own = classes[k].own_limit
        if len(present_) >= classes[k].limit or (own is not None and mine >= own):
            waits.append(math.nan)
            continue
        begin = max(now, heapq.heappop(free))
        heapq.heappush(free, begin + service)
        present_.append((begin + service, k))
        waits.append(begin - now)
    return np.array(waits)


@pytest.mark.parametrize(
    ("classes", "slots"),
    [
        ((AdmittedClass(0.5, 9), AdmittedClass(0.5, 5)), 3),
        ((AdmittedClass(0.5, 2), AdmittedClass(0.5, 0)), 3),
        ((AdmittedClass(0.4, 6, 4), AdmittedClass(0.3, 6, 2), AdmittedClass(0.3, 6)), 6),
        ((AdmittedClass(0.4, 12, 4), AdmittedClass(0.6, 7, 20)), 5),
    ],
)
def test_the_kernel_is_its_events(classes, slots):
    rng, shape = np.random.default_rng(3), (800, 6)
    services, gaps = rng.exponential(1.0, shape), rng.exponential(0.7 / slots, shape)
    who = rng.choice(len(classes), shape, p=[each.share for each in classes])
    state, parts = nobody(classes, 6), []
    for low, high in ((0, 300), (300, 301), (301, 800)):  # cut anywhere
        waits, rejected, state = admitted_waits(
            services[low:high], gaps[low:high], who[low:high], state, classes, slots
        )
        assert (np.isnan(waits) == rejected).all()
        parts.append(waits)
    found = np.concatenate(parts)
    for lane in range(6):
        told = by_events(services[:, lane], gaps[:, lane], who[:, lane], classes, slots)
        np.testing.assert_allclose(found[:, lane], told, rtol=1e-9, atol=1e-9)
    assert 0.02 < np.isnan(found).mean() < 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        LoadShedding(1300.0, important_share=0.4, limit=25, reserved=8),
        LoadShedding(90.0, 1, limit=4, reserved=1, deadline=0.02),
    ],
    ids=["ten", "one"],
)
def test_the_twin_agrees(model):
    table = sm.verify(model, requests=1_000_000, seed=1).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert (table.verdict == "agrees").sum() > 20
    assert table.loc["important_in_time_share", "smallest_error"] < 0.03


class Wrong(LoadShedding):
    """In time three per cent too often."""

    @answer("", "a share that is wrong")
    def in_time_share(self):
        """Off by three per cent."""
        return 1.03 * LoadShedding.in_time_share.compute(self)


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(1300.0), requests=2_000_000, seed=2).set_index("quantity")
    assert (table.loc[["in_time_share", "goodput"], "verdict"] == "disagrees").all(), table.to_string()


def test_the_best_limit_is_bounded():
    assert best_limit(Loads(10, 8.0, 1.6), 0, 1e7) <= 10_000
    assert LoadShedding(1e7, deadline=1e-9).best_limit >= 1
