"""Closed loops against the machine-repairman chain, its insensitivity, and a loop run event by event."""

import collections
import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, mean, ratio, run, streams
from scipy import special

import scaling_models as sm
from scaling_models.montecarlo.kernels.loops import Circle, Loop, closed_waits


def by_events(services, thinks, slots, ready):
    """Waits by a calendar of answers and of clients who are ready; draws belong to requests in order of sending."""
    calendar = [(at, 1, who, None) for who, at in enumerate(ready)]
    heapq.heapify(calendar)
    idle, queue, sent, waits = slots, collections.deque(), [], {}
    while len(waits) < len(services):
        now, kind, who, request = heapq.heappop(calendar)
        if kind == 0:
            idle += 1
            heapq.heappush(calendar, (now + thinks[request], 1, who, None))
        elif len(sent) < len(services):
            queue.append((who, len(sent)))
            sent.append(now)
        while idle and queue:
            who, request = queue.popleft()
            idle -= 1
            waits[request] = now - sent[request]
            heapq.heappush(calendar, (now + services[request], 0, who, request))
    return [waits[i] for i in range(len(services))], sent[-1]


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 9), st.sampled_from([0.1, 1.0, 5.0]))
@settings(max_examples=100, deadline=None)
def test_every_path_is_that_of_the_events(seed, slots, clients, think):
    rng = np.random.default_rng(seed)
    services, thinks = rng.exponential(1.0, (70, 3)), rng.exponential(think, (70, 3))
    state = Circle(np.zeros((slots, 3)), rng.exponential(think, (3, clients)))
    first, time, middle = closed_waits(services[:31], thinks[:31], state)
    second, more, _ = closed_waits(services[31:], thinks[31:], middle)
    waits = np.concatenate([first, second])
    for lane in range(3):
        expected, last = by_events(services[:, lane], thinks[:, lane], slots, state.ready[lane])
        np.testing.assert_allclose(waits[:, lane], expected, rtol=0, atol=1e-9)
        assert abs(time[lane] + more[lane] - last) < 1e-9


def repairman(clients, think, slots):
    """M/M/c//N at mean service 1: shares of time with n at the slots, p_n ~ prod (N - n) / (think min(n, c))."""
    n = np.arange(1, clients + 1)
    p = np.cumprod(np.concatenate([[1.0], (clients - n + 1) / think / np.minimum(n, slots)]))
    return p / p.sum()


@pytest.mark.parametrize("backlog", [0.0, 1.0], ids=["all thinking", "all asking"])
@pytest.mark.parametrize(
    "law", [sm.Exponential, lambda mean: sm.LogNormal(mean, 4.0)], ids=["exponential", "lognormal"]
)
@pytest.mark.parametrize(("clients", "think", "slots"), [(20, 9.0, 2), (40, 3.0, 10), (3, 0.5, 1)])
def test_the_machine_repairman(clients, think, slots, law, backlog):
    """Product form, whatever the law of thinking: throughput, response, and by the arrival theorem the wait."""
    sums = run(Loop(clients, law(think), sm.Exponential(1.0), slots), 9000, warm_up=2000, backlog=backlog)
    p, n = repairman(clients, think, slots), np.arange(clients + 1)
    throughput = p @ np.minimum(n, slots)
    assert_agrees(ratio(sums["requests"], sums["time"]), throughput)
    assert_agrees(mean(sums, "latency"), clients / throughput - think)
    seen = repairman(clients - 1, think, slots)[slots:]
    assert_agrees(ratio(sums["waited"], sums["requests"]), seen.sum())
    assert_agrees(mean(sums, "wait"), seen @ np.arange(1, len(seen) + 1) / slots)


def test_the_tail_of_the_wait():
    clients, think, slots, t = 40, 3.0, 8, 1.5
    seen = repairman(clients - 1, think, slots)[slots:]
    exact = seen @ special.gammaincc(np.arange(1, len(seen) + 1), slots * t)
    system = Loop(clients, sm.Exponential(think), sm.Exponential(1.0), slots)
    state = system.start(np.full(512, 0.0), streams(3, 99))
    _, state = system.advance(state, streams(3, 0), 1000)
    outcomes, _ = system.advance(state, streams(3, 1), 6000)
    above = (outcomes.times["wait"] > t).sum(axis=0)
    assert_agrees(ratio(above, np.full(512, 6000.0)), exact, sees=0.04)


def test_a_slot_for_each_client():
    """Nobody waits; each cycle is a think time and a service, whatever their laws."""
    think, service = sm.LogNormal(2.0, 3.0), sm.Uniform(0.1, 1.5)
    sums = run(Loop(5, think, service, 5), 4000, warm_up=1000)
    assert not sums["waited"].any()
    assert_agrees(ratio(sums["requests"], sums["time"]), 5 / (think.mean() + service.mean()))
    assert_agrees(ratio(sums["busy"], sums["requests"]), service.mean())


def test_lanes_are_picked():
    system = Loop(4, sm.Exponential(1.0), sm.Exponential(1.0), 2)
    _, state = system.advance(system.start(np.full(3, 1.0), streams(1, 0)), streams(1, 1), 20)
    some = system.pick(state, np.array([2, 2, 0]))
    assert np.array_equal(some.ready, state.ready[[2, 2, 0]])
    assert np.array_equal(some.free, state.free[:, [2, 2, 0]])
    before = state.ready.copy()
    system.advance(some, streams(1, 2), 20)
    assert np.array_equal(state.ready, before)
