"""Batches of a leader: each law by another route, paths by their events, and the whole within what is stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import scaling_models as sm
from scaling_models.montecarlo.kernels.batches import batched
from scaling_models.quorums import BatchingLeader
from scaling_models.quorums.batch_latency import BatchLatency
from scaling_models.quorums.batched import GatherWait, GroupResponse, GroupWait
from scaling_models.quorums.formulas import batches, gathering, group_commits

FREE = "when the disk is free"
SHARED = BatchingLeader(3000.0, FREE, 1000)


def by_events(arrivals, size, window, fixed, each, when_free):
    """When each command's batch leaves and is done, and its size, command by command."""
    leaves, done, together, free, head = [], [], [], 0.0, 0
    while head < len(arrivals):
        count, closes = 1, max(arrivals[head], free) if when_free else arrivals[head] + window
        while count < size and head + count < len(arrivals) and arrivals[head + count] <= closes:
            count += 1
        if not when_free and count == size:
            closes = arrivals[head + count - 1]
        free = max(closes, free) + fixed + each * count
        leaves, done, together = leaves + count * [closes], done + count * [free], together + count * [count]
        head += count
    return leaves, done, together


@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([0.0, 0.5, 3.0]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_every_path_is_that_of_the_events(seed, size, window, when_free):
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1.0, (3, 60)), axis=1)
    found = batched(arrivals, size, window, 0.4, 0.3, when_free=when_free)
    for lane in range(3):
        expected = by_events(arrivals[lane], size, window, 0.4, 0.3, when_free)
        for one, other in zip((found.leaves, found.done, found.together), expected, strict=True):
            np.testing.assert_allclose(one[lane], other, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("rate", "size", "window"), [(1.0, 2, 0.7), (3.0, 5, 1.2), (10.0, 40, 3.0), (5.0, 3, 40.0)])
def test_gathering_position_by_position(rate, size, window):
    """P(wait > t) = sum over positions i of P(i - 1 others by w - t) P(fewer than B - i more within t), over E N."""
    t = np.linspace(0.0, 0.999 * window, 41)
    first = np.arange(size - 1)[:, None]
    there, missing = stats.poisson.sf(first - 1, rate * (window - t)), stats.poisson.cdf(size - 2 - first, rate * t)
    mean = 1.0 + stats.poisson.sf(np.arange(size - 1), rate * window).sum()
    law = GatherWait(rate, size, window)
    np.testing.assert_allclose(law.ccdf(t), (there * missing).sum(axis=0) / mean, rtol=1e-9, atol=1e-14)
    assert gathering.gathered_size(rate, size, window) == pytest.approx(mean)
    assert law.ccdf(window) == 0.0
    edges = np.linspace(0.0, window, 4001)
    middle = law.pdf((edges[1:] + edges[:-1]) / 2.0)
    assert sum(mass for _, mass in law.atoms) + middle.sum() * edges[1] == pytest.approx(1.0, rel=1e-5)


def test_gathering_in_its_limits():
    assert GatherWait(7.0, 12, math.inf).mean() == pytest.approx(float(batches.size_wait(12, 7.0)))
    assert GatherWait(7.0, 10_000, 2.0).mean() == pytest.approx(float(batches.window_wait(2.0, 7.0)), rel=1e-9)
    assert gathering.gathered_size(7.0, 10_000, 2.0) == pytest.approx(float(batches.window_size(2.0, 7.0)))


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8, 0.95])
def test_batches_of_one_are_pollaczek_and_khinchine(load):
    found = gathering.batch_responses(gathering.Batches(load, 1, 1.0, 1.0, 0.0))
    places = found.step * np.arange(len(found.waits))
    lumps = found.step**2  # lumps add up to 5/12 of it to variances, which here are to be seen against 1
    assert found.waits @ places == pytest.approx(load / (2.0 * (1.0 - load)), rel=lumps)
    assert lumps < 0.003
    assert found.waits[0] == pytest.approx(1.0 - load, rel=0.05)  # a hair more than nothing is not nothing


