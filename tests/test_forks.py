"""Fan-out against an event calendar with the same numbers, exact means, limits, and starts from both sides."""

import heapq
import math
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import FALSE_ALARM, assert_mean, run, streams
from scipy import stats

import scaling_models as sm
from scaling_models.montecarlo.estimates import from_batches, student
from scaling_models.montecarlo.kernels.forks import ForkJoin, distinct, fork_responses, kth_fastest, share_done
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools.formulas.erlang import erlang_c

LANES = 512


def calendar(services, gaps, chosen, servers, workers):
    """One lane by an event calendar: queues of tasks, workers taking the oldest; responses (customers, tasks)."""
    waiting, idle = [deque() for _ in range(servers)], [workers] * servers
    born = np.cumsum(gaps)
    events = [(when, 1, customer, None) for customer, when in enumerate(born)]
    responses = np.full(services.shape, np.nan)
    while events:
        now, arrives, customer, server = heapq.heappop(events)
        touched = [server]
        if arrives:
            touched = list(chosen[customer])
            for task, at in enumerate(touched):
                waiting[at].append((customer, task))
        else:
            idle[server] += 1
        for at in touched:
            while idle[at] and waiting[at]:
                customer, task = waiting[at].popleft()
                idle[at] -= 1
                end = now + services[customer, task]
                responses[customer, task] = end - born[customer]
                heapq.heappush(events, (end, 0, customer, at))
    return responses


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_responses_equal_an_event_calendar_in_any_blocks(seed, tasks, more, workers):
    rng = np.random.default_rng(seed)
    customers, lanes, servers = 60, 3, tasks + more
    services = rng.exponential(1.0, (customers, tasks, lanes))
    gaps = rng.exponential(tasks / (0.8 * servers * workers), (customers, lanes))
    chosen = distinct(tasks, servers, (customers, lanes), rng)
    if not more:
        chosen[:] = np.arange(tasks)[:, None]
    handed = chosen if more else None
    empty = np.zeros((workers, servers, lanes))
    responses, free = fork_responses(services, gaps, empty, handed)
    for lane in range(lanes):
        expected = calendar(services[..., lane], gaps[:, lane], chosen[..., lane], servers, workers)
        np.testing.assert_allclose(responses[..., lane], expected, atol=1e-9)
    cut = seed % customers
    first, between = fork_responses(services[:cut], gaps[:cut], empty, handed if handed is None else handed[:cut])
    second, last = fork_responses(services[cut:], gaps[cut:], between, handed if handed is None else handed[cut:])
    np.testing.assert_allclose(np.concatenate([first, second]), responses, atol=1e-9)
    np.testing.assert_allclose(last, free, atol=1e-9)
    needed = 1 + seed % tasks
    np.testing.assert_array_equal(kth_fastest(responses, needed), np.sort(responses, axis=1)[:, needed - 1])


def test_every_ordered_choice_is_equally_likely_and_rows_are_independent():
    drawn = distinct(2, 4, (2, 60_000), np.random.default_rng(3))
    assert (drawn[:, 0] != drawn[:, 1]).all()
    seen = Counter(map(tuple, drawn.reshape(4, -1).T.tolist()))
    assert len(seen) == 12 * 12  # every ordered pair beside every ordered pair of the next row
    assert stats.chisquare(list(seen.values())).pvalue > FALSE_ALARM
    with pytest.raises(ValueError, match="cannot choose 3 different numbers out of 2"):
        distinct(3, 2, (1, 1), np.random.default_rng(0))


def test_shares_done_are_counted_up_to_the_deadline():
    responses = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    assert [float(share_done(responses, t)[0, 0]) for t in (0.5, 1.0, 3.5, 9.0)] == [0.0, 0.25, 0.75, 1.0]


