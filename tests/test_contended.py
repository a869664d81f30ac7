"""A pool whose slots slow each other down: its kernel path by path, its chains by other routes, and by simulation.

False-alarm rate of one verification 1e-6; seeds are fixed.
"""

import collections
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency.phases import Phases
from scaling_models.montecarlo.kernels.contended import Contended, Contention, contended_times
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools import CentralQueue, ContendedPool
from scaling_models.pools.formulas import contended
from scaling_models.pools.formulas.contended import contended_number, contended_response, contended_shares
from scaling_models.pools.times.contended_response import ContendedResponse

LIGHT = ContendedPool(240.0, 8, workers=1, coherency=0.01)


def played(services, gaps, pace):
    """One lane from empty, by a plain loop over what is left of each service: (departures' latencies, waits)."""
    slots = len(pace) - 1
    now, coming, inside, queue = 0.0, 0.0, [], collections.deque()
    latencies, waits = {}, {}
    for row, (service, gap) in enumerate(zip(services, gaps, strict=True)):
        left = min((each[0] for each in inside), default=math.inf)
        lasts = left / pace[len(inside)] if inside else math.inf
        if now + lasts <= coming:
            for each in inside:
                each[0] -= left
            now += lasts
            done = min(inside, key=lambda each: each[0])
            inside.remove(done)
            latencies[row] = now - done[1]
            if queue:
                born = queue.popleft()
                inside.append([service, born])
                waits[row] = now - born
        else:
            for each in inside:
                each[0] -= (coming - now) * pace[len(inside)]
            now = coming
            coming += gap
            if len(inside) < slots:
                inside.append([service, now])
                waits[row] = 0.0
            else:
                queue.append(now)
    return latencies, waits


def empty(lanes, slots):
    return Contention(
        np.zeros(lanes),
        np.full((lanes, slots), np.inf),
        np.zeros((lanes, slots)),
        np.zeros((lanes, 2)),
        np.zeros(lanes, dtype=np.intp),
        np.zeros(lanes, dtype=np.intp),
    )


def test_paths_are_those_of_a_plain_loop_whatever_the_blocks():
    rng = np.random.default_rng(5)
    pace = np.array([1.0, 1.0, 0.7, 0.5, 0.3])
    services, gaps = rng.standard_exponential((400, 3)), rng.standard_exponential((400, 3)) * 0.7
    state, found = empty(3, 4), []
    for rows in (slice(0, 150), slice(150, 151), slice(151, 400)):
        times, _, state = contended_times(services[rows], gaps[rows], state, pace)
        found.append(times)
    for lane in range(3):
        latencies, waits = played(services[:, lane], gaps[:, lane], pace)
        for name, expected in (("latency", latencies), ("wait", waits)):
            column = np.concatenate([times[name][:, lane] for times in found])
            assert np.flatnonzero(np.isfinite(column)).tolist() == sorted(expected)
            np.testing.assert_allclose(column[np.isfinite(column)], list(expected.values()), atol=1e-9)
    assert state.length.max() > 4  # the ring has grown


def test_picked_lanes_go_on_as_they_would_have():
    system = Contended(Renewal(sm.Exponential(0.5), sm.Exponential(1.0)), (1.0, 0.8, 0.6))
    state = system.start(np.array([0.0, 3.0, 9.0]), streams_of(1))
    lone = system.pick(state, np.array([2]))
    rng = np.random.default_rng(3)
    services, gaps = rng.standard_exponential((2, 60, 3))
    pace = np.array([1.0, *system.pace])
    every, _, _ = contended_times(services, gaps, state[0], pace)
    one, _, _ = contended_times(services[:, 2:], gaps[:, 2:], lone[0], pace)
    np.testing.assert_array_equal(every["latency"][:, 2], one["latency"][:, 0])


