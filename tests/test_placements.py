"""Placements: the algorithms themselves against their theory, published rows, and what moves.

Keys are dealt with fixed seeds; each statistical bound below is five standard errors (6e-7 each way) or says otherwise.
"""

import itertools
import math

import numpy as np
import pytest
from pasting import pasted
from scipy import special, stats

import scaling_models as sm
from scaling_models.answers import NoClosedForm
from scaling_models.shards import (
    PLACEMENTS,
    BoundedLoad,
    HashRing,
    HashSlots,
    JumpHash,
    Maglev,
    Modulo,
    MultiProbe,
    RangePartition,
    Rendezvous,
    ShardLoad,
    UniformKeys,
)
from scaling_models.shards.formulas import rings, tables
from scaling_models.shards.placements.allocated import allocated_places, allocated_shares, donors
from scaling_models.shards.placements.hash_ring import random_tokens
from scaling_models.shards.placements.hash_slots import dealt
from scaling_models.shards.placements.hashing import following
from scaling_models.shards.placements.jump_hash import jumped
from scaling_models.shards.placements.placement import share_scv

KINDS = pytest.mark.parametrize("kind", PLACEMENTS, ids=lambda kind: kind.__name__)
MORE = [HashRing(16), HashRing(4, "allocated"), HashSlots(128), HashSlots(256, "at random"), Maglev(251)]
MORE += [RangePartition("adjacent"), MultiProbe(3), BoundedLoad(0.1, 10)]
ALL = [*(kind() for kind in PLACEMENTS), *MORE]
CASES = pytest.mark.parametrize("placement", ALL, ids=repr)


@CASES
def test_every_key_has_a_shard_and_repeats_with_the_seed(placement):
    for shards in (1, 2, 7, 100):
        chosen = placement.place(5000, shards, np.random.default_rng(3))
        assert chosen.shape == (5000,)
        assert chosen.min() >= 0
        assert chosen.max() < shards
        np.testing.assert_array_equal(chosen, placement.place(5000, shards, np.random.default_rng(3)))


@CASES
def test_copies_lie_on_different_shards(placement):
    copies = np.sort(placement.copies(2000, 6, 3, np.random.default_rng(5)), axis=1)
    assert copies.shape == (2000, 3)
    assert (np.diff(copies, axis=1) > 0).all()
    assert placement.copies(50, 3, 3, np.random.default_rng(5)).sum() == 50 * 3


@CASES
@pytest.mark.parametrize("shards", [3, 12])
def test_the_law_of_a_share_has_the_mean_and_spread_of_the_algorithm(placement, shards):
    """Squared deviations of the keys' counts from even: c + (N - 1 - c)/K (a beta of arcs, and a binomial of keys)."""
    keys, draws = 4000, 300 if not isinstance(placement, MultiProbe) else 100
    rng = np.random.default_rng(11)
    squares = np.array(
        [
            np.mean((np.bincount(placement.place(keys, shards, rng), minlength=shards) * shards / keys - 1.0) ** 2)
            for _ in range(draws)
        ]
    )
    kinds = placement.nodes(shards)
    assert sum(count for count, _ in kinds) == shards
    assert sum(count * share.mean for count, share in kinds) == pytest.approx(1.0, rel=1e-6)
    c = share_scv(placement, shards)
    expected = c + (shards - 1 - c) / keys
    if isinstance(placement, RangePartition):  # equal counts: nothing is left to chance
        assert squares.max() < (shards / keys) ** 2
        return
    near = 0.25 if isinstance(placement, BoundedLoad | MultiProbe) else 0.0  # said to be approximate, or for many nodes
    reach = 5 * squares.std() / math.sqrt(draws) + near * expected
    assert squares.mean() == pytest.approx(expected, abs=reach)
    if near == 0.0 and c > 0.01:
        assert reach < 0.35 * expected


