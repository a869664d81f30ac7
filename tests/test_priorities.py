"""Priorities against Cobham's means, their preemptive sisters, and queues run event by event."""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, mean, ratio, run, streams

import scaling_models as sm
from scaling_models.montecarlo.kernels.priorities import (
    Interrupted,
    Preemption,
    Priorities,
    PriorityClass,
    Slots,
    preemptive_latencies,
    priority_waits,
)
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.priorities import cobham, preemptive_resume


def as_read(drawn, classes, count):
    """Of what was drawn (steps, classes), what each class read, in order."""
    return [drawn[classes == k, k] for k in range(count)]


def waits_by_events(arrivals, services, slots):
    """Waits of each class by a calendar of arrivals and ends, and a queue from which the highest class is taken."""
    calendar = [(t, 1, k, j) for k, times in enumerate(arrivals) for j, t in enumerate(times)]
    heapq.heapify(calendar)
    idle, queue, waits = slots, [], [[math.nan] * len(times) for times in arrivals]
    while calendar:
        now, kind, k, j = heapq.heappop(calendar)
        if kind == 0:
            idle += 1
        else:
            heapq.heappush(queue, (k, j))
        while idle and queue:
            k, j = heapq.heappop(queue)
            idle -= 1
            waits[k][j] = now - arrivals[k][j]
            if j < len(services[k]):
                heapq.heappush(calendar, (now + services[k][j], 0, k, j))
    return waits


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.5, 0.9, 1.3]))
@settings(max_examples=100, deadline=None)
def test_every_path_is_that_of_the_events(seed, slots, count, load):
    rng, shape = np.random.default_rng(seed), (90, count, 2)
    services, gaps = rng.exponential(1.0, shape), rng.exponential(count / slots / load, shape)
    state = Slots(np.zeros((slots, 2)), rng.exponential(1.0, (count, 2)))
    first = priority_waits(services[:41], gaps[:41], state)
    second = priority_waits(services[41:], gaps[41:], first[3])
    waits, classes = (np.concatenate([a, b]) for a, b in zip(first[:2], second[:2], strict=True))
    for lane in range(2):
        who = classes[:, lane]
        read, came = (as_read(drawn[:, :, lane], who, count) for drawn in (services, gaps))
        arrivals = [state.heads[k, lane] + np.cumsum(np.concatenate([[0.0], came[k]])) for k in range(count)]
        expected = waits_by_events(arrivals, read, slots)
        for k in range(count):  # of each class the one after the last to be taken has no service: it is left out
            np.testing.assert_allclose(waits[who == k, lane], expected[k][: len(read[k])], rtol=0, atol=1e-9)
        arrival = arrivals[who[-1]][len(read[who[-1]]) - 1]
        assert abs(first[2][lane] + second[2][lane] - arrival - waits[-1, lane]) < 1e-9


def latencies_by_events(arrivals, services):
    """Latencies of each class before one server: at each event the highest class present is put into service."""
    events = sorted((t, k, j) for k, times in enumerate(arrivals) for j, t in enumerate(times))
    present, latencies, now = {}, [{} for _ in arrivals], 0.0
    for at, new_class, new in [*events, (math.inf, None, None)]:
        while present:
            k, j = min(present)
            if now + present[k, j] > at:
                present[k, j] -= at - now
                break
            now += present.pop((k, j))
            latencies[k][j] = now - arrivals[k][j]
        now = at
        if new_class is not None:
            present[new_class, new] = services[new_class][new]
    return latencies


@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([0.5, 0.9, 1.3]))
@settings(max_examples=100, deadline=None)
def test_every_preemptive_path_is_that_of_the_events(seed, count, load):
    rng, shape = np.random.default_rng(seed), (120, count, 2)
    services, gaps = rng.exponential(1.0, shape), rng.exponential(count / load, shape)
    begun = rng.exponential(1.0, (count, 2))
    state = Interrupted(rng.exponential(1.0, (count, 2)), begun, begun)
    first = preemptive_latencies(services[:53], gaps[:53], state)
    second = preemptive_latencies(services[53:], gaps[53:], first[5])
    latencies, waits, classes = (np.concatenate([a, b]) for a, b in zip(first[:3], second[:3], strict=True))
    for lane in range(2):
        who = np.where(np.isfinite(latencies[:, lane]), classes[:, lane], -1)
        read, came = (as_read(drawn[:, :, lane], who, count) for drawn in (services, gaps))
        read = [np.concatenate([begun[k : k + 1, lane], read[k]]) for k in range(count)]
        arrivals = [state.heads[k, lane] + np.cumsum(np.concatenate([[0.0], came[k]])) for k in range(count)]
        expected = latencies_by_events(arrivals, read)
        for k in range(count):
            found = latencies[who == k, lane]
            np.testing.assert_allclose(found, [expected[k][j] for j in range(len(found))], rtol=0, atol=1e-9)
            np.testing.assert_allclose(found - waits[who == k, lane], read[k][:-1], rtol=0, atol=1e-9)
    idle = first[4] + second[4] - first[3] - second[3]
    assert (idle >= -1e-9).all()


def test_one_class_is_kiefer_and_wolfowitz():
    rng = np.random.default_rng(6)
    services, gaps = rng.exponential(1.0, (300, 4)), rng.exponential(0.4, (301, 4))
    expected, _ = central_waits(services, gaps[:300], np.zeros((3, 4)))
    waits, *_ = priority_waits(services[:, None], gaps[1:, None], Slots(np.zeros((3, 4)), gaps[:1]))
    np.testing.assert_allclose(waits, expected, rtol=0, atol=1e-9)


