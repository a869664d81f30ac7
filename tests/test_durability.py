"""Data loss: exact formulas against independent exact routes, twins against plain loops, models against twins.

False-alarm rate of the file 1e-6: each statistical comparison is at six standard errors (2e-9) or a verification's own.
"""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, linalg, stats

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import NoClosedForm, answer
from scaling_models.latency.passage import PassageTime
from scaling_models.montecarlo.kernels import copysets as failing
from scaling_models.montecarlo.kernels import rings
from scaling_models.montecarlo.kernels.durability import Lanes, Storage, first_losses
from scaling_models.shards import CopysetLoss, Durability, VirtualNodes
from scaling_models.shards.formulas import copysets, durability, virtual_nodes
from scaling_models.shards.ring_share import RingShare

DAY, YEAR = 86400.0, 365.25 * 86400.0
SIGMAS = 6.0


def solved(replicas, failing_rate, repairing, parallel):
    """The mean first passage by a linear system in the chain's generator."""
    generator = np.zeros((replicas, replicas))
    for k in range(replicas):
        up, down = (replicas - k) * failing_rate, repairing * (k if parallel else min(k, 1))
        generator[k, k] = -up - down
        if k + 1 < replicas:
            generator[k, k + 1] = up
        if k:
            generator[k, k - 1] = down
    return linalg.solve(-generator, np.ones(replicas))[0]


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 5])
def test_the_mean_time_to_data_loss_solves_the_chain(replicas, parallel):
    rates = np.array([0.9, 0.1, 0.01])
    found = durability.mttdl(replicas, rates, 1.0, parallel=parallel)
    np.testing.assert_allclose(
        found, [solved(replicas, rate, 1.0, parallel) for rate in rates], rtol=1e-7
    )  # ill-conditioned
    leading = 1.0 / (replicas if parallel else math.factorial(replicas))
    rare = durability.mttdl(replicas, 1e-7, 1.0, parallel=parallel) * 1e-7**replicas
    assert rare == pytest.approx(leading, rel=1e-5)  # the next term is a few 1e-7 of it


def test_two_copies_have_the_textbook_mean():
    assert durability.mttdl(2, 0.01, 1.0) == pytest.approx((3 * 0.01 + 1.0) / (2 * 0.01**2), rel=1e-15)


def test_a_second_failure_does_not_depend_on_the_scatter_width():
    widths = np.array([1, 2, 10, 100])
    times = durability.rebuild_time(1e12, widths, 1e7)
    np.testing.assert_allclose(times, 1e5 / widths)
    for fixed, expected in ((True, -math.expm1(-0.2)), (False, 0.2 / 1.2)):
        found = durability.second_failure(widths, 2e-6, times, fixed=fixed)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def single(replicas, rate, parallel=True, nodes=None):
    """The chain of one set, or of `nodes` any `replicas` of which hold a set."""
    lost = np.zeros(nodes or replicas)
    lost[replicas - 1 :] = 1.0
    return durability.loss_chain(nodes or replicas, rate, 1.0, lost, parallel=parallel)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("rate", [0.5, 0.01, 1e-6])
def test_the_chain_of_one_set_is_the_sum(rate, parallel):
    chain = single(4, rate, parallel)
    expected = durability.mttdl(4, rate, 1.0, parallel=parallel)
    assert chain.visits.sum() == pytest.approx(expected, rel=1e-13)
    assert PassageTime(*map(tuple, chain.law())).mean() == pytest.approx(expected, rel=1e-9)


def test_the_loss_within_a_time_is_the_exponential_of_the_generator():
    lost = np.array([0.0, 0.0, 0.2, 0.5, 1.0])
    chain = durability.loss_chain(9, 0.05, 1.0, lost)
    size = len(chain.fails)
    stays = chain.fails * (1 - chain.lost)
    generator = np.diag(stays[:-1], 1) + np.diag(chain.repaired[1:], -1) - np.diag(chain.fails + chain.repaired)
    for t in (0.01, 3.0, 100.0):
        expected = 1.0 - linalg.expm(generator * t)[0].sum()
        assert chain.lost_within(t) == pytest.approx(expected, rel=1e-7, abs=1e-14)
        weights, rates = chain.law()
        assert PassageTime(tuple(weights), tuple(rates)).cdf(t) == pytest.approx(expected, rel=1e-7, abs=1e-12)
    assert chain.visits.sum() == pytest.approx(linalg.solve(-generator, np.ones(size))[0], rel=1e-12)
    assert (chain.visits * chain.fails * chain.lost).sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("rate", [1e-4, 1e-7, 1e-9])
