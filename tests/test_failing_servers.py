"""Servers that fail: the levels of the chain against its sparse solution, limits, and the twin.

The simulated comparison has a false-alarm rate of 1e-6 (`verify`) and sees an error of 6% of the mean latency.
"""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.pools import CentralQueue, FailingServers
from scaling_models.pools.formulas.failures import failing_queue, servers_up, work_until_served

ONE = sm.Exponential(1.0)


def chain(load, servers, workers, up, down, levels):
    """P(n, u) by one sparse solve of the truncated chain; service rate 1."""
    entries = []
    place = {(n, u): n * (servers + 1) + u for n in range(levels) for u in range(servers + 1)}
    for (n, u), i in place.items():
        served = float(min(n, workers * u))
        moves = [(n + 1, u, load), (n - 1, u, served), (n, u - 1, u / up), (n, u + 1, (servers - u) / down)]
        for m, v, rate in moves:
            if (m, v) in place and rate > 0:
                entries += [(place[m, v], i, rate), (i, i, -rate)]
    rows, columns, values = zip(*entries, strict=True)
    matrix = sparse.coo_matrix((values, (rows, columns)), shape=(len(place),) * 2).tocsc()
    law = np.append(1.0, linalg.spsolve(matrix[1:, 1:], -matrix[1:, [0]].toarray()[:, 0]))
    return (law / law.sum()).reshape(levels, servers + 1)


CASES = [
    (7.0, 10, 1, 190.0, 10.0, 300),
    (3.0, 5, 1, 9.0, 1.0, 400),
    (7.0, 10, 1, 1.9, 0.1, 300),
    (3.0, 5, 1, 90.0, 10.0, 2500),
    (6.0, 4, 3, 9.0, 1.0, 300),
    (0.4, 1, 1, 8.0, 2.0, 600),
]


@pytest.mark.parametrize(("load", "servers", "workers", "up", "down", "levels"), CASES)
def test_the_levels_equal_the_sparse_chain(load, servers, workers, up, down, levels):
    law = chain(load, servers, workers, up, down, levels)
    found = failing_queue(load, 1.0, servers, workers, 1 / up, 1 / down)
    n, u = np.arange(levels)[:, None], np.arange(servers + 1)
    assert found.in_flight == pytest.approx((n * law).sum(), rel=1e-8)
    assert found.probability_of_wait == pytest.approx(law[(n >= workers * u)].sum(), rel=1e-8)
    np.testing.assert_allclose(found.up, servers_up(servers, up / (up + down)), rtol=1e-8, atol=1e-12)


def test_the_published_kind_of_numbers():
    """Ten servers at offered load 7, up 95% of the time, by the length of the repairs (mean services)."""
    for down, expected in ((0.1, 1.124), (10.0, 1.153), (100.0, 1.198), (1000.0, 1.394)):
        pool = FailingServers(7.0, 10, ONE, up=19 * down, down=down)
        assert pool.latency.mean() == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("workers", [1, 3])
def test_servers_that_never_fail_are_a_central_queue(workers):
    pool = FailingServers(8.0 * workers, 10, ONE, workers, up=1e13, down=1e-3)
    plain = CentralQueue(8.0 * workers, 10, ONE, workers)
    assert pool.probability_of_wait == pytest.approx(plain.probability_of_wait, rel=1e-9)
    assert pool.latency.mean() == pytest.approx(plain.latency.mean(), rel=1e-9)
    assert pool.wait.mean() == pytest.approx(plain.wait.mean(), rel=1e-8)


def test_very_short_failures_only_slow_the_servers_down():
    pool = FailingServers(3.0, 1, sm.Exponential(0.2), up=3e-6, down=1e-6)
    assert pool.utilization == pytest.approx(0.8)
    assert pool.latency.mean() == pytest.approx(
        CentralQueue(3.0, 1, sm.Exponential(0.2 / 0.75)).latency.mean(), rel=1e-4
    )


@pytest.mark.parametrize("service", [sm.Exponential(0.01), sm.Deterministic(0.01), sm.Uniform(0.0, 0.02)], ids=repr)
def test_work_until_served_is_the_integral_by_the_definition(service):
    sizes = service.icdf((np.arange(200_000) + 0.5) / 200_000)  # a midpoint rule in probability: to 1e-4 here
    for rate in (0.1, 20.0):
        for fate, each in (("restarts", np.expm1(rate * sizes)), ("lost", -np.expm1(-rate * sizes))):
            assert work_until_served(service, rate, fate) == pytest.approx(float(each.mean()) / rate, rel=1e-4)
        assert work_until_served(service, rate, "moves") == service.mean()
    assert work_until_served(sm.Deterministic(0.01), 20.0, "restarts") == pytest.approx(np.expm1(0.2) / 20.0, rel=1e-12)
    assert work_until_served(sm.Exponential(0.01), 100.0, "restarts") == np.inf


