"""Retries against a calendar of events, exact queues in the limits, and the stable states of the fixed point."""

import collections
import dataclasses
import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, mean, ratio, run, streams
from scipy import optimize

import scaling_models as sm
from scaling_models.montecarlo.kernels.retries import Retries, attempts, timeline
from scaling_models.pools.formulas.retries import fates


def by_events(rules, services, gaps, uniform, first, horizon):
    """The requests of a lane as (sent, attempts, answered or None if it failed), by a calendar of everything.

    Slots, queue, each client's clock and each retry are events of their own; nothing is foreseen. At equal times come
    the ends of services, the stall, timeouts, retries and fresh requests, in this order.
    """
    calendar, number, step = [(first, 4, 0, "fresh", None)], 0, 0
    idle, queue, tokens = rules.slots, collections.deque(), rules.burst
    requests = []
    if rules.stall:
        heapq.heappush(calendar, (rules.stall[0], 1, 0, "stall", None))

    def at(time, order, kind, what):
        nonlocal number
        number += 1
        heapq.heappush(calendar, (time, order, number, kind, what))

    def fails(attempt, now):
        request = requests[attempt["request"]]
        if request["attempts"] > rules.retries:
            request["failed"] = True
            return
        delay = min(rules.backoff * 2.0 ** (request["attempts"] - 1), rules.longest_backoff)
        at(now + delay * (uniform[attempt["step"]] if rules.jitter else 1.0), 3, "retry", attempt["request"])

    def dequeue(now):
        nonlocal idle
        while idle and queue:
            head = queue.popleft()
            if head["stall"] is None and now - head["sent"] > rules.deadline:
                continue
            idle -= 1
            at(now + (services[head["step"]] if head["stall"] is None else head["stall"]), 0, "end", head)

    while step < horizon:
        now, _, _, kind, what = heapq.heappop(calendar)
        if kind == "end":
            idle += 1
            if what["stall"] is None and not what["given up"]:
                what["answered"] = True
                requests[what["request"]]["answered"] = now
            dequeue(now)
        elif kind == "stall":
            queue.extend({"stall": rules.stall[1]} for _ in range(rules.slots))
            dequeue(now)
        elif kind == "timeout":
            if not what["answered"]:
                what["given up"] = True
                fails(what, now)
        else:
            if kind == "fresh":
                requests.append({"sent": now, "attempts": 0, "answered": None, "failed": False})
                what = len(requests) - 1
                tokens = min(tokens + rules.budget, rules.burst)
                at(now + gaps[step], 4, "fresh", None)
            elif math.isfinite(rules.budget):
                if tokens < 1 - 1e-9:
                    requests[what]["failed"] = True
                    step += 1
                    continue
                tokens -= 1
            attempt = {"request": what, "step": step, "sent": now, "given up": False, "answered": False, "stall": None}
            step += 1
            requests[what]["attempts"] += 1
            waiting = sum(head["stall"] is None for head in queue)
            if not idle and waiting >= rules.queue_limit:
                fails(attempt, now)
                continue
            at(now + rules.timeout, 2, "timeout", attempt)
            queue.append(attempt)
            dequeue(now)
    return requests, now


RULES = {
    "timeout": st.sampled_from([0.5, 1.5, 4.0]),
    "retries": st.integers(0, 3),
    "backoff": st.sampled_from([0.0, 0.7]),
    "longest_backoff": st.sampled_from([1.0, math.inf]),
    "jitter": st.booleans(),
    "budget": st.sampled_from([0.1, 0.5, math.inf]),
    "burst": st.sampled_from([2.0, 10.0]),
    "queue_limit": st.sampled_from([0, 2, 6, math.inf]),
    "deadline": st.sampled_from([0.4, 2.0, math.inf]),
}


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.5, 1.2]), st.fixed_dictionaries(RULES))
@settings(max_examples=80, deadline=None)
def test_every_path_is_that_of_the_events(seed, slots, load, fields):
    rules = Retries(sm.Exponential(1.0 / slots / load), sm.Exponential(1.0), slots, **fields)
    assert_same_path(rules, seed, 120)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_stall_is_that_of_the_events(slots):
    """With services shorter than the stall no slot serves two of the stalls, so that they may queue like requests."""
    rules = Retries(sm.Exponential(2.0 / slots), sm.Uniform(0.5, 1.5), slots, 3.0, 2, stall=(20.0, 15.0))
    assert_same_path(rules, 3, 300)


