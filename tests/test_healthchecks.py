"""Health checks that notice late: against plain loops on the same numbers, and against exact chains."""

import math
import pickle

import numpy as np
import pytest
from lanes import streams
from scipy import sparse, special
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.montecarlo.kernels.healthchecks import CheckedServers
from scaling_models.montecarlo.kernels.queues import fifo_waits
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.arrivals import Renewal

REACH = special.ndtri(1.0 - 0.5e-8)  # normal deviates: a false alarm in 1e8 comparisons
ONE = sm.Exponential(1.0)


def pool(servers, load, up, down, notice):
    return CheckedServers(
        Renewal(sm.Exponential(1.0 / load), ONE), servers, sm.Exponential(up), sm.Exponential(down), notice
    )


def lane_by_lane(arrivals, services, choices, change, up, lasts, notice):
    """One lane, each server's ups and downs written out beforehand, and the queue of each kept as a list of ends."""
    horizon = arrivals[-1] + 1.0
    histories = []
    for first, is_up in zip(change, up, strict=True):
        times, states = [-math.inf], [bool(is_up)]
        at = first
        while at < horizon + 1e3:
            times.append(at)
            states.append(not states[-1])
            at += lasts[states[-1]]
        histories.append((np.array(times), states))

    def status(i, t):
        times, states = histories[i]
        return states[np.searchsorted(times, t, side="right") - 1]

    def trusted(i, t):
        times, states = histories[i]
        ends = np.append(times[1:], math.inf)
        believed = states[0]
        for begin, end, state in zip(times, ends, states, strict=True):
            if begin > t:
                break
            if min(end, t) - begin >= notice:
                believed = state
        return believed

    ends, told = [[] for _ in change], []
    for now, service, choice in zip(arrivals, services, choices, strict=True):
        candidates = [i for i in range(len(change)) if trusted(i, now)] or list(range(len(change)))
        i = candidates[int(choice * len(candidates))]
        if not status(i, now):
            told.append((math.nan, math.nan, 1))
            continue
        times = histories[i][0]
        last, following = times[times <= now].max(), times[times > now].min()
        here = [end for begun, end in ends[i] if begun >= last]
        start = max([now, *here])
        ends[i].append((now, start + service))
        lost = start + service > following
        told.append((math.nan, math.nan, 0) if lost else (start + service - now, start - now, 0))
    return np.array(told)


@pytest.mark.parametrize("notice", [0.0, 0.7, 1.5, 2.5, math.inf])
@pytest.mark.parametrize(("up", "down"), [(6.0, 2.0), (2.0, 1.0)])
def test_a_lane_equals_the_plain_loop(notice, up, down):
    laws = (Renewal(sm.Exponential(0.4), sm.LogNormal(0.8, 2.0)), 4, sm.Deterministic(up), sm.Deterministic(down))
    model = CheckedServers(*laws, notice)
    state = model.start(np.full(3, 0.0), streams(1))
    state[0].change[:] = stream(5).uniform(0.0, up, state[0].change.shape)
    begun, end, found, gaps, services, choices = state, state, [], [], [], []
    for block, customers in enumerate((1, 70, 130)):
        outcome, end = model.advance(end, streams(1, block + 1), customers)
        found.append(outcome)
        rngs = streams(1, block + 1)
        services.append(model.flow.service._draw((customers, 3), rngs(0)))
        gaps.append(model.flow.gap._draw((customers, 3), rngs(1)))
        choices.append(rngs(4).random((customers, 3)))
    latencies, waits = (np.concatenate([o.times[name] for o in found]) for name in ("latency", "wait"))
    refused = sum(o.tallies["refused"] for o in found)
    arrivals = np.cumsum(np.concatenate(gaps), axis=0)
    services, choices = np.concatenate(services), np.concatenate(choices)
    for lane in range(3):
        numbers = (arrivals[:, lane], services[:, lane], choices[:, lane], begun[0].change[:, lane], [True] * 4)
        told = lane_by_lane(*numbers, {False: down, True: up}, notice)
        np.testing.assert_allclose(latencies[:, lane], told[:, 0], atol=1e-9)
        np.testing.assert_allclose(waits[:, lane], told[:, 1], atol=1e-9)
        assert refused[lane] == told[:, 2].sum()
    lost = sum(o.tallies["lost"] for o in found)
    assert (lost + refused == np.isnan(latencies).sum(axis=0)).all()
    assert (refused > 0).all() == (notice > 0)


def test_a_server_that_does_not_fail_is_a_fifo_queue():
    model = pool(1, 0.8, 1e12, 1.0, 0.0)
    outcome, _ = model.advance(model.start(np.full(3, 0.0), streams(0)), streams(0, 1), 300)
    services, gaps = (law._draw((300, 3), streams(0, 1)(i)) for i, law in enumerate((ONE, model.flow.gap)))
    waits, _ = fifo_waits(services.T, np.roll(gaps, -1, axis=0).T)
    np.testing.assert_allclose(outcome.times["wait"], waits.T, atol=1e-9)


