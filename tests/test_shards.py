"""Shards: popularity, the hottest share against enumeration and simulation, limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.shards import HottestShare, ShardLoad, Zipf, harmonic


@given(st.integers(1, 30_000), st.floats(0.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_harmonic_numbers(items, exponent):
    plain = (np.arange(1, items + 1, dtype=float) ** -exponent).sum()
    assert harmonic(items, exponent) == pytest.approx(plain, rel=1e-11)


def test_harmonic_broadcasts_and_passes_one():
    np.testing.assert_allclose(harmonic([0, 1, 2], 1.0), [0.0, 1.0, 1.5])
    assert harmonic(10**6, 1.0) == pytest.approx(harmonic(10**6, 1.0 + 1e-12), rel=1e-9)


@given(st.integers(1, 100_000), st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_zipf_groups_hold_all_keys(items, exponent):
    law = Zipf(items, exponent)
    shares, counts = law.groups(min(4, items))
    top = law.top(4)
    assert counts.sum() == items - len(top)
    assert (shares * counts).sum() + top.sum() == pytest.approx(1.0)
    assert law.shares().sum() == pytest.approx(1.0)
    squares = (law.shares() ** 2).sum()
    assert (shares**2 * counts).sum() + (top**2).sum() == pytest.approx(squares, rel=0.003)  # bins a tenth wide


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_four_keys_are_exact(shards, exponent):
    """With no more keys than are dealt exactly, the law is that of all placements."""
    shares = Zipf(4, exponent).shares()
    loads = [np.bincount(on, shares, shards).max() for on in itertools.product(range(shards), repeat=4)]
    law = HottestShare(shards, Zipf(4, exponent))
    assert law.mean() == pytest.approx(np.mean(loads), abs=1e-9)
    for x in np.unique(np.round(loads, 9)):
        assert law.cdf(x + 1e-6) == pytest.approx(np.mean(np.array(loads) <= x + 1e-6), abs=1e-9)


def test_limits_of_shard_load():
    assert ShardLoad(1).hottest_share.mean() == pytest.approx(1.0)
    assert ShardLoad(5, Zipf(1, 1.0)).hottest_share.mean() == pytest.approx(1.0)
    one = ShardLoad(64, Zipf(10**6, 0.0))
    # Equal keys: a shard's load is nearly normal with CV sqrt((N - 1)/K), and the largest of 64 lies 2.4 sd up, not 3.
    spread = np.sqrt(63 / 10**6)
    assert 1 + 2.0 * spread < 64 * one.hottest_share.mean() < 1 + 3.0 * spread
    steep = ShardLoad(64, Zipf(10**6, 5.0))
    # One key has most of the load: its shard is always the hottest, and holds 1/N of the rest besides.
    first = float(steep.popularity.top(1)[0])
    assert first > 0.5
    assert steep.hottest_share.mean() == pytest.approx(first + (1 - first) / 64, rel=1e-4)
    huge = ShardLoad(64, Zipf(10**10, 0.99))
    assert 0 < huge.effective_shards < huge.popularity.top(1)[0] ** -1


def test_the_story_of_sixty_four_shards():
    story = ShardLoad()
    assert story.effective_shards == pytest.approx(12.6, abs=0.05)
    assert story.replace(shards=256).effective_shards == pytest.approx(14.6, abs=0.05)
    assert story.throughput_ceiling / story.capacity == pytest.approx(15.4, abs=0.05)
    assert story.saturation_throughput == pytest.approx(1000 * story.effective_shards)
    assert story.imbalance.mean() == pytest.approx(64 * story.hottest_share.mean())


@given(st.integers(1, 500), st.floats(0.0, 1.5))
@settings(max_examples=20, deadline=None)
def test_one_shard_has_the_mean_and_the_spread_of_the_binomial_sum(shards, exponent):
    law = Zipf(5000, exponent)
    model = ShardLoad(shards, law)
    share = model.share
    assert share.mean() == pytest.approx(1 / shards)
    cv2 = (shards - 1) * (law.shares() ** 2).sum()
    assert share.variance() * shards**2 == pytest.approx(cv2, rel=1e-9)
    stated = model.accuracy("share", 0.5).error
    assert share._moments[0] * shards == pytest.approx(1.0, rel=stated)  # the table's own moments
    assert share._moments[1] * shards**2 == pytest.approx(cv2, rel=2 * stated, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2, 1.5])
@pytest.mark.parametrize("shards", [8, 64, 256])
def test_hottest_share_is_as_near_as_it_says(exponent, shards):
    """Mean within 1%, 95% quantile within 2% of 3,000 placements of 100,000 keys, beside the sample's own error."""
    model = ShardLoad(shards, Zipf(100_000, exponent))
    found = model.simulate(3000, seed=7).hottest_share
    low, high = found.mean_interval(1 - 1e-5)
    assert 0.99 * low <= model.hottest_share.mean() <= 1.01 * high
    low, high = found.interval(0.95, 1 - 1e-5)
    assert 0.98 * low <= model.hottest_share.icdf(0.95) <= 1.02 * high


def test_bad_shards_are_refused():
    with pytest.raises(ValueError, match="popularity must be a popularity of keys"):
        ShardLoad(popularity=0.99)
    with pytest.raises(ValueError, match=r"Zipf.exponent must lie in \[0, 10\)"):
        Zipf(10, -1.0)
    with pytest.raises(ValueError, match="to be listed"):
        ShardLoad(popularity=Zipf(10**10, 0.99)).simulate()
    with pytest.raises(ValueError, match=r"requests must be a whole number in \[40, 781250\]; got 3"):
        ShardLoad(popularity=Zipf(100, 1)).simulate(3)
    few = ShardLoad(popularity=Zipf(100, 1.0))
    assert few.accuracy("hottest_share", 0.99).label == "simulated"
    assert few.accuracy("share").label == "exact"
    assert ShardLoad(100).accuracy("hottest_share", 0.99).label == "within 15%"
    assert ShardLoad(64).accuracy("hottest_share", 0.99).label == "within 3%"
    assert isinstance(few.hottest_share, sm.Distribution)
