"""Servers that fail: against a heap of events on the same numbers, and against the exact Markov chains."""

import collections
import functools
import heapq
import itertools
import math
import pickle

import numpy as np
import pytest
from lanes import run, streams
from scipy import sparse, special
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.montecarlo.kernels.failures import FATES, FailingServers, advance
from scaling_models.montecarlo.kernels.queues import central_waits

REACH = special.ndtri(1.0 - 0.5e-8)  # normal deviates: a false alarm in 1e8 comparisons
ONE = sm.Exponential(1.0)


def pool(servers, load, up, down, fate, service=ONE):
    return FailingServers(sm.Exponential(1.0 / load), service, servers, sm.Exponential(up), sm.Exponential(down), fate)


def event_by_event(arrivals, works, change, up, ups, downs, fate, until, begun):
    """One lane: a heap of events, requests as lists [arrived, work, left, started, served since].

    Of those `begun` (work, left) before by each server nobody is told.
    """
    servers = len(change)
    events = [(max(t, 0.0), 0, -1, n) for n, t in enumerate(arrivals)] + [(t, 2, i, 0) for i, t in enumerate(change)]
    heapq.heapify(events)
    up, job, queue = list(up), [None] * servers, collections.deque()
    version, changes = itertools.count(1), itertools.count()
    current = [0] * servers
    told, busy, up_time, lost, lost_time, now = [], 0.0, 0.0, 0, 0.0, 0.0
    started = set()

    def serve(i, request):
        job[i] = request
        request[3] = now if request[3] is None else request[3]
        if not math.isnan(request[0]):
            started.add(request[0])
        request[4], current[i] = now, next(version)
        heapq.heappush(events, (now + request[2], 1, i, current[i]))

    for i, (work, left) in enumerate(begun):
        if left > 0.0:
            job[i] = [math.nan, work, left, 0.0, 0.0]
            if up[i]:
                serve(i, job[i])
    while events[0][0] <= until:
        then, kind, i, which = heapq.heappop(events)
        up_time += (then - now) * sum(up)
        busy += (then - now) * sum(u and j is not None for u, j in zip(up, job, strict=True))
        now = then
        if kind == 0:
            queue.append([arrivals[which], works[which], works[which], None, None])
        elif kind == 1 and current[i] == which and up[i]:
            if not math.isnan(job[i][0]):
                told.append((now - job[i][0], job[i][3] - job[i][0]))
            job[i] = None
        elif kind == 2 and up[i]:
            up[i], current[i] = False, 0
            heapq.heappush(events, (now + downs[next(changes)], 2, i, 0))
            if job[i] is not None:
                job[i][2] -= now - job[i][4]
                if fate == "lost":
                    lost += 1
                    lost_time += 0.0 if math.isnan(job[i][0]) else now - job[i][0]
                elif fate != "resumes":
                    job[i][2] = job[i][1] if fate == "restarts" else job[i][2]
                    queue.appendleft(job[i])
                job[i] = job[i] if fate == "resumes" else None
        elif kind == 2:
            up[i] = True
            heapq.heappush(events, (now + ups[next(changes)], 2, i, 0))
            if job[i] is not None:
                serve(i, job[i])
        for i in range(servers):
            if queue and up[i] and job[i] is None:
                serve(i, queue.popleft())
    sums = {"busy": busy, "up": up_time, "lost": lost, "lost_time": lost_time}
    return sums | {"told": told, "requests": len(started), "changes": next(changes)}


