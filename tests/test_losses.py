"""Loss systems against chains solved exactly, Erlang's formulas, and a queue run event by event."""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, mean, ratio, run, streams
from scipy import special

import scaling_models as sm
from scaling_models.montecarlo.kernels.losses import Loss, lossy_waits, start_line
from scaling_models.montecarlo.kernels.queues import busy_slots, central_waits
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools.formulas.erlang import erlang_b


def by_events(services, gaps, slots, limit, patience, deadline):
    """(fate, time in the queue) of each request, by a calendar of arrivals, completions and departures in a huff."""
    arrivals = np.cumsum(gaps)
    calendar = [(t, 2, i) for i, t in enumerate(arrivals)]
    heapq.heapify(calendar)
    idle, queue, fates = slots, [], {}
    while calendar:
        now, kind, who = heapq.heappop(calendar)
        if kind == 2:
            if not idle and len(queue) >= limit:
                fates[who] = ("rejected", 0.0)
                continue
            queue.append(who)
            heapq.heappush(calendar, (now + patience[who], 1, who))
        elif kind == 1:
            if who in queue:
                queue.remove(who)
                fates[who] = ("abandoned", patience[who])
        else:
            idle += 1
        while idle and queue:
            head = queue.pop(0)
            waited = now - arrivals[head]
            if waited > deadline:
                fates[head] = ("dropped", waited)
                continue
            fates[head] = ("served", waited)
            idle -= 1
            heapq.heappush(calendar, (now + services[head], 0, head))
    return [fates[i] for i in range(len(services))]


def fates_of(waits, rejected, patience, deadline):
    """The same from what the kernel answers."""
    for wait, full, most in zip(waits, rejected, patience, strict=True):
        if full:
            yield "rejected", 0.0
        elif wait > most:
            yield "abandoned", most
        else:
            yield ("dropped" if wait > deadline else "served"), wait


@given(
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.sampled_from([0, 1, 2, 5, math.inf]),
    st.sampled_from([math.inf, 0.5, 3.0]),
    st.sampled_from([math.inf, 0.3, 2.0]),
)
@settings(max_examples=100, deadline=None)
def test_every_path_is_that_of_the_events(seed, slots, limit, impatience, deadline):
    rng, shape = np.random.default_rng(seed), (80, 3)
    services, gaps = rng.exponential(1.0, shape), rng.exponential(0.8 / slots, shape)
    patience = impatience * rng.exponential(1.0, shape)
    first = lossy_waits(
        services[:37], gaps[:37], start_line(np.zeros((slots, 3)), limit, np.zeros(3)), limit, patience[:37], deadline
    )
    second = lossy_waits(services[37:], gaps[37:], first[2], limit, patience[37:], deadline)
    waits, rejected = (np.concatenate([a, b]) for a, b in zip(first[:2], second[:2], strict=True))
    for lane in range(3):
        expected = by_events(services[:, lane], gaps[:, lane], slots, limit, patience[:, lane], deadline)
        found = list(fates_of(waits[:, lane], rejected[:, lane], patience[:, lane], deadline))
        assert [fate for fate, _ in found] == [fate for fate, _ in expected]
        np.testing.assert_allclose([t for _, t in found], [t for _, t in expected], rtol=0, atol=1e-9)


def test_without_loss_it_is_kiefer_and_wolfowitz():
    rng = np.random.default_rng(4)
    services, gaps = rng.exponential(1.0, (300, 8)), rng.exponential(0.4, (300, 8))
    waits, rejected, line = lossy_waits(services, gaps, start_line(np.zeros((3, 8)), 10**3, np.zeros(8)), 10**3)
    expected, free = central_waits(services, gaps, np.zeros((3, 8)))
    assert np.array_equal(waits, expected)
    assert not rejected.any()
    assert np.array_equal(line.free, free)