@CASES
@pytest.mark.parametrize("shards", [4, 40])
def test_mean_largest_share(placement, shards):
    """Against the algorithm with so many keys that their own chance is small; what it adds is allowed for."""
    slow = isinstance(placement, BoundedLoad | MultiProbe | Rendezvous)
    keys, draws = 20_000 if slow else 100_000, 30
    rng = np.random.default_rng(13)
    largest = np.array([np.bincount(placement.place(keys, shards, rng)).max() / keys for _ in range(draws)])
    expected = placement.mean_largest_share(shards)
    noise = math.sqrt((shards - 1) / keys) * 3.0 / shards
    few = 0.02 if isinstance(placement, BoundedLoad | MultiProbe) else 0.0
    reach = 5 * largest.std(ddof=1) / math.sqrt(draws) + noise + few * expected
    assert largest.mean() == pytest.approx(expected, abs=reach)
    assert reach < expected  # it can fail: see the next test for how closely


def test_one_virtual_node_is_the_harmonic_number():
    for nodes in (1, 2, 10, 300):
        harmonic = (1.0 / np.arange(1, nodes + 1)).sum()
        assert nodes * rings.largest_share_mean(1, nodes) == pytest.approx(harmonic, rel=1e-9)


@pytest.mark.parametrize("nodes", [2, 5, 20])
def test_largest_arc_of_one_token_each_is_whitworths(nodes):
    """P(max <= x) = sum (-1)^k C(N, k) (1 - k x)_+^(N - 1): exact. The quantile formula is within what it says."""

    def exact(x):
        return sum((-1) ** k * math.comb(nodes, k) * max(0.0, 1 - k * x) ** (nodes - 1) for k in range(nodes + 1))

    for q in (0.9, 0.99, 0.999):
        x = rings.largest_share_quantile(q, 1, nodes)
        error = 0.01 if nodes >= 10 else 0.02
        assert exact(x * (1 - error)) <= q <= exact(x * (1 + error))


def test_the_share_of_a_node_is_a_beta_however_many_tokens_there_are():
    assert rings.share_quantile(0.3, 7, 12) == pytest.approx(stats.beta.ppf(0.3, 7, 77), rel=1e-9)
    # 10,000 nodes of 100,000 tokens: CV 0.3%; scipy's own beta quantile is far off there.
    assert 10**4 * rings.share_quantile(0.005, 10**5, 10**4) == pytest.approx(1 - 2.5758 / math.sqrt(10**5), abs=1e-4)
    for v in (1, 10, 100, 1000):  # the two branches meet, and invert the distribution
        n = int(rings.FEW_TOKENS / v)
        near, far = (rings.share_quantile([0.005, 0.5, 0.995], v, count) * count for count in (n, n + 1))
        np.testing.assert_allclose(near, far, rtol=3.0 / n)
    for v, n in ((1000, 10**4), (10**4, 100), (1000, 10**6)):
        levels = np.array([0.005, 0.1, 0.9, 0.995])
        np.testing.assert_allclose(
            special.betainc(v, v * (n - 1), rings.share_quantile(levels, v, n)), levels, rtol=1e-9
        )
    assert rings.share_quantile(0.5, 3, 1) == 1.0


def test_copies_on_a_ring_hold_what_the_walk_back_says():
    for nodes, error in ((6, 0.06), (24, 0.02)):
        held = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            copies = HashRing(4).copies(20_000, nodes, 3, rng)
            held.append(np.bincount(copies.ravel(), minlength=nodes) / 60_000 * nodes)
        cv2 = np.var(held) - (nodes / 3 - 1) / 20_000
        chance = 3 * math.sqrt(2 / (60 * nodes))
        assert math.sqrt(cv2) == pytest.approx(rings.replicated_cv(4, nodes, 3), rel=error + chance)
    assert rings.replicated_cv(5, 9, 1) == pytest.approx(rings.share_cv(5, 9))
    assert rings.replicated_cv(1, 12, 3) == pytest.approx(stats.beta(3, 9).std() * 4)  # three neighbouring gaps of 12
    assert rings.replicated_cv(5, 3, 3) == pytest.approx(0.0, abs=1e-12)


def test_the_fullest_bin_is_that_of_all_throws():
    for balls, bins in ((1, 3), (5, 3), (7, 2), (6, 4)):
        fullest = [np.bincount(throw, minlength=bins).max() for throw in itertools.product(range(bins), repeat=balls)]
        assert tables.fullest_mean(balls, bins) == pytest.approx(np.mean(fullest), abs=1e-10)
    rng = np.random.default_rng(2)
    thrown = rng.multinomial(1000, [1 / 20] * 20, size=20_000).max(axis=1)
    assert tables.fullest_mean(1000, 20) == pytest.approx(thrown.mean(), abs=5 * thrown.std() / math.sqrt(20_000))