def test_a_yearly_loss_keeps_its_precision_however_rare(rate):
    """Two copies: two exponential stages of rates r0 r1 = 2 l^2, r0 + r1 = 3 l + m; by series for a small r0 t."""
    t = 50.0
    fast = (3 * rate + 1.0 + math.sqrt((3 * rate + 1.0) ** 2 - 8 * rate**2)) / 2
    slow = 2 * rate**2 / fast
    expected = slow * (t + math.expm1(-fast * t) / fast)  # next: r0 t / 2 of it, 5e-7 at most
    assert single(2, rate).lost_within(t) == pytest.approx(expected, rel=1e-6 if rate > 1e-5 else 1e-11)


@pytest.mark.parametrize(("nodes", "failed", "replicas"), [(12, 5, 3), (13, 8, 3), (10, 4, 2), (14, 9, 3), (9, 2, 3)])
def test_disjoint_groups_lost_are_counted(nodes, failed, replicas):
    groups = [set(range(at, at + replicas)) for at in range(0, nodes - replicas + 1, replicas)]
    hit = [any(group <= set(down) for group in groups) for down in itertools.combinations(range(nodes), failed)]
    assert copysets.disjoint_loss(nodes, failed, replicas) == pytest.approx(np.mean(hit), rel=1e-12)


@given(st.integers(2, 400), st.integers(2, 5), st.floats(0.0, 1.0))
def test_both_routes_to_disjoint_losses_agree(nodes, replicas, share):
    groups, failed = nodes // replicas, round(share * nodes)
    expected = groups * copysets.one_set_lost(nodes, failed, replicas) if nodes >= replicas else 0.0
    if groups and expected <= 6.0:
        one = copysets._alternating(nodes, np.array(failed), replicas, groups)
        assert float(one) == pytest.approx(copysets._by_frequencies(nodes, failed, replicas, groups), abs=1e-10)


def test_losses_of_random_chunks_are_enumerated():
    """Four chunks on pairs of five nodes, three of which fail: all placements."""
    pairs = list(itertools.combinations(range(5), 2))
    hit = [any(set(pair) <= {0, 1, 2} for pair in chosen) for chosen in itertools.product(pairs, repeat=4)]
    assert copysets.loss_probability(5, 3, 2, 4) == pytest.approx(np.mean(hit), rel=1e-13)
    distinct = np.mean([len(set(chosen)) for chosen in itertools.product(pairs, repeat=4)])
    assert copysets.random_copysets(5, 2, 4) == pytest.approx(distinct, rel=1e-13)


WINDOWS = [(14, 4, 3, 4), (20, 4, 3, 5), (16, 3, 2, 2), (24, 4, 2, 3), (18, 5, 4, 5)]


@pytest.mark.parametrize(("nodes", "failed", "replicas", "window"), WINDOWS)
def test_windows_are_as_near_as_they_say(nodes, failed, replicas, window, monkeypatch):
    def lost(down):
        return any(sum(0 < (other - one) % nodes <= window for other in down) >= replicas - 1 for one in down)

    exact = np.mean([lost(down) for down in itertools.combinations(range(nodes), failed)])
    stated = CopysetLoss(placement="window").accuracy("loss_probability").error
    assert copysets.window_loss(nodes, failed, replicas, window, 1e9) == pytest.approx(exact, rel=1e-12)
    monkeypatch.setattr(copysets, "MOST_PLACES", 1)  # as of more nodes
    assert copysets.window_loss(nodes, failed, replicas, window, 1e9) == pytest.approx(exact, rel=stated)