def lane_means(system, backlog=0.0, warm_up=1000, customers=12_000):
    """Means by lane of each sample and tally per request, after a warm-up."""
    sums = run(system, customers, lanes=LANES, warm_up=warm_up, backlog=backlog)
    times = {name[0]: value for name, value in sums.items() if name[-1] == "sum"}
    tallies = {name: value for name, value in sums.items() if isinstance(name, str)}
    return {name: value / customers for name, value in {**times, **tallies}.items()}


def poisson(tasks, servers, load, service=None, workers=1, **more):
    flow = Renewal(sm.Exponential(tasks / (load * servers * workers)), service or sm.Exponential(1.0))
    return ForkJoin(flow, tasks, servers, workers=workers, **more)


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_two_synchronised_servers_have_the_exact_mean(load):
    means = lane_means(poisson(2, 2, load))
    assert_mean(means["latency"], (12.0 - load) / (8.0 * (1.0 - load)))
    assert_mean(means["task"], 1.0 / (1.0 - load))
    assert_mean(means["busy"] / means["time"], load)


def test_eight_synchronised_servers_are_within_the_error_of_nelson_and_tantawi():
    load, n = 0.6, 8
    ratio = sum(1.0 / i for i in range(1, n + 1)) / 1.5
    formula = (ratio + 4.0 * load / 11.0 * (1.0 - ratio)) * (12.0 - load) / (8.0 * (1.0 - load))
    found = from_batches(lane_means(poisson(n, n, load))["latency"])
    reach = student(1.0 - FALSE_ALARM, found.freedom) * found.error
    assert reach < 0.01 * formula
    assert formula * 0.99 - reach <= found.value <= formula * 1.05 + reach


def test_a_task_at_servers_drawn_at_random_sees_its_own_single_server_queue():
    means = lane_means(poisson(3, 30, 0.5))
    assert_mean(means["task"], 2.0)
    assert (means["latency"] > means["task"]).all()


def test_a_task_at_servers_of_several_workers_sees_erlang_c():
    load, workers = 0.7, 3
    wait = float(erlang_c(workers, load * workers)) / (workers * (1.0 - load))
    assert_mean(lane_means(poisson(2, 2, load, workers=workers))["task"], 1.0 + wait)


@pytest.mark.parametrize(("needed", "workers"), [(1, 1), (3, 1), (0, 2)])
def test_without_load_the_kth_of_exponentials_is_exact(needed, workers):
    k = needed or 4
    system = poisson(4, 6, 1e-9, workers=workers, needed=needed, deadline=1.0)
    means = lane_means(system, warm_up=0, customers=500)
    assert_mean(means["latency"], sum(1.0 / (4 - i) for i in range(k)))
    assert_mean(means["answered"], 4.0 * (1.0 - math.exp(-1.0)))


def test_empty_and_overfull_starts_meet_on_the_same_numbers():
    system = ForkJoin(Renewal(sm.Hyperexponential(1.0, scv=2.0), sm.LogNormal(0.5, scv=0.5)), 4, 6, needed=3)
    low, high = (lane_means(system, backlog, warm_up=1000, customers=500)["latency"] for backlog in (0.0, 60.0))
    np.testing.assert_allclose(low, high, rtol=1e-9)
    first, _ = system.advance(system.start(np.full(LANES, 60.0), streams(0)), streams(1), 1)
    assert first.times["latency"].mean() > 55.0


def test_states_are_picked_with_repeats_and_copied():
    system = poisson(2, 3, 0.5)
    state = system.start(np.full(3, 5.0), streams(0))
    state[0][0, 0] = [1.0, 2.0, 3.0]
    picked = system.pick(state, np.array([2, 2, 0]))
    assert picked[0][0, 0].tolist() == [3.0, 3.0, 1.0]
    picked[0][:] = 0.0
    assert state[0][0, 0, 2] == 3.0


def test_impossible_fan_outs_are_refused():
    with pytest.raises(ValueError, match=r"ForkJoin.tasks must lie in \[1, 3\]"):
        poisson(4, 3, 0.5)
    with pytest.raises(ValueError, match=r"ForkJoin.needed must lie in \[0, 2\]"):
        poisson(2, 3, 0.5, needed=3)