def reference_jump(key, buckets):
    """Figure 1 of the paper, one key."""
    b, j = -1, 0
    while j < buckets:
        b = j
        key = (key * 2862933555777941757 + 1) % 2**64
        j = int((b + 1) * (float(1 << 31) / float((key >> 33) + 1)))
    return b


def test_jump_hash_is_the_papers_loop():
    keys = np.random.default_rng(1).integers(0, 2**64, 300, dtype=np.uint64)
    for buckets in (1, 2, 13, 1000):
        assert jumped(keys, buckets).tolist() == [reference_jump(int(key), buckets) for key in keys]


def test_a_ring_is_a_walk_to_the_next_token():
    tokens, owner = random_tokens(5, 3, 77)
    hashes = np.random.default_rng(1).integers(0, 2**64, 200, dtype=np.uint64)
    found = HashRing(3).owners(hashes, 5, 77)
    for key, node in zip(hashes.tolist(), found, strict=True):
        later = [(int(token), int(o)) for token, o in zip(tokens, owner, strict=True) if int(token) >= key]
        assert node == (min(later)[1] if later else owner[0])


MOVES = [(4, 5), (5, 4), (4, 8), (10, 12), (3, 3)]


@CASES
@pytest.mark.parametrize(("before", "after"), MOVES)
def test_what_moves(placement, before, after):
    """Mean and spread of the share of keys that move; a share p of K keys has a binomial spread of its own."""
    keys, draws = 4000, 6 if isinstance(placement, Maglev) else 40
    try:
        mean, deviation = placement.moved(before, after)
    except NoClosedForm:
        found = placement.moved_share(before, after, 5000, 6)
        assert abs(after - before) / max(before, after) * 0.8 < found.value < 1
        return
    found = placement.moved_share(before, after, keys, draws)
    spread = math.sqrt(deviation**2 + mean * (1 - mean) / keys)
    assert found.value == pytest.approx(mean, abs=5 * spread / math.sqrt(draws) + 1e-12)
    seen = found.error * math.sqrt(draws)
    if deviation:  # a chi-square of 39 degrees at 5 sigma, both ways
        assert seen == pytest.approx(spread, rel=5 / math.sqrt(2 * draws))


def test_fewest_moves_of_slots():
    assert HashSlots().moved(10, 12).mean * 16_384 == pytest.approx(2730)
    for slots, nodes in ((128, 96), (7, 3), (5, 9)):
        assert np.bincount(dealt(slots, nodes), minlength=nodes).tolist() == tables.even_deal(slots, nodes).tolist()
    assert HashSlots(128).mean_largest_share(96) * 96 == pytest.approx(1.5)
    assert Modulo().moved(4, 8).mean == 0.5
    assert Modulo().moved(9, 10).mean == pytest.approx(0.9)


def test_growing_by_rendezvous_and_jump_moves_keys_to_the_new_shards_only():
    hashes = np.random.default_rng(1).integers(0, 2**64, 5000, dtype=np.uint64)
    for placement in (JumpHash(), Rendezvous(), HashRing(8), MultiProbe(5), HashSlots(512)):
        before, after = placement.owners(hashes, 6, 9), placement.owners(hashes, 8, 9)
        assert (after[before != after] >= 6).all()


def test_maglev_places_differ_by_one_at_most():
    for shards in (3, 100, 251):
        places = np.bincount(np.asarray(Maglev(251).owners(np.arange(50_000, dtype=np.uint64), shards, 3)))
        assert len(places) == shards
    from scaling_models.shards.placements.maglev import filled

    assert np.ptp(np.bincount(filled(251, 100, 1))) == 1


def test_bounded_loads_are_bounded():
    for epsilon in (0.05, 0.5):
        counts = np.bincount(BoundedLoad(epsilon).place(3000, 30, np.random.default_rng(4)))
        assert counts.max() == math.ceil((1 + epsilon) * 100)


@KINDS
def test_kinds_are_known_at_the_top(kind):
    assert getattr(sm, kind.__name__) is kind
    assert eval(repr(kind()), pasted()) == kind()


