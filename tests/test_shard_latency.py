"""Latency on unevenly loaded shards: limits, and the queues played out."""

import math

import numpy as np
import pytest
from scipy import integrate

import scaling_models as sm
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.pools import CentralQueue
from scaling_models.shards import Cached, HashRing, HashSlots, ShardLatency, ShardLoad, UniformKeys, Zipf

EVEN = ShardLatency(500.0, 10, UniformKeys(10**9))


def test_even_shards_are_queues_of_their_own():
    """X/N each: Exponential(1/(mu - X/N)); the slowest of N has mean H_N/(mu - X/N)."""
    assert EVEN.latency.mean() == pytest.approx(1 / 50, rel=1e-3)
    assert EVEN.hottest_latency.mean() == pytest.approx(1 / 50, rel=1e-3)
    harmonic = sum(1 / k for k in range(1, 11))
    assert EVEN.fan_out_latency.mean() == pytest.approx(harmonic / 50, rel=1e-3)
    assert EVEN.fan_out_latency.icdf(0.99) == pytest.approx(EVEN.latency.icdf(0.99**0.1), rel=1e-3)
    assert EVEN.hottest_utilization == pytest.approx(0.5, rel=1e-3)
    one = ShardLatency(50.0, 1)
    for law in (one.latency, one.hottest_latency, one.fan_out_latency):
        assert law.icdf(0.9) == pytest.approx(math.log(10) / 50)


@pytest.mark.parametrize(
    "model", [ShardLatency(), ShardLatency(shards=300), ShardLatency(300.0, 12, placement=HashRing(8))]
)
def test_answers_are_sums_over_the_shards(model):
    shares, numbers = model._groups
    assert numbers.sum() == model.shards
    assert shares @ numbers == pytest.approx(1.0)
    assert (np.diff(shares) <= 1e-12).all()
    spare = model.capacity - model.arrival_rate * shares
    assert model.latency.mean() == pytest.approx((shares * numbers / spare).sum())
    for t in (0.01, 0.04, 0.2):
        assert model.latency.cdf(t) == pytest.approx((shares * numbers * -np.expm1(-spare * t)).sum())
        assert model.fan_out_latency.cdf(t) == pytest.approx(np.prod((-np.expm1(-spare * t)) ** numbers))
    beyond = lambda t: 1 - np.prod((-np.expm1(-spare * t)) ** numbers)  # noqa: E731
    mean = integrate.quad(beyond, 0.0, 2.0, limit=500, epsabs=1e-10)[0]
    assert model.fan_out_latency.mean() == pytest.approx(mean, rel=1e-5)


def test_typical_loads_are_those_of_placements():
    """Sorted loads of 400 placements: the mean of each rank beside the typical one, the hottest at its median."""
    model = ShardLatency(shards=20, popularity=Zipf(20_000, 0.9))
    loads = ShardLoad(20, Zipf(20_000, 0.9)).simulate(400, seed=2)
    ranked = np.sort(loads.share.batches.reshape(-1, 20), axis=1)[:, ::-1]
    shares = np.repeat(*model._groups)
    assert shares[0] == pytest.approx(np.median(ranked[:, 0]), rel=0.04)
    typical = np.median(ranked, axis=0)
    np.testing.assert_allclose(shares[1:], typical[1:], rtol=0.12)
    assert model.replace(luck=0.95).hottest_utilization > 1.1 * model.hottest_utilization


def test_a_full_shard_is_never_answered():
    model = ShardLatency(2000.0)
    assert model.hottest_utilization > 1
    assert model.hottest_latency.icdf(0.5) == math.inf
    assert model.fan_out_latency.icdf(0.5) == math.inf
    assert model.latency.icdf(0.5) < 0.1  # most requests are for other shards
    assert model.latency.mean() == math.inf
    assert model.latency.lost == pytest.approx(model._groups[0][0], rel=1e-9)
    with pytest.raises(NotSettled, match="the load of the hottest shard is 1"):
        model.simulate()
    assert ShardLatency(2000.0, popularity=Cached(Zipf(), 100)).latency.icdf(0.99) < 0.1


def test_several_workers_are_a_queue_that_they_share():
    """One shard is M/M/k, which the pools solve by another route; every other is the same at its own load."""
    one, pool = ShardLatency(240.0, 1, capacity=300.0, workers=3), CentralQueue(240.0, 1, sm.Exponential(0.010), 3)
    for law in (one.latency, one.hottest_latency, one.fan_out_latency):
        assert law.mean() == pytest.approx(pool.latency.mean(), rel=1e-9)
        np.testing.assert_allclose(law.icdf([0.1, 0.5, 0.99, 0.9999]), pool.latency.icdf([0.1, 0.5, 0.99, 0.9999]))
    model = ShardLatency(shards=20, workers=5)
    shares, numbers = model._groups
    pools = [CentralQueue(model.arrival_rate * share, 1, sm.Exponential(5 / 100.0), 5).latency for share in shares]
    for t in (0.01, 0.1, 0.4):
        each = np.array([float(law.cdf(t)) for law in pools])
        assert model.latency.cdf(t) == pytest.approx((shares * numbers * each).sum())
        assert model.fan_out_latency.cdf(t) == pytest.approx(np.prod(each**numbers))
    assert ShardLatency(2000.0, workers=4).fan_out_latency.icdf(0.5) == math.inf
    with pytest.raises(ValueError, match="4,000 shards of 1,000 workers do not fit in memory"):
        ShardLatency(shards=4000, workers=1000).simulate()


@pytest.mark.parametrize(
    "model",
    [
        ShardLatency(200.0, 6, Zipf(10**5, 0.8)),
        ShardLatency(300.0, 12, placement=HashRing(8)),
        ShardLatency(300.0, 6, Zipf(10**5, 0.8), workers=3),
    ],
)
def test_queues_played_out_agree(model):
    """False-alarm rate 1e-6; 3% off would be seen in the mean of all requests."""
    table = sm.verify(model, requests=320_000, seed=3)
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.set_index("quantity").loc["latency mean", "smallest_error"] < 0.03
    bursts = sm.verify(model, requests=160_000, seed=3, violating="arrivals in bursts").set_index("quantity")
    assert bursts.loc["latency mean", "verdict"] == "missed"
    assert bursts.loc["latency mean", "miss"] < -0.1


@pytest.mark.parametrize(
    "model", [ShardLatency(popularity=UniformKeys(3)), ShardLatency(placement=HashSlots(4))], ids=repr
)
def test_where_half_of_the_shards_have_nothing_traffic_climbs_to_what_the_mean_one_serves(model):
    """64 shards of 100 requests/s, of which four at most have keys: 6,400/s, where it climbed to 1e14."""
    told = model.timeline()
    assert told.says.endswith("the mean one at 6,400")
    assert set(told.lines) == {"requests waiting at the hottest shard", "requests waiting at the mean shard"}
