"""Kernels against loops, streams, runs that are the same whoever does them, warm-up, intervals that cover."""

import math
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.montecarlo import runs, settling
from scaling_models.montecarlo.bins import BinnedLatency
from scaling_models.montecarlo.estimates import NotSettled, Sampled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.queues import central_waits, fifo_waits
from scaling_models.montecarlo.kernels.rules import Random
from scaling_models.montecarlo.streams import stream, streams_of
from scaling_models.montecarlo.traffic.arrivals import Modulated, Renewal


def loop_waits(services, gaps, slots):
    """One queue, slot by slot, as a textbook's pseudo-code would do it; `gaps[n]` before customer n."""
    free, now, waits = [0.0] * slots, 0.0, []
    for service, gap in zip(services, gaps, strict=True):
        now += gap
        first = min(range(slots), key=free.__getitem__)
        waits.append(max(0.0, free[first] - now))
        free[first] = max(now, free[first]) + service
    return waits


@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_central_waits_equal_the_loop(seed, slots, customers):
    rng = np.random.default_rng(seed)
    services, gaps = rng.exponential(1.0, (customers, 3)), rng.exponential(1.0 / slots, (customers, 3))
    waits, free = central_waits(services, gaps, np.zeros((slots, 3)))
    for lane in range(3):
        np.testing.assert_allclose(waits[:, lane], loop_waits(services[:, lane], gaps[:, lane], slots), atol=1e-9)
    assert (np.diff(free, axis=0) >= 0).all()
    half = customers // 2
    first, state = central_waits(services[:half], gaps[:half], np.zeros((slots, 3)))
    second, _ = central_waits(services[half:], gaps[half:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), waits, atol=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(1, 79))
@settings(max_examples=60, deadline=None)
def test_fifo_waits_equal_the_loop_in_any_blocks(seed, customers, cut):
    rng = np.random.default_rng(seed)
    services, gaps = rng.exponential(1.0, customers), rng.exponential(1.1, customers)
    expected = loop_waits(services, np.concatenate([[0.0], gaps[:-1]]), 1)
    cut = min(cut, customers)
    first, state = fifo_waits(services[:cut], gaps[:cut])
    second, _ = fifo_waits(services[cut:], gaps[cut:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), expected, atol=1e-9)


def test_streams_are_named_and_seeded():
    assert stream(1, 2, 3).random() == stream(1, 2, 3).random()
    assert len({stream(1, *key).random() for key in ((), (0,), (1,), (0, 0), (0, 1))}) == 5
    for seed in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match="seed must be a whole number"):
            stream(seed)


def poisson(load, slots):
    return Central(Renewal(sm.Exponential(1.0 / (load * slots)), sm.Exponential(1.0)), slots)


def same(one, other):
    """Whether two simulated latencies are the same, byte by byte."""
    if isinstance(one, BinnedLatency):
        mine, yours = one.counts, other.counts
        return mine.first == yours.first and all(
            np.array_equal(getattr(mine, name), getattr(yours, name)) for name in ("bins", "sums", "squares")
        )
    return np.array_equal(one.batches, other.batches)


@pytest.mark.parametrize("kind", sm.MODELS, ids=lambda kind: kind.__name__)
def test_a_seed_repeats_a_simulation(kind):
    model = kind()
    one, again, other = (model.simulate(seed=seed) for seed in (5, 5, 6))
    for name, found in one.answers.items():
        if isinstance(found, Sampled):
            assert same(found, again.answers[name])
    random = [name for name, found in one.answers.items() if isinstance(found, Sampled) and found.off_the_atom()]
    assert all(one.answers[name].variance() != other.answers[name].variance() for name in random)


@pytest.fixture
def many_units(monkeypatch):
    """Runs cut into as many units as there are lanes to copy."""
    monkeypatch.setattr(Central, "copies", 1)


@pytest.mark.usefixtures("many_units")
@pytest.mark.parametrize("kept", [2**22, 2**10], ids=["samples", "bins"])
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_workers_do_not_change_the_answer(monkeypatch, kept, workers):
    monkeypatch.setattr(runs, "KEPT", kept)
    pool = sm.CentralQueue(700.0, 10)
    alone = pool.simulate(4_000_000, seed=3)
    with ThreadPoolExecutor(workers) as executor:
        shared = pool.simulate(4_000_000, seed=3, executor=executor)
    assert alone.cut == shared.cut
    assert alone.cut.units > 2
    assert isinstance(alone.latency, BinnedLatency) == (kept < 4_000_000)
    for name in ("wait", "latency"):
        assert same(getattr(alone, name), getattr(shared, name))
    assert alone.utilization == shared.utilization


@pytest.mark.usefixtures("many_units")
def test_processes_share_the_work_and_a_dead_one_loses_nothing():
    pool = sm.CentralQueue(700.0, 10)
    alone = pool.simulate(4_000_000, seed=3)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as executor:
        assert same(alone.latency, pool.simulate(4_000_000, seed=3, executor=executor).latency)
        executor.submit(os._exit, 1)  # the pool of workers breaks, now or under way
        assert same(alone.latency, pool.simulate(4_000_000, seed=3, executor=executor).latency)