@pytest.mark.parametrize(
    ("nodes", "failed", "replicas", "window"), [(4, 2, 2, 3), (4, 2, 2, 1), (7, 5, 3, 4), (5, 5, 2, 4)]
)
def test_windows_of_few_nodes_are_exact(nodes, failed, replicas, window):
    """Three chunks a node, all placements of them one by one: the approximation was 35% off."""

    def kept(down):
        chances = [
            np.mean([not set(chosen) <= {(d - one) % nodes for d in down} for chosen in sets(window, replicas)])
            for one in down
        ]
        return math.prod(chances) ** 3

    def sets(window, replicas):
        return list(itertools.combinations(range(1, window + 1), replicas - 1))

    exact = 1.0 - np.mean([kept(down) for down in itertools.combinations(range(nodes), failed)])
    model = CopysetLoss(
        nodes=nodes,
        failed=failed,
        replicas=replicas,
        placement="window",
        scatter_width=window,
        data_per_node=3e10 * replicas,
        chunk_size=1e10,
    )
    assert model.chunks_a_node == 3
    assert model.loss_probability == pytest.approx(exact, rel=1e-12)
    assert model.accuracy("loss_probability").label == "exact"


@pytest.mark.parametrize(("size", "replicas"), [(2, 2), (3, 2), (2, 3)])
def test_neighbours_of_single_tokens_are_counted(size, replicas):
    """All orders of the tokens of two racks on the ring; those of other racks lie between and change nothing."""
    nodes = [(rack, node) for rack in range(2) for node in range(size)]
    met = []
    for order in itertools.permutations(nodes):
        pairs = set()
        for at in range(len(order)):
            ahead = order[at:] + order[:at]
            pairs.add(tuple(next(node for rack, node in ahead if rack == wanted) for wanted in range(2)))
        met.append(sum(one == 0 for one, _ in pairs))
    model = VirtualNodes(1, size, replicas)
    assert model.neighbours == pytest.approx((replicas - 1) * np.mean(met), rel=1e-12)
    assert model.accuracy("neighbours").label == "exact"


def plain_storage(storage, seed):
    """One lane, event by event from a heap, fed the numbers in the order in which the kernel draws them."""
    rng = np.random.default_rng(seed)
    events = [(time, node) for node, time in enumerate(rng.exponential(storage.mtbf, (1, storage.nodes))[0])]
    sets = []
    for _ in range(storage.permutations):
        order = rng.permuted(np.arange(storage.nodes)[None], axis=1)[0]
        size = storage.replicas
        sets += [set(order[at : at + size]) for at in range(0, storage.nodes - size + 1, size)]
    heapq.heapify(events)
    down, free, last, down_time = set(), 0.0, 0.0, 0.0
    while True:
        now, node = heapq.heappop(events)
        down_time += (now - last) * len(down)
        last = now
        up_again = now + rng.exponential(storage.mtbf)
        if node in down:
            down.remove(node)
            heapq.heappush(events, (up_again, node))
            continue
        took = storage.rebuild if storage.fixed else rng.exponential(storage.rebuild)
        done = max(now, free if storage.serial else now) + took
        free = done
        down.add(node)
        lost = sum(each <= down for each in sets)
        if lost:
            return now, lost, down_time
        heapq.heappush(events, (done, node))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "storage",
    [
        Storage(9, 3, 10.0, 1.0, False, 2),
        Storage(11, 3, 10.0, 1.0, True, 3),
        Storage(8, 2, 100.0, 1.0, True, 1, fixed=True),
    ],
)
def test_a_lane_is_a_plain_loop(storage, seed):
    found = first_losses(storage, 1, np.random.default_rng(seed))
    np.testing.assert_allclose([found.times[0], found.lost[0], found.down[0]], plain_storage(storage, seed), rtol=1e-9)


def test_every_permutation_puts_each_node_in_one_group():
    lanes = Lanes(Storage(11, 3, 1.0, 1.0, permutations=4), 5, np.random.default_rng(1))
    assert lanes.partners.shape == (5, 11, 4, 2)
    alone = (lanes.partners == 11).all(axis=3)
    assert (alone.sum(axis=1) == 2).all()  # eleven nodes make three groups of three
    for lane, node, turn in itertools.product(range(5), range(11), range(4)):
        for other in lanes.partners[lane, node, turn]:
            assert other == 11 or node in lanes.partners[lane, other, turn]


def test_failed_places_are_different_and_even():
    for failed in (3, 9):
        found = failing.failed_places(30, failed, 20_000, np.random.default_rng(1))
        assert (np.diff(found, axis=1) > 0).all()
        often = np.bincount(found.ravel(), minlength=30)
        each = failed / 30
        assert np.abs(often / 20_000 - each).max() < SIGMAS * math.sqrt(each * (1 - each) / 20_000)