@pytest.mark.parametrize(("size", "load"), [(2, 0.7), (5, 0.9)])
def test_full_batches_by_recursion(size, load):
    """E_B/D/1 by its recursion, Lindley 1952; 5.5 standard errors of 64 lanes."""
    rng = np.random.default_rng(1)
    rate, wait, total = size * load, np.zeros(4000), []
    for step in range(1600):
        wait = np.maximum(wait + 1.0 - rng.gamma(size, 1.0 / rate, 4000), 0.0)
        if step >= 400:
            total.append(wait)
    lanes = np.mean(total, axis=0)
    found = gathering.batch_responses(gathering.Batches(rate, size, math.inf, 1.0, 0.0))
    mean = found.waits @ (found.step * np.arange(len(found.waits)))
    assert abs(mean - lanes.mean()) < 5.5 * lanes.std() / math.sqrt(len(lanes))
    assert lanes.std() / math.sqrt(len(lanes)) < 0.005 * mean  # three per cent are further


def test_groups_of_one_length_are_group_commit():
    law = GroupResponse(900.0, 0.002, 0.0)
    assert law.mean() == pytest.approx(float(batches.group_commit_mean(900.0, 0.002)))
    shared = batches.shared_round(900.0, sm.Deterministic(0.002))
    t = np.linspace(0.0021, 0.0039, 7)
    np.testing.assert_allclose(law.ccdf(t), shared.ccdf(t), rtol=1e-9)
    assert law.variance() == pytest.approx(shared.variance(), rel=1e-6)


def test_groups_by_littles_law():
    """Commands that wait for a group to begin, by the law and by what a group finds: its size is what came."""
    rate, fixed, each = 4000.0, 0.001, 1e-4
    found = group_commits.groups(rate, fixed, each)
    assert found.chances.sum() == pytest.approx(1.0)
    cycle = found.chances @ (found.times + np.exp(-rate * found.times) / rate)
    assert found.chances @ found.sizes == pytest.approx(rate * cycle)
    wait, done = GroupWait(rate, fixed, each), GroupResponse(rate, fixed, each)
    second = found.chances @ found.sizes**2 / (found.chances @ found.sizes)  # of a command's own group
    assert done.mean() - wait.mean() == pytest.approx(fixed + each * second)
    assert wait.mean() == pytest.approx(rate * (found.chances @ found.times**2) / (2.0 * rate * cycle))


CASES = [
    BatchingLeader(),
    BatchingLeader(9000.0, batch_size=10, window=0.001, batch_work=0.0007),
    BatchingLeader(600.0, batch_size=1, members=3),
    BatchingLeader(10_000.0, window=math.inf, round_trip=sm.Exponential(0.004)),
    BatchingLeader(2000.0, batch_size=1000, window=0.002, members=1),
    SHARED,
    SHARED.replace(arrival_rate=30_000.0, batch_work=0.0003),
]


@pytest.mark.parametrize("model", CASES, ids=lambda model: f"{model.closing} {model.arrival_rate:g}")
def test_waits_are_within_what_is_stated(model):
    table = sm.verify(model, requests=400_000, seed=3, false_alarm=1e-7)
    assert (table.verdict == "agrees").all(), table.to_string()


class Wrong(BatchingLeader):
    """Answers three per cent off."""

    @sm.answers.answer("s", "wrong")
    def latency(self):
        """Three per cent high."""
        return BatchingLeader.latency.compute(self) * 1.03

    @sm.answers.answer("s", "wrong")
    def gather_wait(self):
        """Three per cent high."""
        return BatchingLeader.gather_wait.compute(self) * 1.03


def test_the_last_groups_of_a_run_are_whole():
    """Of 24 groups a lane, the last would lack half of its commands: 2%. False alarm: 1e-6 of the verification."""
    model = BatchingLeader(9000.0, FREE, 10_000, batch_work=0.02, command_work=1e-5, members=1)
    table = sm.verify(model, 300_000).set_index("quantity")
    assert table.loc["batch", "verdict"] == "agrees"
    assert table.loc["batch", "smallest_error"] < 0.02