def lane_by_events(state, numbers, fate, lane, until):
    services, gaps, ups, downs = (each[:, lane] for each in numbers)
    arrivals = state.next[lane, 0] + np.concatenate([[0.0], np.cumsum(gaps)])
    works = np.concatenate([state.next[lane, 3:4], services])
    up = np.isfinite(state.open[:, lane])
    change, free = state.change[:, lane], state.free[:, lane]
    left = np.where(free > 0.0, free - np.where(up, 0.0, change), 0.0)
    begun = list(zip(state.jobs[:, lane, 3], left, strict=True))
    return event_by_event(arrivals, works, change, up, ups, downs, fate, until + 1e-9, begun)


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize(("servers", "overfull"), [(1, False), (3, False), (3, True), (6, False)])
def test_a_lane_equals_the_heap_of_events(fate, servers, overfull):
    model = pool(servers, 0.6 * servers, 6.0, 2.0, fate, sm.LogNormal(0.8, 2.0))
    lanes, steps = 4, 200
    state = model.start(np.full(lanes, 6.0 if overfull else 0.0), streams(servers))
    rng = np.random.default_rng(servers)
    laws = (model.service, model.gap, model.up, model.down)
    numbers = [law.sample((2 * steps, lanes), rng=rng) for law in laws]
    first, middle = advance(state, *(each[:steps] for each in numbers), fate)
    until = first.tallies["time"]
    started = first.tallies["requests"].astype(int)
    changed = np.array([lane_by_events(state, numbers, fate, lane, until[lane])["changes"] for lane in range(lanes)])
    # The second block takes each lane's numbers from where the first has come to.
    rows = [np.arange(steps)[:, None] + count for count in (started, started, changed, changed)]
    later = [np.take_along_axis(each, row, axis=0) for each, row in zip(numbers, rows, strict=True)]
    second, end = advance(middle, *later, fate)
    until = until + second.tallies["time"]
    for lane in range(lanes):
        expected = lane_by_events(state, numbers, fate, lane, until[lane])
        found = {name: first.tallies[name][lane] + second.tallies[name][lane] for name in first.tallies}
        for name in ("busy", "up", "lost", "lost_time"):
            assert found[name] == pytest.approx(expected[name], abs=1e-9), name
        assert expected["requests"] - found["requests"] in (0, 1)  # after a repair the start is a step of its own
        blocks = [np.stack([o.times["latency"][:, lane], o.times["wait"][:, lane]], axis=1) for o in (first, second)]
        done = end.free[:, lane] <= 1e-9
        last = np.stack([end.free[done, lane], end.jobs[done, lane, 1]], axis=1) - end.jobs[done, lane, :1]
        told = np.concatenate([*blocks, last])
        told = told[~np.isnan(told[:, 0])]
        np.testing.assert_allclose(np.sort(told, axis=0), np.sort(expected["told"], axis=0), atol=1e-9)
        assert not overfull or told[:, 0].max() > 6.0
    outcome = second
    assert (outcome.tallies["lost"] > 0).all() == (fate == "lost")


@pytest.mark.parametrize("fate", FATES)
def test_servers_that_do_not_fail_are_a_central_queue_in_any_blocks(fate):
    model = pool(4, 3.2, 1e12, 1.0, fate, sm.LogNormal(1.0, 4.0))
    state = model.start(np.full(6, 0.0), streams(1))
    first_gap, first_service = state.next[:, 0].copy(), state.next[:, 3].copy()
    services, gaps, latencies = [first_service], [first_gap], []
    waits = []
    for block, steps in enumerate((1, 50, 149)):
        outcome, state = model.advance(state, streams(1, block + 1), steps)
        services.extend(model.service._draw((steps, 6), streams(1, block + 1)(0)))
        gaps.extend(model.gap._draw((steps, 6), streams(1, block + 1)(1)))
        waits.append(outcome.times["wait"])
        latencies.append(outcome.times["latency"])
    expected, _ = central_waits(np.array(services), np.array(gaps), np.zeros((4, 6)))
    both = np.concatenate(waits), np.concatenate(latencies)
    for lane in range(6):
        told = np.sort(both[0][:, lane][~np.isnan(both[0][:, lane])])
        pending = state.jobs[:, lane, 1] - state.jobs[:, lane, 0]
        told = np.sort(np.concatenate([told, pending[~np.isnan(pending)]]))
        np.testing.assert_allclose(told, np.sort(expected[:200, lane]), atol=1e-9)
    assert np.isnan(both[1]).sum() == np.isnan(both[0]).sum() <= 24