def test_whole_groups_followers_and_chunks_are_plain_counts(monkeypatch):
    places = np.array([[0, 1, 2, 7, 8], [0, 2, 3, 4, 9], [3, 4, 5, 6, 10], [1, 8, 9, 10, 12]])
    monkeypatch.setattr(failing, "failed_places", lambda *_: places.copy())
    assert failing.whole_groups(14, 5, 3, 1, 4, None).tolist() == [1, 0, 1, 0]
    assert failing.whole_groups(13, 5, 2, 1, 4, None).tolist() == [1, 1, 1, 1]

    class Most:
        """Draws every chunk that can be drawn."""

        def binomial(self, n, p):
            return np.where(np.asarray(p) > 0, n, 0)

    lost = failing.whole_followers(14, 5, 3, 2, 1, 4, Most())
    expected = [
        sum(sum(0 < (other - one) % 14 <= 2 for other in down) >= 2 for one in down) for down in places.tolist()
    ]
    assert lost.tolist() == expected
    assert failing.whole_chunks(14, 5, 6, 9, 2, Most()).tolist() == [0, 0]


EXACT = [
    Durability(6, 2, "random", mtbf=2.0 * DAY, data_per_node=5e11, chunk_size=1e9),
    Durability(20, 3, "random", mtbf=2.0 * DAY, data_per_node=4e12, chunk_size=1e11),
    Durability(12, 2, "copysets", 1, mtbf=10.0 * DAY, data_per_node=1e12),
    Durability(12, 2, "copysets", 1, mtbf=10.0 * DAY, data_per_node=2e11, repair="serial"),
    Durability(3, 3, "copysets", 2, mtbf=3.0 * DAY, data_per_node=2e12),
]


@pytest.mark.parametrize("model", EXACT, ids=repr)
def test_what_is_exact_agrees_with_its_twin(model):
    assert all(model.accuracy(name).label == "exact" for name in model.answers())
    table = sm.verify(model, requests=1_000_000, seed=1)
    assert set(table.verdict) <= {"agrees", "unseen"}, table.to_string()
    assert table.set_index("quantity").loc["mttdl", "smallest_error"] < 0.1


class WrongDurability(Durability):
    """A mean time to loss that is three per cent high."""

    @answer("s", "a mean that is wrong")
    def mttdl(self):
        """Off by three per cent."""
        return Durability.mttdl.compute(self) * 1.03


def test_a_mean_three_per_cent_wrong_fails():
    wrong = WrongDurability(6, 2, "random", mtbf=2.0 * DAY, data_per_node=5e11, chunk_size=1e9)
    table = sm.verify(wrong, requests=3_000_000, seed=1).set_index("quantity")
    assert table.loc["mttdl", "verdict"] == "disagrees", table.to_string()
    assert table.loc["time_to_loss mean", "verdict"] == "agrees"


@pytest.mark.parametrize(
    ("nodes", "replicas", "ratio"),
    [(60, 3, 0.03), (60, 3, 0.3), (12, 3, 0.1), (60, 4, 0.1), (24, 8, 0.3), (10, 5, 0.3)],
)
def test_disjoint_sets_are_as_near_as_they_say_and_pessimistic(nodes, replicas, ratio):
    """The first of independent sets, each a birth-death chain: exact, by quadrature."""
    one = PassageTime(*map(tuple, single(replicas, ratio).law()))
    groups = nodes // replicas
    ends = [0.0, *(float(one.icdf(1.0 - (1.0 - p) ** (1.0 / groups))) for p in (0.1, 0.5, 0.9, 0.999, 1.0 - 1e-9))]
    parts = [integrate.quad(lambda t: float(one.ccdf(t)) ** groups, *each)[0] for each in itertools.pairwise(ends)]
    rebuild = ratio * YEAR
    model = Durability(nodes, replicas, "copysets", 1, repair_bandwidth=1e7)
    model = model.replace(data_per_node=rebuild * model.partners * 1e7)
    error = model.mttdl / (sum(parts) * rebuild) - 1.0
    assert -model.accuracy("mttdl").error < error < 1e-9


def test_scatter_loses_more_often_and_less_where_there_are_two_copies():
    narrow, wide = (Durability(60, 2, "copysets", width, mtbf=100.0 * YEAR) for width in (2, 20))
    assert wide.mttdl == pytest.approx(narrow.mttdl, rel=0.02)  # by the leading term the same; the next is S l t
    assert wide.bytes_lost * wide.partners == pytest.approx(narrow.bytes_lost * narrow.partners, rel=0.02)
    assert wide.partners == pytest.approx(59.0 * (1.0 - (58.0 / 59.0) ** 20), rel=1e-12)  # some pairs repeat
    assert wide.second_failure == pytest.approx(narrow.second_failure, rel=1e-12)