def test_what_is_wrong_is_seen():
    table = sm.verify(Wrong(3000.0, FREE, 1000), requests=400_000).set_index("quantity")
    wrong = ["latency mean", "latency p50", "gather_wait mean", "gather_wait p50"]
    assert (table.loc[wrong, "verdict"] == "disagrees").all(), table.to_string()


def test_bursts_are_missed():
    table = sm.verify(BatchingLeader(), requests=400_000, violating="commands in bursts").set_index("quantity")
    assert table.loc["batch", "miss"] > 0.03  # windows end with fewer


def test_what_it_can_take():
    model = BatchingLeader(batch_size=20, batch_work=0.001, command_work=20e-6)
    assert model.replace(window=math.inf).throughput_bound == pytest.approx(20 / 0.0014)
    assert model.replace(window=0.0).throughput_bound == pytest.approx(1 / 0.00102)
    most = model.replace(window=0.0005).throughput_bound
    assert model.replace(window=0.0005, arrival_rate=most).busy == pytest.approx(1.0)
    endless = model.replace(closing=FREE, batch_size=10**6, command_work=0.0)
    assert endless.throughput_bound == pytest.approx(1e9)


def test_overload_is_an_answer():
    over = BatchingLeader(arrival_rate=20_000.0)
    assert over.latency.lost == 1.0
    assert over.busy > 1.0
    with pytest.raises(ValueError, match="it has no steady state"):
        over.simulate(1000)
    with pytest.raises(sm.NoClosedForm, match=r"more than 0.95: simulate it"):
        BatchingLeader(arrival_rate=14_000.0).latency  # noqa: B018
    with pytest.raises(sm.NoClosedForm, match="a group takes all that wait"):
        SHARED.replace(batch_size=5).latency  # noqa: B018
    with pytest.raises(sm.NoClosedForm, match="groups of up to 500 commands"):
        SHARED.replace(batch_size=10_000, arrival_rate=45_000.0, batch_work=0.01).latency  # noqa: B018
    assert SHARED.replace(batch_size=5).accuracy("latency").label == "simulated"


@pytest.mark.parametrize("trips", [sm.LogNormal(0.002, 0.25), sm.Exponential(0.010), sm.Pareto(0.002, 2.5)], ids=str)
@pytest.mark.parametrize("each", [0.0, 20e-6])
def test_group_commits_and_rounds_together_by_another_integral(trips, each):
    """Gauss nodes on every straight piece of the one law; quantiles to the stated 1e-5, and the tail beyond 1e-10."""
    model = BatchingLeader(3000.0, "when the disk is free", 1000, command_work=each, round_trip=trips)
    found, rest = model.latency, sm.k_of_n(2, [trips] * 4)
    assert isinstance(found, BatchLatency)
    times, ccdf = found.batch._knots
    x, w = np.polynomial.legendre.leggauss(16)
    at = times[:-1, None] + np.diff(times)[:, None] * (x + 1.0) / 2.0
    t = np.concatenate([found.icdf([0.5, 0.9, 0.99, 0.9999]), found.iccdf([1e-8])])
    late = np.array([(rest.ccdf(moment - at) @ w / 2.0) @ -np.diff(ccdf) for moment in t])
    late += (1.0 - ccdf[0]) * rest.ccdf(t - times[0])
    slope = found.pdf(t) * t / late  # what 1e-5 of a quantile makes of the ccdf
    np.testing.assert_array_less(np.abs(found.ccdf(t) / late - 1.0), 1e-5 * np.maximum(slope, 1.0))
    deep = found.iccdf(1e-12)
    right = (rest.ccdf(deep - at) @ w / 2.0) @ -np.diff(ccdf) + (1.0 - ccdf[0]) * rest.ccdf(deep - times[0])
    assert pytest.approx(right, rel=0.05) == 1e-12  # seen at few times, straight between them
    assert found.mean() == pytest.approx(found._survival.moments[0], rel=1e-4)


def test_rounds_of_hardly_any_spread_are_added_by_quadrature():
    for trips in (sm.LogNormal(0.002, 1e-9), sm.Deterministic(0.002)):
        assert not isinstance(BatchingLeader(round_trip=trips).latency, BatchLatency)