@given(st.floats(1.0, 0.97 * 1000), st.integers(1, 40))
def test_without_contention_it_is_one_queue(load, slots):
    pool = ContendedPool(load * slots / 10.0, slots, workers=1, contention=0.0, coherency=0.0)
    plain = CentralQueue(load * slots / 10.0, slots)
    if pool.utilization >= 1.0:
        assert math.isinf(pool.latency.mean())
        return
    assert pool.probability_of_wait == pytest.approx(plain.probability_of_wait, rel=1e-10)
    assert pool.in_flight == pytest.approx(plain.in_flight, rel=1e-10)
    levels = [0.5, 0.99, 0.999]
    np.testing.assert_allclose(pool.latency.icdf(levels), plain.latency.icdf(levels), rtol=1e-7)
    np.testing.assert_allclose(pool.wait.icdf(levels), plain.wait.icdf(levels), rtol=1e-9, atol=1e-15)


RATES = st.lists(st.floats(10.0, 100.0), min_size=1, max_size=12)


@given(RATES, st.floats(0.05, 0.9))
def test_shares_are_the_chains(rates, load):
    """The balance equations solved as a linear system, of a chain long enough."""
    rate = load * rates[-1]
    size = len(rates) + math.ceil(-35.0 / math.log(load))
    chain = np.zeros((size, size))
    for k in range(size - 1):
        chain[k, k + 1] = rate
        chain[k + 1, k] = rates[min(k, len(rates) - 1)]
    chain -= np.diag(chain.sum(axis=1))
    chain[:, 0] = 1.0
    expected = np.linalg.solve(chain.T, np.eye(size)[0])
    below, full = contended_shares(rate, rates)
    np.testing.assert_allclose(below, expected[: len(rates)], atol=1e-9)
    assert full == pytest.approx(expected[len(rates) :].sum(), abs=1e-9)
    serving, waiting = contended_number(rate, rates)
    assert serving + waiting == pytest.approx(expected @ np.arange(size), rel=1e-8)


@given(RATES, st.floats(0.05, 0.95))
def test_response_obeys_littles_law(rates, load):
    rate = load * rates[-1]
    mean = contended_response(rate, rates).moment(1)
    assert mean * rate == pytest.approx(sum(contended_number(rate, rates)), rel=1e-8)


def by_positions(rate, rates, times, longest=45):
    """P(latency > t) by a chain that keeps the place in the queue and those behind, each by itself."""
    slots = len(rates)
    waiting = {(i, b): i * (longest + 1) + b for i in range(longest) for b in range(longest + 1)}
    served = {k: len(waiting) + k - 1 for k in range(1, slots + longest + 1)}
    rows, columns, values = [], [], []

    def jump(source, target, speed):
        rows.extend([source] * (1 + (target is not None)))
        columns.extend([source] if target is None else [source, target])
        values.extend([-speed] if target is None else [-speed, speed])

    for (i, b), at in waiting.items():
        if b < longest:
            jump(at, waiting[i, b + 1], rate)
        jump(at, waiting[i - 1, b] if i else served[slots + b], rates[-1])
    for k, at in served.items():
        own = rates[min(k, slots) - 1] / min(k, slots)
        if k + 1 in served:
            jump(at, served[k + 1], rate)
        if k > 1:
            jump(at, served[k - 1], rates[min(k, slots) - 1] - own)
        jump(at, None, own)
    size = len(waiting) + len(served)
    generator = sparse.csr_matrix((values, (rows, columns)), (size, size))
    start = np.zeros(size)
    below, full = contended_shares(rate, rates)
    for k, share in enumerate(below):
        start[served[k + 1]] = share
    load = rate / rates[-1]
    for i in range(longest):
        start[waiting[i, 0]] = full * (1.0 - load) * load**i
    return expm_multiply(generator.T, start, times[0], times[-1], len(times)).sum(axis=1)


def test_response_is_that_of_a_chain_of_places():
    rate, rates = 40.0, (30.0, 50.0, 62.0, 66.0)
    times = np.linspace(0.0, 0.6, 7)
    found = ContendedResponse(rate, rates).ccdf(times)
    np.testing.assert_allclose(found, by_positions(rate, rates, times), rtol=1e-6, atol=1e-9)


