"""What helps a hot shard: caches and salt, each against the thing itself played request by request."""

import collections
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_models.shards import Cached, HottestShare, LRUCached, Salted, ShardLoad, UniformKeys, Zipf
from scaling_models.shards.formulas.caches import characteristic_time, lru_hit_ratio, most_missed, small_cache_bound


def played(shares, capacity, requests, seed):
    """Misses of each key of an LRU cache, request by request; the first third fills it."""
    rng = np.random.default_rng(seed)
    cache, missed = collections.OrderedDict(), np.zeros(len(shares))
    for at, key in enumerate(rng.choice(len(shares), requests, p=shares).tolist()):
        if key in cache:
            cache.move_to_end(key)
            continue
        if at >= requests // 3:
            missed[key] += 1
        cache[key] = None
        if len(cache) > capacity:
            cache.popitem(last=False)
    return missed / (requests - requests // 3)


@pytest.mark.parametrize(("items", "exponent", "capacity"), [(100, 0.8, 40), (2000, 0.99, 50), (500, 0.0, 100)])
def test_che_is_near_an_lru_cache_played_out(items, exponent, capacity):
    shares = Zipf(items, exponent).shares()
    missed = played(shares, capacity, 120_000, 3)
    found = 1.0 - lru_hit_ratio(shares, capacity)
    # Five standard errors of 80,000 misses (a 3% error of a miss ratio of a half is 8), and Che's own error.
    assert found == pytest.approx(missed.sum(), abs=5 * math.sqrt(found * (1 - found) / 80_000) + 0.003)
    time = characteristic_time(shares, capacity)
    each = shares * np.exp(-shares * time)
    rare = 6 * np.sqrt(each / 80_000) + 0.02 * each
    assert (np.abs(missed - each) < rare + 2e-5).all()
    assert each.max() <= most_missed(time) * (1 + 1e-12)


def test_of_equal_keys_any_cache_answers_its_part():
    assert lru_hit_ratio(np.full(50, 0.02), 10) == pytest.approx(0.2)
    assert lru_hit_ratio([0.02], 10, [50]) == pytest.approx(0.2)
    assert lru_hit_ratio([0.5, 0.5, 0.0], 2) == 1.0
    assert lru_hit_ratio([0.5, 0.5], 0) == 0.0


LAWS = st.builds(Zipf, st.integers(300, 5000), st.floats(0.0, 2.0))


@given(LAWS, st.integers(0, 200), st.integers(1, 20), st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_what_is_left_adds_up(law, many, pieces, gathered):
    hottest = law.top(many).sum()
    cached, lru, salted = Cached(law, many), LRUCached(law, many), Salted(law, many, pieces, gathered)
    assert cached.total == pytest.approx(1.0 - hottest, abs=1e-9)
    assert salted.total == pytest.approx(1.0 + gathered * (pieces - 1) * hottest)
    assert salted.size == law.size + many * (pieces - 1)
    assert lru.total == pytest.approx(1.0 - lru.hit_ratio, rel=1e-9)
    assert lru.total >= cached.total - 1e-9  # no cache of so many keys does better
    for each in (cached, lru, salted):
        shares = each.shares()
        assert len(shares) == each.size
        assert (np.diff(shares) <= 0).all()
        assert shares.sum() == pytest.approx(each.total, rel=2e-3)
        means, counts = each.groups(5)
        assert counts.sum() == each.size - 5
        assert (means * counts).sum() + each.top(5).sum() == pytest.approx(each.total)
        assert each.sum_of_squares() == pytest.approx((shares**2).sum(), rel=0.01)


@pytest.mark.parametrize(
    "popularity",
    [
        Cached(Zipf(20_000, 0.99), 100),
        LRUCached(Zipf(20_000, 0.99), 300),
        Salted(Zipf(20_000, 0.99), 3, 8),
        Salted(Zipf(20_000, 1.2), 1, 8, 0.5),
    ],
    ids=repr,
)
def test_the_hottest_shard_of_what_is_left(popularity):
    """Keys dealt one by one, 1,000 times; false alarms below 1e-6, its 0.6% (2% at the 95% quantile) allowed."""
    model = ShardLoad(32, popularity)
    found = model.simulate(1000, seed=5).hottest_share
    low, high = found.mean_interval(1 - 1e-7)
    assert 0.994 * low <= model.hottest_share.mean() <= 1.006 * high
    low, high = found.interval(0.95, 1 - 1e-7)
    assert 0.98 * low <= model.hottest_share.icdf(0.95) <= 1.02 * high
    assert model.imbalance.mean() == pytest.approx(32 * model.hottest_share.mean() / popularity.total)


def test_a_hundred_cached_keys_free_the_hottest_shard():
    plain = ShardLoad()
    assert plain.replace(popularity=Cached(Zipf(), 100)).effective_shards > 5 * plain.effective_shards


def test_salt_that_must_be_gathered_lowers_nothing():
    law = Zipf(10**6, 0.99)
    plain, spread, gathered = (
        HottestShare(64, each).mean() for each in (law, Salted(law, 1, 8), Salted(law, 1, 8, 1.0))
    )
    assert spread < 0.75 * plain
    assert gathered >= plain
    assert Salted(law, 0, 8).top(3) == pytest.approx(law.top(3))
    assert Salted(law, 5, 1).top(3) == pytest.approx(law.top(3))


def test_whoever_asks_a_small_cache_protects():
    """Any number of equally asked keys beyond a cache of n ln n: the hottest of n shards stays below the bound."""
    shards = 50
    places = round(shards * math.log(shards))
    bound = small_cache_bound(1.0)
    assert bound == pytest.approx(1.366, abs=5e-4)
    np.testing.assert_allclose(small_cache_bound([2.0, 4.0, 8.0]), [1.207, 1.112, 1.059], atol=5e-4)
    worst = 0.0
    for asked in (places + 1, 2 * places, 4 * places, 20 * places, 400 * places):
        # Over the mean shard of all that is asked, that which the cache answers included.
        hottest = HottestShare(shards, Cached(UniformKeys(asked), places)).mean() * shards
        assert hottest <= bound
        worst = max(worst, hottest)
    assert worst > 1.15


def test_bad_caches_are_refused():
    with pytest.raises(ValueError, match=r"Cached.top_keys must lie in \[0, 9\] keys, so that one is left; got 10"):
        Cached(Zipf(10, 1.0), 10)
    with pytest.raises(ValueError, match=r"LRUCached.capacity must lie in \[0, 9\] keys"):
        LRUCached(Zipf(10, 1.0), 10)
    with pytest.raises(ValueError, match=r"Salted.gathered must lie in \[0, 1\]"):
        Salted(gathered=1.5)