MIXED = (
    PriorityClass(sm.Exponential(5.0), sm.Exponential(1.0)),
    PriorityClass(sm.Exponential(2.5), sm.Uniform(0.2, 0.8)),
    PriorityClass(sm.Exponential(10.0), sm.LogNormal(3.0, 0.5)),
)
"""Loads of 0.2, 0.2 and 0.3."""


def sums_of(classes):
    """Loads of the classes up to and with each, and their residual work lambda E S^2 / 2 likewise cumulated."""
    rates = np.array([1.0 / each.gap.mean() for each in classes])
    firsts = np.array([each.service.mean() for each in classes])
    seconds = np.array([each.service.variance() for each in classes]) + firsts**2
    return np.cumsum(rates * firsts), np.cumsum(rates * seconds / 2.0)


BOTH_STARTS = pytest.mark.parametrize("backlog", [0.0, 30.0], ids=["empty", "overfull"])


@BOTH_STARTS
def test_cobham(backlog):
    """M/G/1, non-preemptive: W_k = sum_i lambda_i E S_i^2 / 2 / ((1 - s_{k-1}) (1 - s_k)), s_k the load up to class k
    (Cobham 1954)."""
    loads, work = sums_of(MIXED)
    sums = run(Priorities(MIXED, 1), 7000, warm_up=2000, backlog=backlog)
    for k, before in enumerate([0.0, *loads[:-1]]):
        assert_agrees(mean(sums, f"wait_{k + 1}"), work[-1] / (1 - before) / (1 - loads[k]), sees=0.05)
        share = (1 / MIXED[k].gap.mean()) / sum(1 / each.gap.mean() for each in MIXED)
        assert_agrees(ratio(sums[f"requests_{k + 1}"], sums["requests"]), share)
    assert_agrees(ratio(sums["busy"], sums["time"]), loads[-1])


@BOTH_STARTS
def test_several_slots(backlog):
    """M/M/c with one service law: W_k = C / (c mu) / ((1 - s_{k-1}) (1 - s_k)), C Erlang's (Cobham 1954)."""
    slots, service = 5, sm.Exponential(1.0)
    classes = (PriorityClass(sm.Exponential(0.5), service), PriorityClass(sm.Exponential(2 / 3), service))
    sums = run(Priorities(classes, slots), 7000, warm_up=2000, backlog=backlog)
    c = float(erlang_c(slots, 3.5)) / slots
    assert_agrees(mean(sums, "wait_1"), c / (1 - 0.4))
    assert_agrees(mean(sums, "wait_2"), c / (1 - 0.4) / (1 - 0.7), sees=0.05)
    assert_agrees(mean(sums, "wait"), c / (1 - 0.7), sees=0.05)


@BOTH_STARTS
def test_preemption(backlog):
    """M/G/1, preemptive-resume: T_k = E S_k / (1 - s_{k-1}) + W_k, W_k as Cobham's but with i <= k.

    The highest class does not see the others; the law of its wait is that of M/M/1.
    """
    loads, work = sums_of(MIXED)
    sums = run(Preemption(MIXED), 7000, warm_up=2000, backlog=backlog)
    for k, before in enumerate([0.0, *loads[:-1]]):
        own = MIXED[k].service.mean()
        exact = own / (1 - before) + work[k] / (1 - before) / (1 - loads[k])
        assert_agrees(mean(sums, f"latency_{k + 1}"), exact, sees=0.05)
        assert_agrees(mean(sums, f"wait_{k + 1}"), exact - own, sees=0.08)
    assert_agrees(ratio(sums["busy"], sums["time"]), loads[-1])


def test_the_highest_class_is_alone_when_it_interrupts():
    system = Preemption(MIXED)
    state = system.start(np.full(512, 0.0), streams(5, 99))
    _, state = system.advance(state, streams(5, 0), 1000)
    outcomes, _ = system.advance(state, streams(5, 1), 2000)
    latency, alone = outcomes.times["latency_1"], sm.Exponential(1.0 / (1.0 - 0.2))
    for t in (1.0, 3.0):
        found = ratio((latency > t).sum(axis=0), np.isfinite(latency).sum(axis=0))
        assert_agrees(found, alone.ccdf(t), sees=0.06)


@pytest.mark.parametrize("system", [Priorities(MIXED, 2), Preemption(MIXED)], ids=["non-preemptive", "preemptive"])
def test_lanes_are_picked(system):
    _, state = system.advance(system.start(np.full(3, 1.0), streams(1, 0)), streams(1, 1), 20)
    chosen = np.array([2, 2, 0])
    some = system.pick(state, chosen)
    before = [field.copy() for field in state]
    system.advance(some, streams(1, 2), 20)
    for field, copy, picked in zip(state, before, some, strict=True):
        assert np.array_equal(field, copy)
        assert np.array_equal(picked, field[:, chosen])


def test_a_class_that_never_comes_brings_no_work():
    """However long its services would be: its rate is 0."""
    rates, means, seconds = [1.0, 0.0], [0.1, math.inf], [0.02, math.inf]
    np.testing.assert_allclose(cobham(rates, means, seconds), [0.01 / 0.9, 0.01 / 0.81])
    interrupting = preemptive_resume(rates, [0.1, 1.0], seconds)
    np.testing.assert_allclose(interrupting, [0.01 / 0.9, 0.01 / 0.81 + 0.1 / 0.9])