@pytest.mark.parametrize("patience", [math.inf, 1e9], ids=["ring", "sorted"])
def test_places_in_order_and_places_sorted_agree(patience):
    rng = np.random.default_rng(5)
    services, gaps = rng.exponential(1.0, (400, 8)), rng.exponential(0.4, (400, 8))
    waits, rejected, _ = lossy_waits(
        services, gaps, start_line(busy_slots(2, np.full(8, 3.0)), 7, np.full(8, 3.0)), 7, patience
    )
    assert 0.05 < rejected.mean() < 0.5
    other = lossy_waits(
        services, gaps, start_line(busy_slots(2, np.full(8, 3.0)), 7, np.full(8, 3.0)), 7, np.full((400, 8), 1e8)
    )
    assert np.array_equal(rejected, other[1])
    assert np.array_equal(waits, other[0])


def with_places(load, slots, places):
    """Exact M/M/c/K at mean service 1: shares of time with n in the system."""
    n = np.arange(slots + places + 1)
    logs = n * np.log(load) - special.gammaln(np.minimum(n, slots) + 1) - np.maximum(n - slots, 0) * np.log(slots)
    return np.exp(logs - special.logsumexp(logs))


@pytest.mark.parametrize("backlog", [0.0, 30.0], ids=["empty", "overfull"])
@pytest.mark.parametrize(("load", "slots", "places"), [(9.0, 10, 5), (14.0, 10, 20), (0.9, 1, 3)])
def test_few_places(load, slots, places, backlog):
    system = Loss(Renewal(sm.Exponential(1.0 / load), sm.Exponential(1.0)), slots, places)
    sums = run(system, 6500, warm_up=1500, backlog=backlog)
    p = with_places(load, slots, places)
    n = np.arange(len(p))
    assert_agrees(ratio(sums["rejected"], sums["requests"]), p[-1], sees=0.04)
    assert_agrees(mean(sums, "wait"), p[slots:-1] @ (n[slots:-1] - slots + 1) / slots / (1 - p[-1]))
    assert_agrees(ratio(sums["waited"], sums["requests"]), p[slots:-1].sum())
    assert_agrees(ratio(sums["busy"], sums["time"]), load * (1 - p[-1]))


def test_the_tail_of_an_accepted_wait():
    load, slots, places, t = 9.0, 10, 5, 0.3
    p = with_places(load, slots, places)
    n = np.arange(slots, slots + places)
    exact = p[slots:-1] @ special.gammaincc(n - slots + 1, slots * t) / (1 - p[-1])
    system = Loss(Renewal(sm.Exponential(1.0 / load), sm.Exponential(1.0)), slots, places)
    state = system.start(np.full(4096, 0.0), streams(7, 10**6))
    _, state = system.advance(state, streams(7, 0), 200)
    outcomes, _ = system.advance(state, streams(7, 1), 1600)
    wait = outcomes.times["wait"]
    assert_agrees(ratio((wait > t).sum(axis=0), np.isfinite(wait).sum(axis=0)), exact, lanes=4096)


@pytest.mark.parametrize(
    "service", [sm.Exponential(1.0), sm.Deterministic(1.0), sm.LogNormal(1.0, 4.0)], ids=lambda law: type(law).__name__
)
def test_erlang_b_whatever_the_service(service):
    sums = run(Loss(Renewal(sm.Exponential(1.0 / 8.0), service), 10, 0), 6500, warm_up=1500)
    assert_agrees(ratio(sums["rejected"], sums["requests"]), float(erlang_b(10, 8.0)))


def impatient(arrivals, slots, patience):
    """M/M/c+M at mean service 1 by its chain: P(abandon), mean time in the queue, P(wait > 0)."""
    n = np.arange(slots + 2000)
    deaths = np.minimum(n[1:], slots) + np.maximum(n[1:] - slots, 0) / patience
    logs = np.concatenate([[0.0], np.cumsum(np.log(arrivals / deaths))])
    p = np.exp(logs - special.logsumexp(logs))
    waiting = p[slots:] @ (n[slots:] - slots)
    return waiting / patience / arrivals, waiting / arrivals, p[slots:].sum()


def erlang_a(arrivals, slots, patience):
    """The same by Garnett, Mandelbaum and Reiman's formula (2002), with x = c mu / theta and y = lambda / theta."""
    x, y = slots * patience, arrivals * patience
    a = np.exp(np.log(x) + y - x * np.log(y) + special.gammaln(x)) * special.gammainc(x, y)
    b = float(erlang_b(slots, arrivals))
    waits = a * b / (1 + (a - 1) * b)
    leave = waits * (1 + (1 / a - 1) * slots / arrivals)
    return leave, leave * patience, waits