def assert_same_path(rules, seed, steps):
    rng = np.random.default_rng(seed)
    services, gaps = (law._draw((steps, 2), rng) for law in (rules.service, rules.gap))
    uniform = rng.random((steps, 2)) if rules.jitter else None
    state, parts = rules.start(np.full(2, 0.0), streams(seed, 0)), []
    first = state.fresh
    for part in (slice(0, 47), slice(47, steps)):
        drawn = None if uniform is None else uniform[part]
        seen, state = attempts(rules, (services[part], gaps[part], drawn), state)
        parts.append(seen)
    seen = type(seen)(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    for lane in range(2):
        drawn = None if uniform is None else uniform[:, lane]
        requests, until = by_events(rules, services[:, lane], gaps[:, lane], drawn, first[lane], steps)
        good = np.flatnonzero(np.isfinite(seen.latency[:, lane]))
        answered = (seen.sent + seen.wait + services)[good, lane]
        assert seen.fresh[:, lane].sum() == len(requests)
        assert seen.made[:, lane].sum() == sum(request["attempts"] for request in requests)
        assert abs(seen.sent[-1, lane] - until) < 1e-9
        known = sorted(
            (at, latency) for at, latency in zip(answered, seen.latency[good, lane], strict=True) if at < until
        )
        expected = sorted((r["answered"], r["answered"] - r["sent"]) for r in requests if r["answered"] is not None)
        expected = [pair for pair in expected if pair[0] < until]
        np.testing.assert_allclose(np.array(known), np.array(expected), rtol=0, atol=1e-9)
        # What has failed for good by now; the kernel foretells a last attempt's timeout.
        failed = sum(request["failed"] for request in requests)
        pending = sum(not request["failed"] and request["answered"] is None for request in requests)
        assert failed <= seen.failed[:, lane].sum() <= failed + pending
        assert len(requests) == len(good) + seen.failed[:, lane].sum() + state.pending.used[lane]


POOL = sm.pools.CentralQueue(7.0, 10, sm.Exponential(1.0))


def test_without_retries_it_is_the_pool():
    """Timeouts only label: M/M/c exactly, and what succeeds is what takes no longer."""
    rules = Retries(sm.Exponential(1 / 7.0), sm.Exponential(1.0), 10, timeout=2.0, retries=0)
    sums = run(rules, 4000, warm_up=1000)
    assert_agrees(ratio(sums["failed"], sums["fresh"]), POOL.latency.ccdf(2.0))
    assert_agrees(ratio(sums["successes"], sums["attempts"]), POOL.latency.cdf(2.0))
    assert_agrees(ratio(sums["busy"], sums["time"]), 7.0)
    patient = run(dataclasses.replace(rules, timeout=math.inf), 4000, warm_up=1000)
    assert_agrees(mean(patient, "latency"), POOL.latency.mean())


def predicted(rules, load):
    """The fixed points x = L (1 + p + ... + p^R), p = P(response > timeout) at x: all crossings from L to L (R + 1)."""

    def excess(x):
        p = 1.0
        if x < rules.slots:
            p = sm.pools.CentralQueue(x, rules.slots, rules.service).latency.ccdf(rules.timeout)
        return load * sum(p**i for i in range(rules.retries + 1)) - x

    grid = np.linspace(load, load * (rules.retries + 1) - 1e-9, 400)
    values = [excess(x) for x in grid]
    found = [optimize.brentq(excess, *grid[i : i + 2]) for i in range(len(grid) - 1) if values[i] > 0 >= values[i + 1]]
    return [*found, load * (rules.retries + 1)] if load * (rules.retries + 1) >= rules.slots else found


@pytest.mark.parametrize(("load", "retries"), [(2.0, 3), (6.0, 3), (6.0, 2), (3.0, 2)])
def test_the_stable_states_are_the_predicted(load, retries):
    """Started empty the lower, started overloaded the higher, if there is one: within 2.5% and chance."""
    rules = Retries(sm.Exponential(1 / load), sm.Exponential(1.0), 10, timeout=4.0, retries=retries)
    states = predicted(rules, load)
    assert len(states) == (2 if load * (retries + 1) >= 10 else 1)
    for backlog, state in ((0.0, states[0]), (20.0, states[-1])):
        sums = run(rules, 2500, warm_up=5000, backlog=backlog, lanes=256)
        value, error = ratio(sums["attempts"], sums["time"])
        assert abs(value - state) < 0.025 * state + 6.0 * error
        assert 6.0 * error < 0.02 * state


@pytest.mark.parametrize("budget", [0.1, 0.5])
@pytest.mark.parametrize("load", [0.7, 0.95])
def test_a_budget_recovers_where_capacity_is_left(budget, load):
    """From overload it comes back if L (1 + b) < c mu; if not, attempts are (1 + b) times the requests."""
    rules = Retries(sm.Exponential(0.1 / load), sm.Exponential(1.0), 10, timeout=4.0, retries=3, budget=budget)
    sums = run(rules, 3000, warm_up=6000, backlog=30.0, lanes=256)
    if load * (1 + budget) >= 1.0:
        assert sums["successes"].sum() < 0.01 * sums["fresh"].sum()
        assert_agrees(ratio(sums["attempts"], sums["fresh"]), 1 + budget, lanes=256)
        return
    empty = run(rules, 3000, warm_up=1000, lanes=256, seed=2)
    (after, error), (before, other) = (ratio(each["successes"], each["fresh"]) for each in (sums, empty))
    assert abs(after - before) < 6.0 * math.hypot(error, other) < 0.01
    assert before > 0.98


STORY = Retries(sm.Exponential(1 / 300), sm.Exponential(0.010), 10, timeout=0.1, retries=3, stall=(3.0, 1.0))


@pytest.mark.parametrize(
    ("change", "recovers"),
    [
        ({}, False),
        ({"budget": 0.1}, True),
        ({"queue_limit": 50}, True),
        ({"deadline": 0.1}, True),
        ({"retries": 1}, True),
        ({"backoff": 0.1, "jitter": True}, False),
        ({"stall": None}, True),
    ],
    ids=str,
)
def test_a_second_of_stall_kills_a_pool_at_30_percent(change, recovers):
    """Ten workers, 300 requests/s of 10 ms, timeout 100 ms, three retries: the bad state exists, 4 x 300 > 1000."""
    rules = dataclasses.replace(STORY, **change)
    lanes = 8
    seen = timeline(rules, np.arange(0.0, 13.0), lanes, lambda i: streams(8, i))
    good = seen.successes / seen.fresh.mean()
    assert 0.95 < good[:3].mean() < 1.05
    if rules.stall:
        assert good[3].mean() < 0.05
    assert (good[-5:].mean(axis=0) > 0.8).all() if recovers else (good[-5:] < 0.01).all()
    times = 1 if recovers else 4
    rate = seen.attempts[-5:].mean()
    assert abs(rate - 300 * times) < 6.0 * times * math.sqrt(300 / 5 / lanes)  # Poisson requests, each `times` sent


def test_pending_retries_are_kept_however_many():
    rules = Retries(sm.Exponential(0.1), sm.Exponential(1.0), 1, timeout=100.0, retries=1)
    _, state = rules.advance(rules.start(np.full(3, 1e6), streams(1, 0)), streams(1, 1), 700)
    assert state.pending.due.shape == (3, 1024)
    assert (state.pending.used == np.isfinite(state.pending.due).sum(axis=1)).all()
    picked = rules.pick(state, np.array([2, 0, 0]))
    assert np.array_equal(picked.pending.due[2], state.pending.due[0])
    before = state.pending.due.copy()
    rules.advance(picked, streams(1, 2), 10)
    assert np.array_equal(state.pending.due, before)


def test_a_large_pool_that_never_waits_loses_nothing():
    """Where Erlang's B underflows nobody waits: an attempt is late only where its own service is."""
    found = fates([0.5, 10.0, 300.0], 1000, 1.0, 5.0, deadline=1.0)
    np.testing.assert_allclose(found.timed_out, np.exp(-5.0), rtol=1e-12)
    np.testing.assert_array_equal(found.served, 1.0)
    pool = sm.pools.RetryingClients(300.0, 300, sm.Exponential(0.01), remedies=(sm.pools.DeadlineDrop(0.1),))
    assert pool.utilization == pytest.approx(0.01, rel=1e-3)  # and e^-10 of them again