def exact(load, up, down, knows, most=60):
    """Shares refused and lost of two servers, each with n requests, -1 if down; `knows`: the balancer knows at once."""
    size = most + 2  # down, 0, 1, ..., most
    states = [(i, j) for i in range(-1, most + 1) for j in range(-1, most + 1)]
    place = {state: k for k, state in enumerate(states)}
    rows, columns, rates = [], [], []

    def move(source, target, rate):
        if target in place and rate > 0:
            rows.extend([place[target], place[source]])
            columns.extend([place[source]] * 2)
            rates.extend([rate, -rate])

    for state in states:
        healthy = [n >= 0 for n in state]
        for i in (0, 1):
            share = 0.5 if all(healthy) or not knows or not any(healthy) else float(healthy[i])
            n, other = state[i], state[1 - i]

            def to(m, other=other, i=i):
                return (m, other) if i == 0 else (other, m)

            if n < 0:
                move(state, to(0), 1 / down)
            else:
                move(state, to(n + 1), load * share)
                move(state, to(-1), 1 / up)
                if n:
                    move(state, to(n - 1), 1.0)
    matrix = sparse.coo_matrix((rates, (rows, columns)), shape=(size**2, size**2)).tocsc()
    law = np.append(1.0, linalg.spsolve(matrix[1:, 1:], -matrix[1:, [0]].toarray()[:, 0]))
    law /= law.sum()
    down_both, down_one = law[place[-1, -1]], sum(p for s, p in zip(states, law, strict=True) if min(s) < 0) - law[0]
    refused = down_both + (0.0 if knows else 0.5 * down_one)
    lost = sum(p * (max(i, 0) + max(j, 0)) for (i, j), p in zip(states, law, strict=True)) / up / load
    return refused, lost


@pytest.mark.parametrize(("notice", "backlog"), [(0.0, 0.0), (0.0, 10.0), (math.inf, 10.0)])
def test_two_exponential_servers_lose_what_the_exact_chain_says(notice, backlog):
    load, up, down = 1.0, 12.0, 4.0
    model = pool(2, load, up, down, notice)
    _, state = model.advance(model.start(np.full(1500, backlog), streams(4)), streams(4, 1), 150)
    outcome, _ = model.advance(state, streams(4, 2), 500)
    refused, lost = exact(load, up, down, knows=notice == 0.0)
    assert refused == pytest.approx(1 / 16 if notice == 0.0 else 1 / 4, rel=1e-9)
    for name, expected, least in (("refused", refused, 0.09), ("lost", lost, 0.06)):
        shares = outcome.tallies[name] / outcome.tallies["requests"]
        error = shares.std(ddof=1) / math.sqrt(len(shares))
        assert abs(shares.mean() - expected) <= REACH * error
        assert (REACH + 1.645) * error <= least * expected


def test_the_later_it_is_noticed_the_more_are_refused():
    """Rare failures: about one in `servers` requests of `notice` out of every (up + down) seconds is refused."""
    shares = []
    for notice in (0.0, 1.0, 4.0, math.inf):
        model = pool(5, 3.0, 95.0, 5.0, notice)
        outcome, _ = model.advance(model.start(np.full(600, 0.0), streams(2)), streams(2, 1), 1200)
        shares.append(outcome.tallies["refused"] / outcome.tallies["requests"])
    means = [share.mean() for share in shares]
    errors = [share.std(ddof=1) / math.sqrt(600) for share in shares]
    assert means[0] < 1e-5  # all five down at once
    assert means == sorted(means)
    assert abs(means[3] - 0.05) < REACH * errors[3] + 0.001  # the start, all up, weighs 5 s in 400
    # Down for D: refused for min(D, notice), of which the mean is 5 (1 - exp(-notice / 5)).
    for k, notice in ((1, 1.0), (2, 4.0)):
        expected = 5.0 * (1 - math.exp(-notice / 5)) / 100.0
        assert abs(means[k] - expected) < REACH * errors[k] + 0.06 * expected  # others may be away meanwhile


def test_a_pool_is_a_record_and_its_state_can_be_picked():
    model = pool(3, 2.0, 9.0, 1.0, 0.5)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    state = model.start(np.array([0.0, 5.0, 0.0, 7.0]), streams(0))
    assert state[0].up[:, [0, 2]].all()
    picked = model.pick(state, np.array([3, 3, 0]))
    assert (picked[0].free[:, 0] == state[0].free[:, 3]).all()
    picked[0].free[:] = -1.0
    assert (state[0].free >= 0).all()


def test_illegal_pools_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="notice"):
        pool(3, 2.0, 9.0, 1.0, -1.0)
    with pytest.raises(ValueError, match="servers"):
        pool(0, 2.0, 9.0, 1.0, 0.0)
