"""Shards: popularity, the hottest share against enumeration and simulation, limits."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import scaling_models as sm
from scaling_models.shards import (
    PLACEMENTS,
    BoundedLoad,
    EvenHash,
    HashRing,
    HashSlots,
    HottestShare,
    Measured,
    RangePartition,
    ShardLoad,
    UniformKeys,
    Zipf,
    harmonic,
)
from scaling_models.shards.formulas import rings
from scaling_models.shards.formulas.hottest_load import share_of_hottest
from scaling_models.shards.formulas.tables import fullest_mean


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


@pytest.mark.parametrize("tokens", [1, 4, 8])
@pytest.mark.parametrize("keys", [UniformKeys(10**6), Zipf(10**6, 0.5)])
@pytest.mark.parametrize("asked", ["table", "alone"])
def test_the_larger_of_two_nodes_is_that_of_a_beta(tokens, keys, asked):
    """Loads beyond the whole, of which gamma shares have many, must not be told as small ones: it made 17% at p99."""
    law = HottestShare(2, keys, HashRing(virtual_nodes=tokens))
    for level in (0.05, 0.5, 0.9, 0.99):
        exact = stats.beta(tokens, tokens).ppf((1.0 + level) / 2.0)  # P(max <= x) = 2 P(s <= x) - 1
        found = law.quantile(level) if asked == "alone" else float(law.icdf(level))
        # Smoothed by two of 2,048 steps on as many wholes as the gamma shares reach: twelve at one token, else three.
        assert found == pytest.approx(exact, abs=0.012 if tokens == 1 else 0.003)


@pytest.mark.parametrize(("shards", "copies"), [(3, 2), (7, 6), (20, 15)])
@pytest.mark.parametrize("keys", [UniformKeys(1000), Zipf(1000, 0.8)])
def test_copies_lie_on_different_shards(shards, copies, keys):
    """Two thousand placements, drawn here: copies taken as independent made the mean 1% to 6% too large.

    Six hypotheses; at 5.5 standard errors a right formula fails one of them with probability 2e-7, and an error of
    twice that and of what is stated is seen.
    """
    rng = np.random.default_rng(12)
    shares = keys.shares()
    hottest = []
    for _ in range(2000):
        on = np.argpartition(rng.random((keys.size, shards)), copies - 1, axis=1)[:, :copies]
        hottest.append(np.bincount(on.ravel(), np.repeat(shares / copies, copies), shards).max())
    model = ShardLoad(shards, keys, replicas=copies)
    error = np.std(hottest) / np.sqrt(len(hottest))
    stated = model.accuracy("hottest_share").error * model.hottest_share.mean()
    assert abs(model.hottest_share.mean() - np.mean(hottest)) < 5.5 * error + stated


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
@settings(max_examples=12, deadline=None)
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
    assert ShardLoad(64).accuracy("hottest_share", 0.95).label == "within 3%"
    assert ShardLoad(64).accuracy("hottest_share", 0.99).label == "within 15%"  # 3.5% were measured
    assert isinstance(few.hottest_share, sm.Distribution)


PLACED = [
    ShardLoad(16, Zipf(5_000, 0.9), HashRing(100)),
    ShardLoad(16, UniformKeys(20_000), HashRing(4)),
    ShardLoad(48, Zipf(20_000, 0.6), HashSlots(64)),
    ShardLoad(12, Zipf(20_000, 1.2), HashSlots(200, "at random")),
    ShardLoad(8, Zipf(20_000, 0.8), RangePartition()),
    ShardLoad(8, Zipf(3_000, 0.8), BoundedLoad(0.2, 4)),
    ShardLoad(16, Zipf(20_000, 0.9), EvenHash(), replicas=3),
    ShardLoad(16, Zipf(5_000, 0.9), HashRing(32), replicas=2),
    ShardLoad(6, Zipf(20_000, 1.1), HashSlots(16_384), replicas=2),
    ShardLoad(4, Zipf(2_000, 0.5), RangePartition("adjacent")),
]


@pytest.mark.parametrize("model", PLACED, ids=repr)
def test_every_placement_agrees_with_its_twin(model):
    """False-alarm rate 1e-6 a model: 400 placements played by the algorithm itself, its stated error allowed."""
    table = sm.verify(model, requests=400, seed=4)
    assert (table.verdict != "disagrees").all(), table.to_string()
    rows = table.set_index("quantity")
    assert rows.loc["hottest_share mean", "smallest_error"] < 0.35


def test_a_law_that_forgets_the_tokens_is_seen():
    """On a ring of four tokens a node, the law of even shares is far below."""
    even = ShardLoad(16, UniformKeys(20_000)).hottest_share.mean()
    ring = ShardLoad(16, UniformKeys(20_000), HashRing(4))
    found = ring.simulate(400, seed=4).hottest_share
    assert even < 0.7 * found.mean()
    assert ring.hottest_share.mean() == pytest.approx(found.mean(), rel=0.03)
    # Without keys' own chance it is the exact mean of the largest arc.
    arcs = ShardLoad(16, UniformKeys(10**9), HashRing(4)).hottest_share.mean()
    assert arcs == pytest.approx(HashRing(4).mean_largest_share(16), rel=1e-3)
    one = ShardLoad(16, UniformKeys(10**9), HashRing(4)).share
    np.testing.assert_allclose(one.icdf([0.1, 0.5, 0.9]), rings.share_quantile([0.1, 0.5, 0.9], 4, 16), rtol=2e-3)


def test_equal_keys_are_balls_in_bins():
    """Keys all alike: the counts are multinomial, whose largest is known exactly."""
    for keys, shards in ((5000, 20), (20_000, 7), (3000, 64)):
        exact = fullest_mean(keys, shards) / keys
        found = ShardLoad(shards, UniformKeys(keys)).hottest_share.mean()
        assert found == pytest.approx(exact, abs=0.6 / keys)  # half a key: whole counts are told on a smooth lattice


def test_variance_of_a_share_on_unequal_nodes():
    """c + (N - 1 - c) sum p_k^2, c of slots dealt unevenly or of a beta."""
    slots = np.array([2] * 4 + [1] * 12) / 20 * 16
    for placement, c in ((HashSlots(20), slots.var()), (HashRing(5), 15 / 81)):
        model = ShardLoad(16, Zipf(5000, 0.8), placement)
        cv2 = c + (15 - c) * model.popularity.sum_of_squares()
        assert model.share.variance() * 16**2 == pytest.approx(cv2)
        assert model.share._moments[1] * 16**2 == pytest.approx(cv2, rel=0.02)


def test_copies_spread_the_hottest_key():
    model = ShardLoad(64, Zipf(10**6, 0.99))
    three = model.replace(replicas=3)
    assert three.throughput_ceiling == pytest.approx(3 * model.throughput_ceiling)
    assert 2 < three.effective_shards / model.effective_shards < 3
    assert model.replace(shards=3, replicas=3).hottest_share.mean() == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match=r"ShardLoad.replicas must lie in \[1, 2\] copies, the shards; got 3"):
        ShardLoad(2, replicas=3)


def test_adjacent_hot_keys_fill_the_first_range():
    model = ShardLoad(10, Zipf(1000, 1.0), RangePartition("adjacent"))
    first = model.popularity.shares()[:100].sum()
    assert model.hottest_share.mean() == pytest.approx(first, rel=0.01)
    assert model.share.mean() == pytest.approx(0.1)


@pytest.mark.parametrize("placement", [*PLACEMENTS, lambda: HashRing(1), lambda: HashSlots(deal="at random")])
def test_a_slider_moves_in_time(placement):
    """A million keys within 100 ms and ten million within 2 s, on 4 and on 256 shards: the least of three."""
    for shards, items, most in ((4, 10**6, 0.1), (256, 10**6, 0.1), (256, 10**7, 2.0)):
        spent = []
        for exponent in (0.99, 0.98, 0.97):
            start = time.process_time()
            HottestShare(shards, Zipf(items, exponent), placement()).icdf(0.99)
            spent.append(time.process_time() - start)
        assert min(spent) < most


def test_a_move_of_the_capacity_reuses_the_law_of_the_loads():
    model = ShardLoad(256, Zipf(10**6, 0.987))
    model.hottest_share.icdf(0.5)
    asked = share_of_hottest.cache_info()
    assert model.replace(capacity=2000.0).saturation_throughput == pytest.approx(2.0 * model.saturation_throughput)
    assert share_of_hottest.cache_info().misses == asked.misses


@pytest.mark.parametrize(
    "placement", [HashSlots(3), HashSlots(5, "at random"), HashRing(1), RangePartition(), BoundedLoad(0.1)]
)
@pytest.mark.parametrize("popularity", [Zipf(1, 1.0), Zipf(10, 9.9), UniformKeys(10**10)])
def test_fewer_slots_or_keys_than_shards_still_answer(placement, popularity):
    for shards in (1, 2, 7):
        model = ShardLoad(shards, popularity, placement)
        found = model.hottest_share
        assert 1 / shards * (1 - 1e-9) <= found.mean() <= 1 + 1e-9
        assert 0 <= found.icdf(0.01) <= found.icdf(0.99) <= 1 + 1e-9
        assert model.share.mean() == pytest.approx(1 / shards)


def test_quantiles_of_a_few_loads_are_loads():
    """Between two loads that happen there are none; on most of the shards lies no key, and no load is below zero."""
    keys = sm.shards.Shares((0.4, 0.3, 0.2, 0.1))
    share = ShardLoad(108, keys).share
    assert share.icdf([0.5, 0.95, 0.975, 0.995]) == pytest.approx([0.0, 0.0, 0.2, 0.4], abs=1e-12)
    assert share.ccdf(0.0) == pytest.approx(1.0 - (1.0 - 1.0 / 108) ** 4, rel=1e-9)
    assert share.sample(1000, rng=1).min() == 0.0
    latency = sm.shards.ShardLatency(60.0, 159, keys, RangePartition(), luck=0.05).latency
    assert sum(latency.weights) == pytest.approx(1.0)
    assert min(latency.weights) > 0.0


@pytest.mark.parametrize("placement", [HashSlots(3), sm.shards.Maglev(3)], ids=repr)
def test_no_more_copies_than_shards_that_can_hold_them(placement):
    law = ShardLoad(256, Zipf(10_000, 0.99), placement, replicas=3)
    assert law.hottest_share.icdf(0.5) == pytest.approx(1.0 / 3.0)
    assert law.share.mean() == pytest.approx(1.0 / 256.0)
    said = r"ShardLoad.replicas must lie in \[1, 3\] copies, the shards that (HashSlots|Maglev) can give keys to; got 4"
    with pytest.raises(ValueError, match=said):
        ShardLoad(256, Zipf(10_000, 0.99), placement, replicas=4)


@pytest.mark.parametrize("shards", [2, 3, 4])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 6, 8])
def test_the_largest_of_few_nodes_of_few_tokens(shards, tokens):
    """Of so many keys that they add nothing (1e-4), the mean largest share of the ring: what of one node's gamma lies
    above the whole comes back as e^-9 = 1.2e-4 of the mass at most."""
    law = HottestShare(shards, UniformKeys(10**10), HashRing(tokens))
    assert law.mean() == pytest.approx(rings.largest_share_mean(tokens, shards), rel=3e-4)
    slots = HottestShare(shards, UniformKeys(10**10), HashSlots(20, "at random"))
    assert slots.mean() == pytest.approx(fullest_mean(20, shards) / 20, rel=3e-3)  # atoms, smoothed over two steps


def test_few_keys_that_are_asked_for_are_few_keys():
    """Two thousand keys, eight of which are asked for: a quantile may be off by one of them."""
    few = ShardLoad(32, Measured((1,) * 8 + (0,) * 2000))
    assert few.accuracy("hottest_share", 0.95).label == "simulated"
    assert few.accuracy("hottest_share") == ShardLoad(32, UniformKeys(8)).accuracy("hottest_share")


@pytest.mark.parametrize(
    "model",
    [
        ShardLoad(16, UniformKeys(2000), RangePartition(), replicas=2),
        ShardLoad(16, Zipf(2000, 0.9), RangePartition("adjacent"), replicas=2),
        ShardLoad(5, Zipf(2000, 0.9), RangePartition("adjacent"), replicas=4),
    ],
    ids=repr,
)
def test_copies_of_ranges_are_as_played(model):
    """False alarm 1e-6 each; adjacent ones have no chance in them, to 1e-3 of a range's first and last key."""
    table = sm.verify(model, 400, 3, false_alarm=1e-6).set_index("quantity")
    if model.placement.hot_keys == "scattered":
        assert "disagrees" not in set(table.verdict), table.to_string()
        assert table.loc["hottest_share mean", "verdict"] == "agrees"
    else:
        assert table.loc["hottest_share mean", "simulated"] == pytest.approx(model.hottest_share.mean(), rel=1e-3)
        ranges = np.sort(Zipf(2000, 0.9).shares().reshape(5, 400).sum(axis=1)) if model.shards == 5 else []
        assert model.shards != 5 or model.hottest_share.mean() == pytest.approx(ranges[1:].mean(), rel=1e-3)
