"""Queries to all shards: the slowest of unequal ones, the time on a shard, and the simulated twin.

False-alarm rate of each verification 1e-6 (all rows); seeds are fixed, so that a pass stays one.
"""

import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize

import scaling_models as sm
from scaling_models.answers import NoClosedForm
from scaling_models.latency import Never
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.kernels.scatters import Arrivals, Shard, background, fifo_responses, hedged_responses
from scaling_models.pools import CentralQueue
from scaling_models.shards import EvenHash, RangePartition, ScatterGather, ShardTime, UniformKeys, Zipf
from scaling_models.shards.shard_time import shard_time
from scaling_models.shards.typical import typical_shares


def equal(shards, load, common, **more):
    """Equal shards of capacity 1,000/s, of whose requests `common` are queries."""
    return ScatterGather(shards * 1e3 * load * (1 - common), 1e3 * load * common, shards, "equal", **more)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.9), (2, 0.5), (3, 0.8), (16, 0.3), (64, 0.95)])
def test_the_time_on_a_shard_is_that_of_a_central_queue(workers, load):
    """M/M/k by its own formula, beside the phase-type of the pools; at (2, 0.5) its two rates are equal."""
    mine = ShardTime(1000.0 * load, 1000.0, workers)
    theirs = CentralQueue(1000.0 * load, 1, sm.Exponential(workers / 1000.0), workers).latency
    times = np.concatenate([[0.0], theirs.icdf(np.array([0.01, 0.5, 0.99, 1 - 1e-9]))])
    np.testing.assert_allclose(mine.ccdf(times), theirs.ccdf(times), rtol=1e-7)
    np.testing.assert_allclose(mine.cdf(times) + mine.ccdf(times), 1.0, rtol=1e-14)
    np.testing.assert_allclose(mine.icdf([0.5, 0.999]), theirs.icdf([0.5, 0.999]), rtol=1e-7)
    assert mine.mean() == pytest.approx(theirs.mean(), rel=1e-9)
    assert mine.variance() == pytest.approx(theirs.variance(), rel=1e-7)
    area, _ = integrate.quad(mine.pdf, times[1], times[3], epsabs=1e-12)
    assert area == pytest.approx(0.98, abs=1e-8)
    assert eval(repr(mine), {"ShardTime": ShardTime}) == mine


def test_with_one_worker_it_is_exponential():
    assert shard_time(700.0, 1000.0) == sm.Exponential(1 / 300.0)
    assert ShardTime(700.0, 1000.0, 1).ccdf(0.01) == pytest.approx(math.exp(-3.0), rel=1e-12)
    assert isinstance(shard_time(1000.0, 1000.0, 4), Never)
    with pytest.raises(ValueError, match=r"ShardTime.arrival_rate must lie in \[0, 1000\), below the capacity"):
        ShardTime(1000.0, 1000.0, 4)


def test_draws_have_the_law():
    law = ShardTime(1500.0, 2000.0, 4)
    drawn = law.sample(400_000, rng=1)
    # Kolmogorov: P(sqrt(n) D > 2.7) is 1e-6.
    levels = np.arange(1, 400_001) / 400_000
    assert np.abs(law.cdf(np.sort(drawn)) - levels).max() < 2.7 / math.sqrt(400_000)


def test_the_slowest_of_unequal_shards_by_inclusion_and_exclusion():
    """E max = sum over sets of (-1)^(|S|+1) / (sum of their spare rates)."""
    model = ScatterGather(3000.0, 20.0, 8)
    shares, numbers = model._groups
    spare = np.repeat([1000.0 - 20.0 - 3000.0 * share for share in shares], numbers)
    mean = sum(
        (-1) ** (size + 1) / sum(chosen)
        for size in range(1, 9)
        for chosen in itertools.combinations(spare.tolist(), size)
    )
    assert model.latency.mean() == pytest.approx(mean, rel=1e-7)
    p99 = optimize.brentq(lambda t: np.prod(1 - np.exp(-spare * t)) - 0.99, 1e-3, 1.0, xtol=1e-15)
    assert model.latency.icdf(0.99) == pytest.approx(p99, rel=1e-8)
    assert model.all_answered == pytest.approx(float(np.prod(1 - np.exp(-spare * 0.010))), rel=1e-12)
    assert model.answered == pytest.approx(float(np.mean(1 - np.exp(-spare * 0.010))), rel=1e-12)


@given(st.integers(1, 200), st.floats(0.05, 0.95))
def test_equal_shards(shards, load):
    """H_n / (mu - lambda), and the quantile F^-1(q^(1/n))."""
    model = equal(shards, load, 0.05)
    one = 1.0 / (1000.0 * (1.0 - load))
    assert model.latency.mean() == pytest.approx(one * sum(1 / i for i in range(1, shards + 1)), rel=1e-6)
    assert model.latency.icdf(0.99) == pytest.approx(one * -math.log(-math.expm1(math.log(0.99) / shards)), rel=1e-6)
    assert model.hottest_utilization == pytest.approx(load)