@pytest.mark.parametrize("fate", ["moves", "resumes", "restarts", "lost"])
def test_the_load_of_each_fate_is_the_simulated_one(fate):
    """At a false-alarm rate of 1e-6, where a load 12% off would be seen: without its fate it would be 20% off."""
    pool = FailingServers(200.0, 10, sm.Exponential(0.01), up=0.05, down=0.002, fate=fate)
    told = pool.simulate(150_000, seed=1)
    for name in ("utilization", "offered_load"):
        low, high = getattr(told, name).interval(1.0 - 1e-6)
        assert low <= getattr(pool, name) <= high
        assert high - low < 0.12 * getattr(pool, name)
    table = sm.verify(pool, 150_000, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()


def test_in_flight_are_also_those_that_will_be_lost():
    """By the chain of (requests, servers up), in which a failure takes its request with it."""
    pool = FailingServers(300.0, 5, sm.Exponential(0.01), up=0.05, down=0.005, fate="lost")
    most, load, up, down = 200, 3.0, 5.0, 0.5  # in services
    at = {state: k for k, state in enumerate(itertools.product(range(most), range(6)))}
    rates = np.zeros((len(at), len(at)))
    for (n, u), k in at.items():
        busy = min(n, u)
        moves = {(n + 1, u): load, (n - 1, u): busy, (n, u + 1): (5 - u) / down}
        moves |= {(n - 1, u - 1): busy / up, (n, u - 1): (u - busy) / up}
        for state, rate in moves.items():
            if state in at:
                rates[k, at[state]] += rate
    rates -= np.diag(rates.sum(axis=1))
    law = np.linalg.solve(np.vstack([rates.T[1:], np.ones(len(at))]), np.append(np.zeros(len(at) - 1), 1.0))
    present = sum(p * n for (n, _), p in zip(at, law, strict=True))
    told = pool.simulate(900_000, seed=3)
    low, high = told.in_flight.interval(1.0 - 1e-6)
    assert low < present < high < 1.03 * low


def test_in_flight_are_the_busy_servers_where_nobody_waits():
    """The mean latency of those that are not lost, times the arrivals, is an eighth more: the lost leave early."""
    pool = FailingServers(1000.0, 40, sm.Uniform(0.0, 0.02), up=0.02, down=0.001, fate="lost")
    told = pool.simulate(500_000, seed=3)
    low, high = told.in_flight.interval(1.0 - 1e-6)
    assert low < pool.offered_load < high < 1.03 * low
    assert 1000.0 * told.latency.mean() > 1.1 * high
    assert pool.replace(arrival_rate=1e5).in_flight == np.inf


def test_what_restarts_without_end_overloads():
    pool = FailingServers(200.0, 10, sm.Exponential(0.01), up=0.01, down=0.002, fate="restarts")
    assert pool.utilization == np.inf
    assert pool.probability_short == pytest.approx(1.0)
    assert pool.latency == sm.Never()
    tail = pool.replace(service=sm.LogNormal(0.001, 1.0))
    assert tail.accuracy("offered_load").side == "below"


def test_what_is_short_and_for_how_long():
    pool = FailingServers(7.0, 10, ONE, up=19.0, down=1.0)
    assert pool.probability_short == pytest.approx(servers_up(10, 0.95)[:8].sum())
    brief, long = (pool.replace(up=19 * down, down=down).latency.mean() for down in (1.0, 1000.0))
    assert long > 1.2 * brief  # the same availability


@pytest.mark.slow
def test_the_twin_agrees():
    table = sm.verify(FailingServers(500.0, 10, up=1.9, down=0.1), 1_000_000, seed=1).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.06
    assert {"availability", "probability_of_wait", "utilization"} <= set(table.index)
    wrong = FailingServers(500.0, 10, up=1.9, down=0.1).latency.mean() * 1.06
    low, high = FailingServers(500.0, 10, up=1.9, down=0.1).simulate(1_000_000, seed=1).latency.mean_interval(1 - 1e-6)
    assert not low < wrong < high


def test_edges():
    over = FailingServers(960.0, 10)
    assert over.utilization > 1.0
    assert over.latency == sm.Never()
    with pytest.raises(sm.NotSettled, match="no steady state"):
        over.simulate(1000)
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        FailingServers(fate="lost").latency  # noqa: B018
    assert FailingServers(fate="lost").accuracy("latency").label == "simulated"
    assert FailingServers().accuracy("latency").label == "exact"
    assert FailingServers().accuracy("latency", 0.99).label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="percentile"):
        FailingServers().latency.icdf(0.99)
    with pytest.raises(ValueError, match="one worker a server"):
        FailingServers(workers=2).simulate(1000)
    with pytest.raises(ValueError, match="take too long"):
        FailingServers(up=1e6).simulate(1000)
    told = FailingServers().timeline(seed=1)
    line = told.lines["requests in the pool"]
    assert line.max() > 3 * line[:50].mean()
    assert line[-20:].mean() < line.max() / 3