def test_bad_placements_are_refused():
    with pytest.raises(ValueError, match="prime number of places; got 100"):
        Maglev(100)
    with pytest.raises(ValueError, match=r"HashRing.virtual_nodes must be a whole number"):
        HashRing(0)
    with pytest.raises(NoClosedForm, match="simulate it"):
        Maglev().moved(3, 4)


@pytest.mark.parametrize("placement", [*ALL, HashSlots(16), HashSlots(40)], ids=repr)
def test_the_law_of_a_share_of_copies_is_that_of_the_algorithm(placement):
    """The mean of each kind of node, and squared deviations c + (N/R - 1 - c)/K of the copies' counts from even."""
    keys, shards, copies, draws = 2000, 12, 3, 40 if placement != Maglev() else 6  # whose tables take their time
    rng = np.random.default_rng(17)
    counts = np.array(
        [np.bincount(placement.copies(keys, shards, copies, rng).ravel(), minlength=shards) for _ in range(draws)]
    )
    squares = ((counts * shards / (keys * copies) - 1.0) ** 2).mean(axis=1)
    kinds = placement.nodes(shards, copies)
    assert sum(count * share.mean for count, share in kinds) == pytest.approx(1.0, rel=1e-6)
    assert max(share.mean for _, share in kinds) <= 1.0 / copies
    c = share_scv(placement, shards, copies)
    expected = c + (shards / copies - 1 - c) / keys
    if placement.copied_loads(UniformKeys(keys), shards, copies):  # nothing is left to chance
        expected = 0.0
    near = 0.25 if isinstance(placement, BoundedLoad | MultiProbe) else 0.1 if c > 0.0 else 0.0
    assert squares.mean() == pytest.approx(expected, abs=5 * squares.std() / math.sqrt(draws) + near * expected)