def test_a_hundred_leaves():
    """Dean and Barroso 2013: with 100 leaves, 63% of the queries meet the slowest hundredth of one."""
    assert ScatterGather(1000.0, 1.0, 100).slow_leaf == pytest.approx(0.634, abs=5e-4)


def test_the_hottest_shard_sets_the_tail():
    hot, even = ScatterGather(6000.0), ScatterGather(6000.0, loads="equal")
    assert hot.latency.icdf(0.99) > 1.4 * even.latency.icdf(0.99)
    assert hot.latency.icdf(0.9999) < 1.1 * hot.hottest_latency.icdf(0.9999)


def test_enough_answers_are_sooner_and_less_dependent_on_the_hottest():
    times = [ScatterGather(6000.0, needed=k).latency.mean() for k in (12, 14, 15, 16, 0)]
    assert times == sorted(times)
    assert times[-1] == times[-2]
    assert times[2] < 0.8 * times[3]


def test_overload_is_an_answer():
    lost = ScatterGather(11_000.0)
    assert lost.hottest_utilization > 1.0
    assert isinstance(lost.latency, Never)
    assert isinstance(lost.hottest_latency, Never)
    assert 0.5 < lost.answered < 1.0
    assert lost.all_answered == 0.0
    some = ScatterGather(7000.0, 2.0, needed=15, capacity=700.0)
    assert some.hottest_utilization > 1.0
    assert math.isfinite(some.latency.icdf(0.99))
    with pytest.raises(NotSettled, match="its queue does not settle"):
        lost.simulate()
    with pytest.raises(ValueError, match="its queue grows with nothing breaking"):
        lost.timeline()
    with pytest.raises(ValueError, match=r"ScatterGather.needed must lie in \[0, 16\], the shards; got 17"):
        ScatterGather(needed=17)


def test_copies_are_loads_too():
    """The fixed point: what comes is requests, legs, and a copy of each leg that takes too long at that load."""
    model = equal(4, 0.5, 0.1, hedge_after=0.003)
    total = 1000.0 * model.hottest_utilization
    assert total == pytest.approx(500.0 + 50.0 * math.exp(-(1000.0 - total) * 0.003), rel=1e-10)
    assert model.hedged == pytest.approx(math.exp(-(1000.0 - total) * 0.003), rel=1e-9)
    assert model.latency.icdf(0.99) < equal(4, 0.5, 0.1).latency.icdf(0.99)
    assert equal(4, 0.5, 0.1).hedged == 0.0
    with pytest.raises(NoClosedForm, match="copies of legs bring on more copies"):
        _ = equal(4, 0.5, 0.5, hedge_after=0.003).latency
    assert equal(4, 0.5, 0.5, hedge_after=0.003).accuracy("latency").label == "simulated"


def slowest_p99(spare):
    return optimize.brentq(lambda t: np.prod(1 - np.exp(-spare * t)) - 0.99, 1e-4, 10)


def test_the_typical_placement_is_one():
    """The tail with its shares lies in the middle of the tails of 200 drawn placements (quartiles)."""
    popularity, rng = Zipf(20_000, 0.99), np.random.default_rng(1)
    model = ScatterGather(5000.0, 5.0, popularity=popularity)
    tails = []
    for _ in range(200):
        shares = np.bincount(EvenHash().place(20_000, 16, rng), weights=popularity.shares(), minlength=16)
        spare = 1000.0 - 5.0 - 5000.0 * shares
        tails.append(slowest_p99(spare) if min(spare) > 0 else 9.0)
    low, high = np.quantile(tails, [0.25, 0.75])
    assert low < model.latency.icdf(0.99) < high
    assert model.replace(luck=0.9).latency.icdf(0.99) > model.latency.icdf(0.99)


@pytest.mark.parametrize("shards", [1, 2, 17, 18, 300])
def test_shares_sum_to_the_whole(shards):
    shares, numbers = typical_shares(shards, Zipf(10_000, 0.9), EvenHash())
    assert sum(numbers) == shards
    assert float(np.dot(shares, numbers)) == pytest.approx(1.0, rel=1e-9)
    assert list(shares) == sorted(shares, reverse=True)


def test_known_loads_are_taken_as_they_are():
    assert typical_shares(8, UniformKeys(800), RangePartition(hot_keys="adjacent"))[0] == pytest.approx([0.125] * 1)
    hot = typical_shares(4, Zipf(8, 1.0), RangePartition(hot_keys="adjacent"))
    assert hot[0][0] == pytest.approx(1.5 / Zipf(8, 1.0)._total)