def test_serial_repair_and_rarer_copies_lose_sooner():
    model = Durability()
    assert model.replace(repair="serial").mttdl < model.mttdl < model.replace(replicas=4).mttdl
    assert model.yearly_loss == pytest.approx(model.time_to_loss.cdf(YEAR), rel=1e-9)
    assert model.mttdl == pytest.approx(model.time_to_loss.mean(), rel=1e-9)


def test_failures_that_come_together_lose_far_sooner():
    model = Durability(20, 2, "random", mtbf=100.0 * DAY, data_per_node=1e13)
    table = sm.verify(model, requests=300_000, seed=1, violating="failures come together")
    row = table.set_index("quantity").loc["mttdl"]
    assert row.verdict == "missed"
    assert row.miss > 0.2


def test_what_is_too_large_is_told():
    crowded = Durability(100_000, data_per_node=8e13)
    with pytest.raises(NoClosedForm, match="simulate it"):
        _ = crowded.time_to_loss
    with pytest.raises(NoClosedForm, match="too large a window of 400 nodes: simulate it"):
        _ = CopysetLoss(placement="window", scatter_width=400, failed=100).loss_probability
    with pytest.raises(ValueError, match=r"do not fit in memory: take fewer"):
        Durability(100_000, scatter_width=50_000).simulate()
    with pytest.raises(ValueError, match=r"failures and rebuilt nodes come before data is lost"):
        Durability(mtbf=1000.0 * YEAR).simulate()


@pytest.mark.parametrize("placement", ["random", "copysets"])
@pytest.mark.parametrize("repair", ["parallel", "serial"])
def test_the_law_has_the_mean_of_the_chain_however_rare_a_loss(placement, repair):
    model = Durability(1000, 8, placement, 14, data_per_node=1e12, repair=repair)
    assert model.mttdl > 1e25
    assert model.time_to_loss.mean() == pytest.approx(model.mttdl, rel=1e-9)
    assert 0.0 < model.yearly_loss == pytest.approx(YEAR / model.mttdl, rel=0.01)  # but for the first days


def test_what_contradicts_is_told():
    with pytest.raises(ValueError, match=r"Durability.replicas must lie in \[2, 2\], at most the nodes; got 3"):
        Durability(2)
    with pytest.raises(ValueError, match=r"Durability.scatter_width must lie in \[1, 29\] nodes, .*; got 30"):
        Durability(scatter_width=30)
    with pytest.raises(ValueError, match=r"CopysetLoss.failed must lie in \[0, 500\] nodes, at most all; got 501"):
        CopysetLoss(failed=501)
    with pytest.raises(ValueError, match=r"where it is a window for the other copies; got 1"):
        CopysetLoss(placement="window", scatter_width=1)
    with pytest.raises(ValueError, match=r"VirtualNodes.quorum must lie in \[0, 3\], at most the replicas; got 4"):
        VirtualNodes(quorum=4)


LOSSES = [
    CopysetLoss(30, 3, "copysets", 4, failed=8),
    CopysetLoss(31, 2, "copysets", 3, failed=6),
    CopysetLoss(200, 3, "random", chunk_size=1e12, failed=20),
]


@pytest.mark.parametrize("model", LOSSES, ids=repr)
def test_outages_agree_with_their_twin(model):
    table = sm.verify(model, requests=400_000, seed=1)
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.smallest_error.max() < 0.04


def test_losses_too_rare_to_be_seen_are_not_said_to_be_wrong():
    never = CopysetLoss(333, 8, "copysets", 6, failed=25)
    assert set(sm.verify(never, requests=60_000, seed=1).verdict) == {"unseen"}
    alike = CopysetLoss(500, 3, "copysets", 14, failed=3)  # two copysets at once are lost in one loss of 40,000
    assert "disagrees" not in set(sm.verify(alike, seed=3).verdict)


class WrongLoss(CopysetLoss):
    """A probability that is three per cent low."""

    @answer("", "a probability that is wrong")
    def loss_probability(self):
        """Off by three per cent."""
        return CopysetLoss.loss_probability.compute(self) * 0.97