def test_copies_on_uneven_slots_are_those_of_every_order():
    """Of a key's copies in every order in which nodes can be drawn, each in proportion to the slots of those left."""
    for slots, nodes, copies in ((4, 3, 2), (7, 5, 3), (3, 5, 2), (12, 5, 5)):
        held = tables.even_deal(slots, nodes)
        found = 0.0
        for order in itertools.permutations(range(nodes), copies):
            left, chance = float(slots), 1.0
            for node in order:
                chance, left = chance * held[node] / left, left - held[node]
                if chance == 0.0:
                    break
            found += chance * sum(held[node] > slots // nodes for node in order)
        few, heavy = divmod(slots, nodes)
        told = tables.copies_on_heavier(heavy, nodes - heavy, (few + 1.0, float(few)), copies)
        assert told == pytest.approx(found, rel=1e-12)
    assert tables.copies_on_heavier(2, 2, (3.0, 2.0), 1) == pytest.approx(0.6)


@pytest.mark.parametrize(("virtual_nodes", "cv"), [(1, 0.45), (4, 0.10), (8, 0.05), (16, 0.025), (128, 0.004)])
def test_an_allocator_keeps_its_tokens_and_splits_the_largest_ranges(virtual_nodes, cv):
    """No token moves, a new node has just 1/N, its ranges are cut from others' largest, and shares stay even."""
    before = dict(zip(*allocated_places(30, virtual_nodes), strict=True))
    for nodes in (31, 45):
        places, owner = allocated_places(nodes, virtual_nodes)
        after = dict(zip(places, owner, strict=True))
        assert len(after) == nodes * virtual_nodes
        assert all(after[place] == node for place, node in before.items())
        widths = np.diff(places, prepend=0.0)
        assert widths.min() > 0.0
        held = np.bincount(owner, widths, nodes)
        np.testing.assert_allclose(held, allocated_shares(nodes, virtual_nodes), atol=1e-12)
        assert held[-1] == pytest.approx(1.0 / nodes)
        assert held.std() * nodes < cv
    assert set(donors(allocated_shares(30, virtual_nodes), virtual_nodes)) <= set(range(30))


@pytest.mark.parametrize(("before", "after"), [(7, 8), (8, 7), (10, 14), (300, 301)])
def test_what_allocated_tokens_move_is_the_least(before, after):
    """Keys go to the new nodes only, or from those that leave; what moves is what these hold, 1/N each."""
    ring = HashRing(16, "allocated")
    hashes = np.random.default_rng(2).integers(0, 2**64, 200_000, dtype=np.uint64)
    old, new = ring.owners(hashes, before, 9), ring.owners(hashes, after, 9)
    gone = old != new
    last = min(before, after)
    assert (np.maximum(old, new)[gone] >= last).all()
    moved, deviation = ring.moved(before, after)
    assert deviation == 0.0
    least = abs(after - before) / max(before, after)
    assert least * 0.96 < moved < least * 1.04
    assert gone.mean() == pytest.approx(moved, abs=5 * math.sqrt(moved / 200_000))
    sent, received = ring.carried(before, after)
    assert sent.nodes * sent.share <= moved * (1.0 + 1e-9)
    counted = [np.bincount(where[gone]).max() / 200_000 for where in (old, new)]
    noise = 6 * math.sqrt(max(counted) / 200_000)
    assert counted == pytest.approx([sent.share, received.share], rel=0.06, abs=noise)
    assert HashRing(16).carried(before, after) is None
    assert ring.moved_share(before, after, draws=4, keys=20_000).value == pytest.approx(moved, rel=0.2)


def test_copies_on_allocated_tokens_are_counted_on_the_ring():
    ring, rng = HashRing(8, "allocated"), np.random.default_rng(4)
    held = np.bincount(ring.copies(400_000, 20, 3, rng).ravel(), minlength=20) / 1_200_000
    np.testing.assert_allclose(held, ring._held(20, 3), atol=6 * math.sqrt(0.05 / 1_200_000))
    groups = ring.nodes(20, 3)
    assert sum(number * share.mean for number, share in groups) == pytest.approx(1.0)
    assert ring.law_error(20, 3) == pytest.approx(held.max() / groups[0].share.mean - 1.0, abs=0.02)


def test_copies_end_where_few_slots_were_dealt_to_fewer_shards():
    """Two slots lie on two shards at most: three copies have no room. With enough of them copies are all different."""
    with pytest.raises(ValueError, match=r"dealt all keys to [12] of the 3 shards: there is no room for 3 copies"):
        HashSlots(2, "at random").copies(50, 3, 3, np.random.default_rng(1))
    copies = HashSlots(40, "at random").copies(50, 3, 3, np.random.default_rng(1))
    assert (np.sort(copies, axis=1) == [0, 1, 2]).all()


@pytest.mark.parametrize("count", [1, 2, 100, 5000])
def test_tokens_are_found_as_by_a_search(count):
    rng = np.random.default_rng(count)
    tokens = np.sort(rng.integers(0, 2**64, count, dtype=np.uint64))
    tokens[count // 2 :] |= np.uint64(2**63)  # crowded, and none at all, behind the same leading bits
    tokens.sort()
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    hashes = np.concatenate([rng.integers(0, 2**64, 100_000, dtype=np.uint64), tokens, tokens + np.uint64(1), ends])
    np.testing.assert_array_equal(following(tokens, hashes), np.searchsorted(tokens, hashes))


@pytest.mark.parametrize(("before", "after"), [(2, 5), (5, 2), (4, 6), (3, 4), (10, 11), (1, 3)])
def test_ranges_send_and_receive_what_lies_elsewhere_then(before, after):
    places = (np.arange(1_000_000, dtype=np.uint64) * np.uint64(2**64 // 1_000_000)).astype(np.uint64)
    old, new = (RangePartition().owners(places, count, 0) for count in (before, after))
    gone = old != new
    assert gone.mean() == pytest.approx(RangePartition().moved(before, after).mean, abs=1e-5)
    for where, part in zip((old, new), RangePartition().carried(before, after), strict=True):
        shares = np.bincount(where[gone], minlength=max(before, after)) / len(places)
        most = shares[shares >= 0.95 * shares.max()]
        assert part == pytest.approx((len(most), most.mean()), abs=1e-5)


@pytest.mark.parametrize(("probes", "nodes"), [(2, 2), (2, 4), (3, 6), (21, 6), (21, 64)])
def test_the_spread_of_probed_shares_is_exact_for_any_number_of_nodes(probes, nodes):
    """Shares of drawn gaps, a key's nearest probe by integration over its distance, without the order statistics."""
    rng = np.random.default_rng([probes, nodes])
    gaps = rng.dirichlet(np.ones(nodes), 4000)
    far = np.linspace(0.0, 1.0, 4001)[None, :] * gaps.max(axis=1)[:, None]
    beyond = sum(np.maximum(gaps[:, [i]] - far, 0.0) for i in range(nodes))
    density = probes * beyond ** (probes - 1)
    steps = np.diff(far, axis=1)
    rows = np.arange(len(gaps))
    below = np.concatenate(
        [np.zeros((len(gaps), 1)), np.cumsum((density[:, 1:] + density[:, :-1]) / 2 * steps, axis=1)], axis=1
    )
    first = np.stack(
        [below[rows, np.round(gaps[:, i] / steps[:, 0]).astype(int).clip(0, 4000)] for i in range(nodes)], axis=1
    )
    one = first[:, 0]
    told = MultiProbe(probes).moved(nodes - 1, nodes)
    squares = (one - told.mean) ** 2
    assert abs(squares.mean() - told.deviation**2) < 6.0 * squares.std() / math.sqrt(len(squares))
    assert abs(one.mean() - told.mean) < 6.0 * one.std() / math.sqrt(len(one))


@pytest.mark.parametrize(("shards", "probes"), [(1, 5), (2, 2), (2, 5), (3, 3), (4, 21), (6, 2), (16, 3), (63, 2)])
def test_multi_probe_says_how_far_it_is_off(shards, probes):
    """Against shares drawn by the order of their gaps (see `MultiProbe.moved`), of keys so many that no chance is left.

    20,000 draws: the mean's standard error is 0.3% at most, a quantile's 1.5%; six of each are allowed.
    """
    model = ShardLoad(shards, UniformKeys(10**9), MultiProbe(probes=probes))
    places = np.sort(np.random.default_rng(9).random((20_000, shards - 1)), axis=1)[:, ::-1]
    wins = np.hstack([np.ones((20_000, 1)), places, np.zeros((20_000, 1))]) ** probes
    largest = ((wins[:, :-1] - wins[:, 1:]) / np.arange(shards, 0, -1)).sum(axis=1)
    stated = model.accuracy("hottest_share")
    assert stated.label == "exact" if shards == 1 else stated.error > 0.0
    assert model.hottest_share.mean() == pytest.approx(largest.mean(), rel=stated.error + 0.02)
    for level in (0.01, 0.5, 0.95, 0.99):
        stated = model.accuracy("hottest_share", level)
        found = float(model.hottest_share.icdf(level))
        assert stated.label in ("exact", "bound")
        assert found == pytest.approx(np.quantile(largest, level), rel=stated.error + 0.02 * (shards > 1) + 1e-9)


@pytest.mark.parametrize(("epsilon", "nodes"), [(9.9, 1000), (0.25, 300)])
def test_a_loose_bound_leaves_the_ring_its_tail(epsilon, nodes):
    """Many keys, all alike: the plain ring's largest share, or the cap, whichever is less nearly always.

    The cap of 10.9 means is passed by 2% of rings of 1,000 nodes, of mean largest 7.5, by one mean: a quarter of 1%.
    """
    known = BoundedLoad(epsilon).mean_largest_share(nodes)
    found = sm.shards.HottestShare(nodes, UniformKeys(10**10), BoundedLoad(epsilon)).mean()
    assert found == pytest.approx(known, rel=0.01)


def test_few_equal_keys_are_not_said_to_be_near_a_bound():
    """The cap holds of keys, so that of equal ones none is over it; the law lets chance go beyond."""
    for epsilon, nodes, keys in ((0.01, 64, 2000), (0.25, 64, 20_000), (0.25, 1000, 20_000)):
        model = sm.shards.ShardLoad(nodes, UniformKeys(keys), BoundedLoad(epsilon))
        known = math.ceil((1.0 + epsilon) * keys / nodes) / keys
        said = model.accuracy("hottest_share")
        assert model.hottest_share.mean() <= known * (1.0 + said.error)
        assert said.label == ("within 15%" if said.error <= 0.15 else "bound")


@pytest.mark.parametrize("nodes", [2, 3, 4, 8])
@pytest.mark.parametrize("probes", [2, 3, 5, 21])
def test_few_nodes_of_several_probes_are_as_near_as_they_say(nodes, probes):
    model = sm.shards.ShardLoad(nodes, UniformKeys(10**10), MultiProbe(probes))
    known = MultiProbe(probes).mean_largest_share(nodes)
    assert abs(model.hottest_share.mean() / known - 1.0) <= model.accuracy("hottest_share").error