def test_cutting_long_queues_changes_nothing(monkeypatch):
    for rate, rates in [(60.0, (30.0, 50.0, 62.0, 66.0)), (300.0, LIGHT.replace(servers=30, arrival_rate=1.0)._rates)]:
        load = rate / rates[-1]
        rate = rate if load < 1 else 0.9 * rates[-1]
        short = contended_response(rate, rates)
        monkeypatch.setattr(contended, "LEAST_LOG", 60.0)
        long = contended_response(rate, rates)
        monkeypatch.undo()
        assert len(long.start) > len(short.start) * 1.3
        for order in (1, 2):
            assert short.moment(order) == pytest.approx(long.moment(order), rel=1e-8)


def test_a_limit_saves_a_pool_beyond_its_peak():
    pool = ContendedPool(400.0, workers=2, coherency=0.01)
    assert pool.capacity < 400.0 < pool.best_capacity
    assert math.isinf(pool.latency.mean())
    assert pool.in_flight == math.inf
    assert pool.capped.concurrency == pool.best_limit == 10
    assert pool.capped.latency.icdf(0.99) < 0.5
    assert pool.capacity_gain == pytest.approx(pool.best_capacity / pool.capacity - 1.0)
    every = [pool.replace(limit=n).capacity for n in range(1, 21)]
    assert pool.best_capacity == max(every)
    assert ContendedPool(workers=2, coherency=0.0).best_limit == 20


def test_the_limit_trades_waits_for_services():
    pool = ContendedPool()
    assert pool.capped.slowdown < pool.slowdown
    assert pool.capped.probability_of_wait > pool.probability_of_wait
    assert pool.capped.latency.icdf(0.999) < pool.latency.icdf(0.999)


def test_only_what_is_known_is_answered():
    wide = ContendedPool(2000.0, 200, workers=2, contention=0.001, coherency=0.0001)
    assert not wide.latency.spread_known
    assert wide.latency.mean() * 2000.0 == pytest.approx(wide.in_flight)
    assert wide.accuracy("latency").label == "exact"
    assert wide.accuracy("latency", 0.99).label == "simulated"
    other = ContendedPool(service=sm.LogNormal(0.01, 2.0))
    for name in ("latency", "wait", "probability_of_wait", "in_flight", "slowdown"):
        with pytest.raises(sm.NoClosedForm, match="exponential service only"):
            getattr(other, name)
        assert other.accuracy(name).label == "simulated"
    assert other.utilization == ContendedPool().utilization
    assert other.accuracy("capacity").label == "exact"


class WrongPool(ContendedPool):
    """As if the slots took no notice of arrivals behind a request: the latency of a three per cent lower load."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Three per cent off."""
        return ContendedPool.latency.compute(self) * 0.97


@pytest.mark.slow
def test_closed_forms_agree_and_what_is_three_per_cent_wrong_does_not():
    right = sm.verify(LIGHT, seed=4).set_index("quantity")
    assert (right.verdict != "disagrees").all(), right.to_string()
    assert right.loc["latency mean", "smallest_error"] < 0.03
    wrong = sm.verify(WrongPool(**LIGHT.values()), seed=4).set_index("quantity")
    assert wrong.loc["latency mean", "verdict"] == "disagrees"


@pytest.mark.slow
def test_varied_services_can_be_simulated_and_are_missed():
    table = sm.verify(LIGHT, seed=4, violating="services vary more").set_index("quantity")
    assert table.loc["latency p99", "verdict"] == "missed"
    assert isinstance(LIGHT.latency.phases, Phases)


def test_timeline_shows_what_the_limit_buys():
    told = ContendedPool(340.0, workers=2, coherency=0.01).timeline(1)
    whole, capped = told.lines.values()
    assert capped[-1] < whole[-1]
    with pytest.raises(ValueError, match="overloaded"):
        ContendedPool(440.0, workers=2, coherency=0.01).timeline()


def test_services_need_an_end():
    with pytest.raises(ValueError, match=r"ContendedPool.service must have a finite mean above 0 s; got Never"):
        ContendedPool(service=sm.Never())


def test_more_slots_than_a_chain_can_hold_are_refused():
    pool = ContendedPool(servers=10**6, workers=10**4, contention=0.0, coherency=0.0)
    assert pool.utilization < 1.0
    with pytest.raises(sm.NoClosedForm, match="up to 1,000,000 requests in service, not for 10,000,000,000"):
        pool.latency  # noqa: B018