def test_a_probability_three_per_cent_wrong_fails():
    table = sm.verify(WrongLoss(30, 3, "copysets", 4, failed=8), requests=1_000_000, seed=1).set_index("quantity")
    assert table.loc["loss_probability", "verdict"] == "disagrees", table.to_string()


def test_an_outage_loses_as_much_however_data_lies():
    few, many = CopysetLoss(300, 3, "copysets", 2), CopysetLoss(300, 3, "random")
    assert few.bytes_an_outage == pytest.approx(many.bytes_an_outage, rel=1e-9)
    assert few.loss_probability < many.loss_probability
    assert few.bytes_lost > many.bytes_lost


def test_edges_of_an_outage():
    none, all_ = CopysetLoss(failed=2), CopysetLoss(nodes=30, failed=30)
    assert none.loss_probability == 0.0
    assert none.years_between_losses == math.inf
    assert none.bytes_lost == 0.0
    assert isinstance(none.time_to_loss, sm.Never)
    assert all_.loss_probability == 1.0
    assert all_.bytes_lost == pytest.approx(30 * all_.data_per_node / 3, rel=1e-12)


def walked(places, owners, nodes):
    """The pairs that share a range, and what each holds, by walking the ring token by token."""
    tokens = sorted(
        (place, rack, int(own))
        for rack in range(len(places))
        for place, own in zip(places[rack], owners[rack], strict=True)
    )
    shared, held = set(), np.zeros((len(places), nodes))
    for at, (place, _, _) in enumerate(tokens):
        width = (place - tokens[at - 1][0]) % 1.0
        holders = {}
        for step in range(len(tokens)):
            _, rack, own = tokens[(at + step) % len(tokens)]
            holders.setdefault(rack, own)
        for rack, own in holders.items():
            held[rack, own] += width
        shared |= set(itertools.combinations(sorted(holders.items()), 2))
    return len(shared), held


@pytest.mark.parametrize("tokens", [rings.random_tokens, rings.even_tokens])
@pytest.mark.parametrize(("nodes", "virtual", "racks"), [(1, 3, 3), (4, 1, 2), (5, 3, 3), (3, 4, 5)])
def test_rings_are_walked(tokens, nodes, virtual, racks):
    places, owners = tokens(nodes, virtual, racks, np.random.default_rng(nodes))
    pairs, held = walked(places, owners, nodes)
    assert rings.pairs(places, owners, nodes) == pairs
    np.testing.assert_allclose(rings.held(places, owners, nodes), held, atol=1e-12)
    assert (np.bincount(owners[0]) == virtual).all()


@pytest.mark.parametrize(("virtual", "nodes"), [(1, 2), (1, 20), (16, 20), (256, 100)])
def test_the_share_is_a_beta(virtual, nodes):
    mine, theirs = RingShare(virtual, nodes), stats.beta(virtual, virtual * (nodes - 1))
    levels = np.array([0.001, 0.5, 0.99, 0.999999])
    times = theirs.ppf(levels)
    np.testing.assert_allclose(mine.icdf(levels), times, rtol=1e-8)
    np.testing.assert_allclose(mine.cdf(times), levels, rtol=1e-9)
    np.testing.assert_allclose(mine.ccdf(times), theirs.sf(times), rtol=1e-9)
    np.testing.assert_allclose(mine.pdf(times), theirs.pdf(times), rtol=1e-9)
    assert mine.mean() == pytest.approx(theirs.mean(), rel=1e-12)
    assert mine.variance() == pytest.approx(theirs.var(), rel=1e-12)


NODES = [
    VirtualNodes(),
    VirtualNodes(4, 100),
    VirtualNodes(4, 20, 5, quorum=4),
    VirtualNodes(8, 20, tokens="allocated"),
    VirtualNodes(1, 20),
    VirtualNodes(2, 5),
    VirtualNodes(3, 2),
    VirtualNodes(2, 5, 2, quorum=1),
    VirtualNodes(2, 5, tokens="allocated"),
    VirtualNodes(3, 3, 5, tokens="allocated"),
    VirtualNodes(2, 1),
]


@pytest.mark.parametrize("model", NODES, ids=repr)
def test_virtual_nodes_agree_with_their_twin(model):
    table = sm.verify(model, requests=200, seed=1)
    assert set(table.verdict) <= {"agrees", "unseen"}, table.to_string()