def stationary(moves, states):
    """The stationary law of a chain; `moves(state)` yields (next state, rate), others than `states` are cut off."""
    index = {state: i for i, state in enumerate(states)}
    rows, columns, rates = [], [], []
    for state, i in index.items():
        for other, rate in moves(state):
            if rate > 0 and other in index:
                rows += [index[other], i]
                columns += [i, i]
                rates += [rate, -rate]
    size = len(index)
    matrix = sparse.coo_matrix((rates, (rows, columns)), shape=(size, size)).tocsc()
    law = np.append(1.0, linalg.spsolve(matrix[1:, 1:], -matrix[1:, [0]].toarray()[:, 0]))  # in units of the first
    assert law.min() > -1e-12
    return dict(zip(states, law / law.sum(), strict=True))


@functools.cache
def moving_or_lost(servers, load, up, down, fate, most=400):
    """Mean latency (moves: of all; lost: of requests present, by Little) and the share lost; states (n, up)."""
    lost = fate == "lost"

    def moves(state):
        n, u = state
        yield (n + 1, u), load
        yield (n - 1, u), min(n, u)
        yield (n, u + 1), (servers - u) / down
        yield (n - 1 if lost else n, u - 1), min(n, u) / up
        yield (n, u - 1), (u - min(n, u)) / up

    law = stationary(moves, [(n, u) for n in range(most) for u in range(servers + 1)])
    present = sum(n * p for (n, _), p in law.items())
    gone = sum(min(n, u) * p for (n, u), p in law.items()) / up / load if lost else 0.0
    return present / load, gone


@functools.cache
def frozen(servers, load, up, down, most=150):
    """Mean latency where requests wait for their server's repair; states (n, up, down with a request)."""

    def moves(state):
        n, u, f = state
        busy = min(u, n - f)
        yield (n + 1, u, f), load
        yield (n - 1, u, f), busy
        yield (n, u - 1, f + 1), busy / up
        yield (n, u - 1, f), (u - busy) / up
        yield (n, u + 1, f - 1), f / down
        yield (n, u + 1, f), (servers - u - f) / down

    triples = itertools.product(range(most), range(servers + 1), range(servers + 1))
    law = stationary(moves, [(n, u, f) for n, u, f in triples if u + f <= servers and f <= n])
    return sum(n * p for (n, _, _), p in law.items()) / load


def test_the_sheet_of_formulas_was_right():
    assert moving_or_lost(10, 7.0, 190.0, 10.0, "moves")[0] == pytest.approx(1.153, abs=5e-4)
    assert moving_or_lost(10, 7.0, 1900.0, 100.0, "moves", 1500)[0] == pytest.approx(1.198, abs=5e-4)
    assert moving_or_lost(10, 7.0, 1e9, 1e-3, "moves")[0] == pytest.approx(1.0739, abs=5e-4)  # M/M/10
    assert frozen(3, 1.5, 1e9, 1e-3) == pytest.approx(1.1579, abs=5e-4)  # M/M/3


def simulated(model, lanes, warm, steps, backlog=0.0, seed=0):
    """By lane: mean latency of what was told, and the tallies, after `warm` steps."""
    sums = run(model, steps, lanes=lanes, warm_up=warm, backlog=backlog, seed=seed)
    return sums["latency", "sum"], sums["latency", "count"], sums


def ratio_is(above, below, expected, least):
    """A ratio of means over lanes is `expected` within REACH errors; an error of `least` is seen 95 times in 100."""
    found = above.sum() / below.sum()
    error = np.std(above - found * below, ddof=1) / math.sqrt(len(above)) / below.mean()
    assert abs(found - expected) <= REACH * error
    assert (REACH + 1.645) * error <= least * expected


CASES = [  # servers, load, up, down, fate, the error that would be seen, seconds of backlog at the start
    (10, 7.0, 190.0, 10.0, "moves", 0.04, 0.0),
    (10, 7.0, 190.0, 10.0, "moves", 0.04, 20.0),
    (5, 3.0, 9.0, 1.0, "moves", 0.04, 20.0),
    (5, 3.0, 9.0, 1.0, "lost", 0.06, 0.0),
    (5, 3.0, 90.0, 10.0, "lost", 0.14, 20.0),
    (3, 1.5, 18.0, 2.0, "resumes", 0.04, 0.0),
    (3, 1.2, 36.0, 4.0, "resumes", 0.05, 20.0),
]