@pytest.mark.usefixtures("many_units")
def test_an_interrupt_leaves_what_was_computed(monkeypatch):
    monkeypatch.setattr(runs, "KEPT", 2**22)
    pool = sm.CentralQueue(700.0, 10)
    whole = pool.simulate(4_000_000, seed=3)
    original = runs.unit_of_work
    stop = 2

    def interrupted(system, state, cut, seed, keep, unit):
        if unit == stop:
            raise KeyboardInterrupt
        return original(system, state, cut, seed, keep, unit)

    monkeypatch.setattr(runs, "unit_of_work", interrupted)
    with pytest.warns(UserWarning, match="interrupted: 2 of"):
        part = pool.simulate(4_000_000, seed=3)
    assert 0 < part.requests < whole.requests
    assert part.latency.size == part.requests
    assert np.array_equal(part.latency.batches, whole.latency.batches[:, : part.latency.batches.shape[1]])
    stop = 0
    with pytest.raises(KeyboardInterrupt):
        pool.simulate(4_000_000, seed=3)


@pytest.mark.parametrize("load", [0.3, 0.9, 0.97])
def test_the_measured_warm_up_forgets_the_start(load):
    """Lanes from empty and from overfull, after as many steps as other draws took to settle, are the same lanes.

    Given the same draws they differ only where they have not met; three pairs in a thousand of which any would be
    1e-9 likely where one in 1e4 had not.
    """
    system = poisson(load, 10)
    start = settling.settle(system, seed=11)
    lanes, ends = 1000, []
    for backlog in (0.0, start.backlog):
        state = system.start(np.full(lanes, backlog), streams_of(12, 0))
        for block in range(start.steps // 64):
            told, state = system.advance(state, streams_of(12, 1, block), 64)
        ends.append(told.times["wait"][-1])
    assert start.gap < settling.APART
    assert (ends[0] != ends[1]).mean() <= 0.003


@pytest.mark.parametrize(("servers", "load", "scv"), [(100, 0.1, 20.0), (10, 0.5, 1.0)])
def test_sharing_is_insensitive_however_long_the_longest_requests_stay(servers, load, scv):
    """Processor sharing: E[T] = E[S] / (1 - rho) whatever the service (M/G/1-PS).

    Its requests tell their latency when they leave. Where neither side began with any of the long ones, both agreed
    before the first had left, and three seeds were 8% low together; six standard errors of a seed are about 10%.
    """
    gap, service = sm.Exponential(1.0 / (load * servers)), sm.LogNormal(1.0, scv)
    system = Dispatch(Renewal(gap, service), Random(), servers, sharing=True)
    found = [runs.run(system, 100_000, seed).times["latency"].mean_estimate() for seed in range(6)]
    mean, error = np.mean([each.value for each in found]), math.hypot(*(each.error for each in found)) / len(found)
    assert abs(mean * (1.0 - load) - 1.0) < 0.05
    assert mean + 6.0 * error > 1.0 / (1.0 - load) > mean - 6.0 * error


def test_who_shares_does_not_wait_and_says_so():
    found = sm.pools.PowerOfChoices(8.0, 10, sm.Exponential(1.0), discipline="sharing").simulate(20_000)
    with pytest.raises(AttributeError, match="this simulation answers"):
        found.probability_of_wait  # noqa: B018  # it was 0 +- 0.00002
    assert set(found.answers) == {"utilization", "offered_load", "latency", "in_flight"}


def test_start_up_bias_is_seen_where_there_is_no_warm_up():
    """The trap that the warm-up is for: short lanes of a busy pool are all still filling up."""
    pool = sm.CentralQueue(9.5, 10, sm.Exponential(1.0))
    services, gaps, _ = pool.flow().draw((np.zeros(4000),), lambda purpose: stream(1, purpose), 60)
    waits, _ = central_waits(services, gaps, np.zeros((10, 4000)))
    second_half = from_batches(waits[30:].mean(axis=0))
    assert second_half.interval(1 - 1e-9)[1] < pool.wait.mean()
    low, high = pool.simulate(500_000, seed=1).wait.mean_estimate().interval(1 - 1e-6)
    assert low < pool.wait.mean() < high


def test_what_cannot_settle_says_so(monkeypatch):
    with pytest.raises(NotSettled, match="no steady state"):
        sm.CentralQueue(1000.0, 10).simulate(1000)
    rising = SimulatedLatency(np.sort(np.random.default_rng(0).random((64, 100)), axis=None).reshape(64, 100))
    with pytest.raises(NotSettled, match="began empty"):
        settling.check(rising)
    monkeypatch.setattr(settling, "LONGEST", 10_000)
    with pytest.raises(NotSettled, match="too near capacity"):
        sm.CentralQueue(999.0, 10).simulate(1000)


def test_a_start_that_is_not_overfull_is_begun_again():
    """The backlog is learnt: it ends well above the mean latency, however small it began."""
    for backlog in (0.0, 0.5):
        start = settling.settle(poisson(0.9, 1), 3, backlog)
        assert start.backlog >= settling.FULL * 9.0


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say(monkeypatch):
    """95% intervals of mean, p50, p95 and p99 over 1,000 seeded runs of M/M/1 at load 0.5: 93 to 97% must cover.

    Of samples and of counts in bins. The count is binomial: at a true 95% it leaves 930..970 with probability 0.4%
    (and the seeds are fixed).
    """
    system, exact, levels = poisson(0.5, 1), sm.Exponential(2.0), (0.5, 0.95, 0.99)
    expected = np.array([exact.mean(), *(float(exact.icdf(level)) for level in levels)])

    def intervals(found):
        return np.array([found.mean_interval(), *(found.interval(level) for level in levels)])

    each = []
    for seed in range(1000):
        kept = runs.run(system, 60_000, seed).times["latency"]
        each.append([intervals(kept), intervals(BinnedLatency(runs.counted(kept.batches), kept.controls))])
    low, high = np.moveaxis(np.array(each), -1, 0)  # (runs, samples or bins, answers)
    covered = ((low <= expected) & (expected <= high)).sum(axis=0)
    assert (covered >= 930).all(), covered
    assert (covered <= 970).all(), covered
    monkeypatch.setattr(runs, "KEPT", 0)
    binned = runs.run(system, 60_000, 0).times["latency"]
    assert isinstance(binned, BinnedLatency)
    np.testing.assert_allclose(intervals(binned), each[0][1], rtol=1e-9)


def test_the_longest_latencies_are_not_said_to_be_known_better_than_their_clusters_tell():
    """p99.9 of a busy pool with a heavy service, from a short run: plain batches said 3% where seeds differ by 6%."""
    pool = sm.CentralQueue(9.0, 10, sm.LogNormal(1.0, 4.0))
    truth, covered = 25.85, 0  # an independent event-by-event simulation of 81 million requests, +- 0.14
    for seed in range(10):
        low, high = pool.simulate(300_000, seed=seed).latency.interval(0.999)
        covered += low <= truth <= high
    assert covered >= 6  # at a true 95% fewer are 1e-5 likely


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_hundred_million_customers_stay_within_a_gibibyte():
    """Measured in a process of its own: the largest resident set, imports included."""
    code = (
        "import scaling_models as sm\n"
        "pool = sm.CentralQueue(8.0, 10, sm.Exponential(1.0))\n"
        "found = pool.simulate(100_000_000, seed=1)\n"
        "assert found.requests >= 100_000_000\n"
        "low, high = found.latency.interval(0.999, 1 - 1e-6)\n"
        "slack = 1 + found.latency.resolution\n"
        "assert low / slack <= pool.latency.icdf(0.999) <= high * slack\n"
        "assert high / low < 1.02\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert int(told.stdout) * 1024 < 2**30


def test_states_that_come_seldom_are_waited_for():
    """Bad times once in half a million seconds: runs whose lanes met none told a mean of 2.0 where it is 5.0."""
    service = sm.Exponential(1.0)
    seldom, never = (Modulated((2.0, 0.5), (1 / 500, 1 / good), service) for good in (5e5, 5e8))
    assert modulated_mean(seldom) == pytest.approx(5.004, abs=1e-3)
    assert seldom.cycle == pytest.approx(seldom.arrival_rate * 500_500.0)
    assert settling.rounds(Central(seldom, 1)) == math.ceil(100 * seldom.cycle / 256)
    with pytest.raises(NotSettled, match="come round in"):
        settling.settle(Central(never, 1), 1)
    oftener = Modulated((1.6, 0.4), (1 / 50, 1 / 5000), service)
    found = runs.run(Central(oftener, 1), 3_000_000, 1).times["latency"].mean_estimate()
    assert found.error < 0.06 * found.value
    assert abs(found.value - modulated_mean(oftener)) < 5.5 * found.error  # 1e-6 by Student's t


def modulated_mean(flow):
    """E[T] of MMPP/M/1 with mean service 1 by the rate matrix of its quasi birth-death process, and Little's law."""
    rates, identity = np.diag(flow.rates), np.eye(len(flow.rates))
    switching = flow._matrix - np.diag(flow._leaving)
    local = switching - rates - identity
    r = np.zeros_like(rates)
    for _ in range(200_000):
        r, before = -(rates + r @ r) @ np.linalg.inv(local), r
        if abs(r - before).max() < 1e-14:
            break
    boundary = switching - rates + r  # level 0: nobody served; from level 1 back at rate 1
    equations = np.vstack([boundary.T, (np.linalg.inv(identity - r) @ np.ones(len(r)))[None, :]])
    empty = np.linalg.lstsq(equations, np.append(np.zeros(len(r)), 1.0))[0]
    inverse = np.linalg.inv(identity - r)
    number = empty @ r @ inverse @ inverse @ np.ones(len(r))
    return number / flow.arrival_rate