def test_more_virtual_nodes_even_out_the_load_and_break_more():
    table = VirtualNodes().trade((1, 4, 16, 64, 256))
    assert (np.diff(table.load_cv) < 0).all()
    assert (np.diff(table.largest_load) < 0).all()
    assert (np.diff(table.broken_by_two) > 0).all()
    assert table.broken_by_two.iloc[-1] == pytest.approx(40 / 59, rel=1e-9)  # all that lie in other racks
    drawn = figures.sweep(VirtualNodes(), "virtual_nodes", answer="broken_by_two")
    assert len(drawn.data[0].x) > 20


def test_a_quorum_of_all_breaks_at_once_and_a_looser_one_never_by_two():
    assert VirtualNodes(replicas=3, quorum=3).broken_by_two == 1.0
    assert VirtualNodes(replicas=5).broken_by_two == 0.0
    assert VirtualNodes(replicas=3).broken_by_two == VirtualNodes().pair_shares_range


def test_allocated_tokens_are_even_and_share_no_less():
    model = VirtualNodes(8, tokens="allocated")
    assert model.load_cv == 0.0
    assert model.largest_load == 1.0
    assert model.share.mean() == 1 / 20
    assert model.neighbours == pytest.approx(float(virtual_nodes.even_neighbours(60, 8, 3)))


@pytest.mark.parametrize("nodes", [3, 4, 10, 11, 31])
@pytest.mark.parametrize("days", [10.0, 60.0, 1000.0])
def test_pairs_are_exact_where_no_node_is_left_over(nodes, days):
    """By the chain of how many pairs have a node down, and whether the one that is in no pair has lost its own."""
    model = Durability(nodes=nodes, replicas=2, scatter_width=1, mtbf=days * 86400.0, data_per_node=2e13)
    fails, mends, pairs, alone = 1.0 / model.mtbf, 1.0 / model.rebuild, nodes // 2, nodes % 2
    states = [(down, lone) for down in range(pairs + 1) for lone in range(alone + 1)]
    rates = np.zeros((len(states), len(states)))
    for i, (down, lone) in enumerate(states):
        moves = {
            (down + 1, lone): 2 * (pairs - down) * fails,
            (down - 1, lone): down * mends,
            (down, lone + 1): (alone - lone) * fails,
            (down, lone - 1): lone * mends,
        }
        for state, rate in moves.items():
            if rate > 0.0:
                rates[i, states.index(state)] = rate
        rates[i, i] = -rates[i].sum() - down * fails
    mean = float(np.linalg.solve(-rates, np.ones(len(states)))[0])
    said = model.accuracy("mttdl")
    assert (said.label == "exact") == (alone == 0)
    assert model.mttdl == pytest.approx(mean, rel=(said.error or 0.0) + 1e-9)
    assert model.mttdl <= mean * (1.0 + 1e-9)  # pessimistic, if anything


@pytest.mark.parametrize(
    ("nodes", "replicas", "window", "failed", "chunks"), [(3, 2, 2, 2, 1), (9, 8, 7, 8, 30), (9, 3, 2, 5, 1000)]
)
def test_windows_among_few_nodes_are_what_outages_show(nodes, replicas, window, failed, chunks):
    """20,000 outages tell a probability to 0.35%; 5.8 standard errors are a false alarm of 1e-6."""
    model = CopysetLoss(nodes, replicas, "window", window, float(replicas * chunks), 1.0, failed)
    found, said = model.simulate(20_000, 3).loss_probability, model.accuracy("loss_probability")
    assert said.label == "exact"
    assert abs(model.loss_probability - found.value) <= 5.8 * found.error


def test_more_chunks_than_can_be_counted_are_refused():
    for make in (
        lambda: CopysetLoss(placement="random", data_per_node=1e30, chunk_size=1.0),
        lambda: Durability(placement="random", data_per_node=1e308, chunk_size=1e-300),
    ):
        with pytest.raises(ValueError, match=r"data_per_node must make no more than 1e\+18 chunks"):
            make()
    most = CopysetLoss(placement="random", data_per_node=1e15, chunk_size=1.0)
    assert most.simulate(200).loss_probability.value > 0.99


def test_a_ring_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="300,000,000 tokens on a ring are more than 5,000,000"):
        VirtualNodes(virtual_nodes=10**4, rack_nodes=10**4).simulate()