@pytest.mark.parametrize(("servers", "load", "up", "down", "fate", "least", "backlog"), CASES)
def test_exponential_everything_equals_the_exact_chain(servers, load, up, down, fate, least, backlog):
    model = pool(servers, load, up, down, fate)
    sums, count, tallies = simulated(model, 384, 2000, 2000, backlog, seed=int(down + backlog))
    ratio_is(tallies["up"], tallies["time"], servers * model.availability, 0.02)
    if fate == "lost":
        latency, lost = moving_or_lost(servers, load, up, down, fate)
        ratio_is(tallies["lost"], tallies["requests"], lost, least)
        ratio_is(tallies["busy"], tallies["time"], lost * up * load, 0.03)  # a server at work fails every `up` seconds
        ratio_is(sums + tallies["lost_time"], count + tallies["lost"], latency, least)  # of all, by Little's law
        return
    chain = frozen if fate == "resumes" else functools.partial(moving_or_lost, fate=fate)
    latency = chain(servers, load, up, down)
    ratio_is(sums, count, latency if fate == "resumes" else latency[0], least)
    ratio_is(tallies["busy"], tallies["time"], load, 0.03)


def test_moving_beats_waiting_and_starting_again():
    means = {f: np.divide(*simulated(pool(5, 2.0, 18.0, 2.0, f), 48, 500, 1000, seed=3)[:2]).mean() for f in FATES}
    assert means["lost"] < means["moves"] < min(means["restarts"], means["resumes"])


def test_a_deterministic_job_longer_than_the_up_time_is_lost_or_never_ends():
    laws = (sm.Deterministic(50.0), sm.Deterministic(2.0), 1, sm.Deterministic(1.0), sm.Deterministic(0.25))
    outcome, _ = FailingServers(*laws, "resumes").advance(
        FailingServers(*laws, "resumes").start(np.full(2, 0.0), streams(0)), streams(0, 1), 400
    )
    # up 0-1, down to 1.25, ...: 50 is the end of the 40th cycle, where the server has just come back
    assert np.nanmin(outcome.times["latency"]) == pytest.approx(2.25)
    assert np.nanmax(outcome.times["wait"]) == pytest.approx(0.0)
    lost = FailingServers(*laws, "lost")
    outcome, _ = lost.advance(lost.start(np.full(2, 0.0), streams(0)), streams(0, 1), 400)
    assert np.isnan(outcome.times["latency"]).all()
    assert (outcome.tallies["lost"] == outcome.tallies["requests"]).all()
    never = FailingServers(*laws, "restarts")
    outcome, _ = never.advance(never.start(np.full(2, 0.0), streams(0)), streams(0, 1), 400)
    assert (outcome.tallies["requests"] == 1).all()


def test_a_pool_is_a_record_and_its_state_can_be_picked():
    model = pool(3, 2.0, 9.0, 1.0, "moves")
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    assert model.availability == pytest.approx(0.9)
    _, state = model.advance(model.start(np.full(4, 5.0), streams(0)), streams(0, 1), 50)
    chosen = np.array([2, 2, 0])
    picked = model.pick(state, chosen)
    numbers = [law.sample((80, 4), rng=i) for i, law in enumerate((model.service, model.gap, model.up, model.down))]
    whole, _ = advance(state, *numbers, "moves")
    part, _ = advance(picked, *(each[:, chosen] for each in numbers), "moves")
    np.testing.assert_array_equal(part.times["latency"], whole.times["latency"][:, chosen])
    picked.free[:] = 0.0
    assert state.free.any()


def test_illegal_pools_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="must be one of resumes"):
        pool(3, 2.0, 9.0, 1.0, "dies")
    with pytest.raises(ValueError, match="servers"):
        pool(0, 2.0, 9.0, 1.0, "lost")