@pytest.mark.parametrize("backlog", [0.0, 5.0], ids=["empty", "overfull"])
@pytest.mark.parametrize(("arrivals", "slots", "patience"), [(9.0, 10, 2.0), (12.0, 10, 0.5), (60.0, 50, 1.0)])
def test_erlang_a(arrivals, slots, patience, backlog):
    system = Loss(
        Renewal(sm.Exponential(1.0 / arrivals), sm.Exponential(1.0)), slots, patience=sm.Exponential(patience)
    )
    sums = run(system, 6500, warm_up=1500, backlog=backlog)
    exact = impatient(arrivals, slots, patience)
    np.testing.assert_allclose(exact, erlang_a(arrivals, slots, patience), rtol=1e-9)
    assert_agrees(ratio(sums["abandoned"], sums["requests"]), exact[0])
    assert_agrees(mean(sums, "wait"), exact[1])
    assert_agrees(ratio(sums["waited"], sums["requests"]), exact[2])
    assert_agrees(ratio(sums["busy"], sums["time"]), arrivals * (1 - exact[0]))


def test_few_places_and_impatience():
    """The chain in which at most four wait, each leaving at rate 1 / patience."""
    arrivals, slots, places, patience = 6.0, 5, 4, 0.7
    n = np.arange(1, slots + places + 1)
    p = np.cumprod(np.concatenate([[1.0], arrivals / (np.minimum(n, slots) + np.maximum(n - slots, 0) / patience)]))
    p /= p.sum()
    system = Loss(Renewal(sm.Exponential(1 / arrivals), sm.Exponential(1.0)), slots, places, sm.Exponential(patience))
    sums = run(system, 6500, warm_up=1500)
    assert_agrees(ratio(sums["rejected"], sums["requests"]), p[-1], sees=0.04)
    assert_agrees(ratio(sums["abandoned"], sums["requests"]), p[slots:] @ np.arange(places + 1) / patience / arrivals)


@pytest.mark.parametrize("dropped", [True, False], ids=["dropped at the head", "leaving at once"])
def test_a_fixed_deadline(dropped):
    """M/M/c+D: the offered wait has density l p exp((l - c) x) up to the deadline D, l p exp(l D - c x) beyond.

    (Baccelli and Hebuterne 1981.) Who is served is the same whether the others leave at D or are dropped at the head.
    """
    arrivals, slots, deadline = 11.0, 10, 0.4
    drift = arrivals - slots
    below = arrivals * math.expm1(drift * deadline) / drift  # over p, the chance of c - 1 in service
    beyond = arrivals * math.exp(drift * deadline) / slots
    idle = 1.0 / float(erlang_b(slots - 1, arrivals))  # of fewer than c in service, over p
    lost = beyond / (idle + below + beyond)
    laws = {"deadline": deadline} if dropped else {"patience": sm.Deterministic(deadline)}
    sums = run(Loss(Renewal(sm.Exponential(1 / arrivals), sm.Exponential(1.0)), slots, **laws), 6500, warm_up=1500)
    assert_agrees(ratio(sums["dropped" if dropped else "abandoned"], sums["requests"]), lost)
    assert not sums["abandoned" if dropped else "dropped"].any()


def test_lanes_are_picked_and_limits_checked():
    system = Loss(Renewal(sm.Exponential(0.5), sm.Exponential(1.0)), 2, 3)
    _, state = system.advance(system.start(np.full(4, 0.0), streams(1, 0)), streams(1, 1), 50)
    chosen = np.array([2, 2, 0])
    some = system.pick(state, chosen)
    for whole, part in zip((*state[0], *state[1]), (*some[0], *some[1]), strict=True):
        assert np.array_equal(whole[..., chosen], part)
    before = state[0].free.copy()
    system.advance(some, streams(1, 2), 50)
    assert np.array_equal(state[0].free, before)
    for limit in (-1, 1.5, math.nan):
        with pytest.raises(ValueError, match="queue_limit must be a whole number"):
            Loss(Renewal(sm.Exponential(1.0), sm.Exponential(1.0)), 1, limit)