def played(workers, arrivals):
    """Responses of (time, service) at one FIFO queue, by a plain heap; all workers free at 0."""
    free, found = [0.0] * workers, {}
    for number, (time, service) in sorted(enumerate(arrivals), key=lambda each: each[1][0]):
        begin = max(time, heapq.heappop(free))
        heapq.heappush(free, begin + service)
        found[number] = begin + service - time
    return [found[number] for number in range(len(arrivals))]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_kernel_path_by_path(workers):
    rng = np.random.default_rng(2)
    times, services = rng.random((2, 60)) * 10.0, rng.exponential(0.2 * workers, (2, 60))
    never = np.full((2, 5), np.inf)
    shard = Shard(1.0, workers, 1.0, np.zeros(2))
    found, none = fifo_responses(shard, Arrivals(times, services), Arrivals(never, services[:, :5]))
    for lane in range(2):
        np.testing.assert_allclose(
            found[lane], played(workers, list(zip(times[lane], services[lane], strict=True))), rtol=1e-9
        )
    assert np.isinf(none).all()


def test_hedged_legs_path_by_path():
    """Event by event from the same numbers: a copy is sent when its time has come and there is no answer."""
    shard, after, seed = Shard(3.0, 1, 0.2, np.zeros(1)), 0.3, 3
    queries, others = (np.cumsum(np.random.default_rng(i).exponential(1.0, (1, 80)), axis=1) for i in (0, 1))
    found, twice = hedged_responses(queries, others, shard, after, np.random.default_rng(seed))
    rng, until = np.random.default_rng(seed), np.maximum(queries[:, -1], others[:, -1])
    own = [background(shard, until, rng) for _ in range(2)]
    first = [rng.exponential(0.2, (1, 80)) for _ in range(2)]
    second = [rng.exponential(0.2, (1, 80)) for _ in range(2)]
    events = [(t, i, "leg", n) for i, side in enumerate((queries, others)) for n, t in enumerate(side[0])]
    events += [(t, i, "own", n) for i in (0, 1) for n, t in enumerate(own[i].times[0]) if np.isfinite(t)]
    heapq.heapify(events)
    free, ends = [0.0, 0.0], {}
    while events:
        time, at, kind, n = heapq.heappop(events)
        work = {"leg": first[at], "own": own[at].services, "copy": second[1 - at]}[kind][0, n]
        free[at] = max(time, free[at]) + work
        ends[at, kind, n] = free[at]
        if kind == "leg" and free[at] - time > after:
            heapq.heappush(events, (time + after, 1 - at, "copy", n))
    expected = [min(ends[0, "leg", n], ends.get((1, "copy", n), math.inf)) - queries[0, n] for n in range(80)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)
    assert 5 < twice.sum() < 75
    assert twice[0].tolist() == [(1, "copy", n) in ends for n in range(80)]


@pytest.mark.parametrize(
    ("model", "requests"),
    [
        (equal(2, 0.5, 0.3), 60_000),
        (equal(8, 0.7, 0.05, workers=4), 4_000),
        (equal(4, 0.4, 0.08, hedge_after=0.004), 20_000),
        (equal(12, 0.5, 0.08, needed=10), 10_000),
    ],
    ids=["two", "workers", "hedged", "some"],
)
def test_the_twin_agrees(model, requests):
    table = sm.verify(model, requests, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert (table.verdict == "agrees").mean() > 0.7


class Longer(ScatterGather):
    """Legs that are said to take 3% longer than they do."""

    @property
    def _legs(self):
        return tuple(sm.Exponential(1.03 / (self.capacity - rate)) for rate in self._loaded)


def test_a_formula_that_is_wrong_by_three_per_cent_is_found_out():
    right = equal(1, 0.3, 1.0)
    seen = {
        kind: sm.verify(kind(**right.values()), 1_500_000, seed=1).set_index("quantity").verdict
        for kind in (ScatterGather, Longer)
    }
    for row in ("leg_latency mean", "leg_latency p99", "hottest_latency mean"):
        assert [seen[kind][row] for kind in (ScatterGather, Longer)] == ["agrees", "disagrees"], row


def test_independent_legs_are_a_bound():
    """Of two shards that only have queries: Nelson and Tantawi's exact mean (12 - rho)/8 of one leg, below 1.5."""
    model = equal(2, 0.7, 1.0)
    leg = model.leg_latency.mean()
    assert model.latency.mean() == pytest.approx(1.5 * leg, rel=1e-9)
    simulated = model.simulate(400_000, seed=2).latency.mean_estimate()
    low, high = simulated.interval(1.0 - 1e-6)
    assert low < (12.0 - 0.7) / 8.0 * leg < high
    assert high < model.latency.mean()


def test_a_seed_repeats_it_and_the_timeline_shows_it():
    model = ScatterGather()
    assert model.simulate(2000, 3).latency.mean() == model.simulate(2000, 3).latency.mean()
    line = model.timeline()
    hot = line.lines["hottest shard"]
    slow = (line.times > line.marks[0][0]) & (line.times < line.marks[1][0])
    assert np.median(hot[slow]) > 3.0 * np.median(hot[line.times < line.marks[0][0]])
