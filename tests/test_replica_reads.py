"""Reads of copies: chains solved, linear programmes and the mean field of the pools beside what is played.

False-alarm rate of one verification 1e-6, of this file below 1e-5; seeds are fixed.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, sparse
from scipy.sparse import linalg as splinalg

import scaling_models as sm
from scaling_models.answers import NoClosedForm, answer
from scaling_models.montecarlo.estimates import NotSettled, from_batches
from scaling_models.montecarlo.kernels.replica_reads import Reading, dealt_loads, reads_ahead
from scaling_models.pools.formulas.supermarket import mean_field
from scaling_models.shards import (
    Cached,
    EvenHash,
    HashRing,
    HottestShare,
    RangePartition,
    ReplicaReads,
    ShardLoad,
    UniformKeys,
    Zipf,
)
from scaling_models.shards.formulas.replica_reads import least_hottest, occupancies

MANY = ReplicaReads(6400.0, 128, UniformKeys(20_000))


@pytest.mark.parametrize(("load", "choices"), [(0.5, 2), (0.9, 2), (0.9, 3), (0.7, 5)])
def test_reads_alone_are_the_supermarket_model(load, choices):
    found, field = occupancies(load, 0.0, choices), mean_field(load, choices)
    np.testing.assert_allclose(found, np.append(field, np.zeros(len(found)))[: len(found)], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("reads", "writes", "choices"), [(0.3, 0.5, 2), (0.6, 0.2, 3), (0.0, 0.8, 2)])
def test_what_comes_to_a_level_leaves_the_next(reads, writes, choices):
    """The fixed point of ds_j/dt = a (s_{j-1}^d - s_j^d) + b (s_{j-1} - s_j) - (s_j - s_{j+1}); writes alone M/M/1."""
    s = occupancies(reads, writes, choices)
    before, here, after = s[:-2], s[1:-1], s[2:]
    flow = reads * (before**choices - here**choices) + writes * (before - here) - (here - after)
    assert np.abs(flow).max() < 1e-15
    if not reads:
        np.testing.assert_allclose(s, writes ** np.arange(len(s)))


def two_nodes(reads, writes, most=40):
    """E[requests ahead of a read] at the shorter of two queues, writes joining both: the chain, solved."""
    first, second = (each.ravel() for each in np.indices((most, most)))
    state = np.arange(most * most)
    shorter = [first < second, second < first, first == second]
    moves = [
        (reads * (shorter[0] + 0.5 * shorter[2]), most, first < most - 1),
        (reads * (shorter[1] + 0.5 * shorter[2]), 1, second < most - 1),
        (np.full(len(state), writes), most + 1, (first < most - 1) & (second < most - 1)),
        (np.ones(len(state)), -most, first > 0),
        (np.ones(len(state)), -1, second > 0),
    ]
    into = sparse.csc_array((len(state), len(state)))
    for rates, step, there in moves:
        into += sparse.csc_array((rates[there], (state[there] + step, state[there])), shape=into.shape)
    balance = sparse.csc_array(into - sparse.diags_array(into.sum(axis=0)))
    share = np.append(1.0, splinalg.spsolve(balance[1:, 1:], -balance[1:, [0]].toarray().ravel()))
    return float(share @ np.minimum(first, second) / share.sum())


@pytest.mark.parametrize(("reads", "writes"), [(1.2, 0.0), (0.7, 0.3)])
def test_two_nodes_are_the_shorter_of_two_queues(reads, writes):
    """Both copies on both nodes: the chain of two queues. False-alarm rate 1e-7; 2% off would be seen."""
    copies = np.broadcast_to([0, 1], (200, 3, 2))
    reading = Reading(reads + writes, writes / (reads + writes), 2, 1.0)
    ahead = reads_ahead(copies, 2, np.array([0.5, 0.8, 1.0]), reading, 1000, 3000, 5)
    found = from_batches([lane[lane >= 0].mean() for lane in ahead.T])
    exact = two_nodes(reads, writes)
    assert abs(found.value - exact) < 5.6 * found.error
    assert 5.6 * found.error < 0.1 * exact


def best_split(copies, shares, writes, nodes):
    """The least that the hottest node can have, by a linear programme over the split of each key's reads."""
    keys, replicas = copies.shape
    cost = np.append(np.zeros(keys * replicas), 1.0)
    rows = np.zeros((nodes, len(cost)))
    for (key, copy), node in np.ndenumerate(copies):
        rows[node, key * replicas + copy] = shares[key] * (1.0 - writes)
    rows[:, -1] = -1.0
    fixed = np.bincount(copies.ravel(), weights=np.repeat(shares * writes, replicas), minlength=nodes)
    sums = np.kron(np.eye(keys), np.ones(replicas))
    sums = np.hstack([sums, np.zeros((keys, 1))])
    return optimize.linprog(cost, rows, -fixed, sums, np.ones(keys)).fun


@pytest.mark.parametrize(("replicas", "writes", "exponent"), [(2, 0.0, 1.0), (3, 0.0, 0.5), (2, 0.3, 0.8)])
def test_reads_to_the_copy_with_fewest_are_divided_ideally(replicas, writes, exponent):
    """Of ten placements: the programme's optimum, reached within the size of a few reads; and its bound on average."""
    shares = Zipf(60, exponent).shares()
    rng = np.random.default_rng(4)
    copies = np.array([ReplicaReads().placement.copies(60, 8, replicas, rng) for _ in range(10)])
    optima = np.array([best_split(each, shares, writes, 8) for each in copies])
    each = np.repeat(shares * writes, replicas)
    fixed = np.array([np.bincount(placed.ravel(), weights=each, minlength=8) for placed in copies])
    dealt = dealt_loads(copies, np.cumsum(shares) * (1.0 - writes), fixed, 20_000, rng).max(axis=1)
    assert (dealt > optima - 1.0 / 20_000).all()
    np.testing.assert_allclose(dealt, optima, rtol=0.01)
    bound = float(least_hottest(shares[0], 8, replicas, writes))
    assert bound <= optima.mean() * (1.0 + 1e-9)
    if not writes:
        assert (bound <= optima * (1.0 + 1e-9)).all()  # of each placement, not only on average


CASES = [
    MANY,
    ReplicaReads(1000.0, 32, UniformKeys(5000), write_share=0.3),
    ReplicaReads(600.0, 12, UniformKeys(20_000), replicas=2),
    ReplicaReads(2200.0, popularity=Zipf(10_000, 0.7), placement=HashRing(128)),
    ReplicaReads(1000.0, 24, popularity=Zipf(20_000, 0.8), replicas=5, choices=3),
    ReplicaReads(2500.0, popularity=Cached(Zipf(20_000), 50)),
]


@pytest.mark.parametrize("model", CASES, ids=lambda model: f"{model.nodes}-{model.replicas}")
def test_played_reads_agree(model):
    table = sm.verify(model, requests=60_000, seed=2)
    assert (table.verdict != "disagrees").all(), table.to_string()
    known = table.set_index("quantity")
    assert known.loc["latency mean", "verdict"] == "agrees"
    assert known.loc["latency mean", "simulated"] > model.latency.mean() * (1.0 - 0.02)  # what errs, errs so


def test_a_latency_three_per_cent_wrong_fails():
    class Wrong(ReplicaReads):
        """As if a node were three per cent slower."""

        @answer("s", "wrong", ReplicaReads.latency.accuracy)
        def latency(self):
            """Three per cent too long."""
            return ReplicaReads.latency.compute(self) * 1.03

    table = sm.verify(Wrong(*MANY.values().values()), requests=400_000, seed=2).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees", table.to_string()


def test_a_bound_three_per_cent_wrong_fails_on_its_wrong_side_only():
    def verdicts(off):
        class Moved(ReplicaReads):
            """Whose bounds are moved up."""

            @answer("", "moved", ReplicaReads.hottest_balanced.accuracy)
            def hottest_balanced(self):
                """Of below: too high where it is moved up."""
                return ReplicaReads.hottest_balanced.compute(self) * off

            @answer("requests/s", "moved", ReplicaReads.saturation_balanced.accuracy)
            def saturation_balanced(self):
                """Of above: too high only further off."""
                return ReplicaReads.saturation_balanced.compute(self) * off

        table = sm.verify(Moved(*MANY.values().values()), requests=10_000, seed=2).set_index("quantity")
        return tuple(table.verdict[["hottest_balanced", "saturation_balanced"]])

    assert verdicts(1.0) == ("agrees", "agrees")
    assert verdicts(1.03) == ("disagrees", "agrees")
    assert verdicts(0.97) == ("agrees", "disagrees")


def test_loads_that_are_seen_late_make_reads_herd():
    table = sm.verify(ReplicaReads(), requests=40_000, seed=1, violating="loads seen late").set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "missed"
    assert table.loc["latency mean", "miss"] < -0.2


def test_what_two_choices_save():
    """Where copies drawn at random fill the hottest node, the shorter of two is far from full."""
    model = ReplicaReads()
    assert model.hottest_at_random.mean() > 1.0 > model.hottest_balanced == pytest.approx(model.utilization)
    assert model.hottest_at_random.mean() == pytest.approx(
        19.2 * HottestShare(32, model.popularity, replicas=3).mean(), rel=1e-9
    )
    load = ShardLoad(32, model.popularity, capacity=100.0, replicas=3)
    assert model.saturation_at_random == pytest.approx(load.saturation_throughput, rel=1e-9)
    assert model.saturation_balanced > 1.9 * model.saturation_at_random
    few = ReplicaReads(1000.0, 32, Zipf(100_000, 1.3))
    hottest = few.popularity.top(1)[0]
    assert few.saturation_balanced == pytest.approx(3 * 100.0 / hottest)  # one key, three nodes
    timeline = model.timeline()
    at_random, fewest = timeline.lines.values()
    assert at_random[-1] > 3.0 * fewest[-1]
    assert np.argmax(at_random > 0.0) < np.argmax(fewest > 1.0)  # where the first requests wait


def test_one_node_and_overload():
    one = ReplicaReads(50.0, 1, replicas=1)
    assert one.latency.mean() == pytest.approx(1.0 / 50.0)
    assert one.accuracy("latency").label == "exact"
    over = ReplicaReads(3300.0)
    assert over.utilization > 1.0
    assert over.latency.icdf(0.5) == math.inf
    with pytest.raises(NotSettled, match=r"the load of a node is 1\.0"):
        over.simulate()
    with pytest.raises(NoClosedForm, match="hot keys"):
        ReplicaReads(2900.0).latency.mean()
    with pytest.raises(NoClosedForm, match="nothing to choose"):
        ReplicaReads(100.0, replicas=1).latency.mean()
    with pytest.raises(ValueError, match=r"ReplicaReads.replicas must lie in \[1, 2\] copies, the shards; got 3"):
        ReplicaReads(nodes=2)
    with pytest.raises(ValueError, match="take fewer keys"):
        ReplicaReads(popularity=Zipf()).simulate()


def test_more_of_anything_that_helps_helps():
    """Fewer writes, more choices, less load: shorter reads. More copies: no less throughput of reads alone."""
    base = MANY.replace(write_share=0.2, arrival_rate=4500.0)
    better = [base.replace(write_share=0.1), base.replace(choices=3), base.replace(arrival_rate=4000.0)]
    for level in (0.5, 0.99):
        assert all(each.latency.icdf(level) < base.latency.icdf(level) for each in better)
    limits = [ReplicaReads(replicas=copies).saturation_balanced for copies in range(1, 6)]
    assert all(later >= before for before, later in itertools.pairwise(limits))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nodes", "replicas", "choices", "written", "load", "popularity"),
    [
        (8, 5, 2, 0.2, 0.32, Zipf(1941, 0.8)),
        (12, 4, 2, 0.7, 0.49, Zipf(49_430, 0.99)),
        (13, 4, 2, 0.9, 0.63, Zipf(3270, 0.5)),
    ],
)
def test_writes_that_come_to_several_nodes_are_in_the_error(nodes, replicas, choices, written, load, popularity):
    """4% to 6% too low, which was said to be 2% to 3%."""
    model = ReplicaReads(100.0, nodes, popularity, EvenHash(), replicas, choices, written)
    model = model.replace(arrival_rate=100.0 * load / model.utilization)
    table = sm.verify(model, requests=200_000, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()
    said = model.accuracy("latency").error
    found = table.set_index("quantity").loc["latency mean"]
    assert 0.02 < 1.0 - found.closed_form / found.simulated < said < 0.15


def test_reads_that_are_dealt_whole_are_no_disagreement():
    """20,000 reads on three nodes that all hold everything: the fullest has one too many in every placement."""
    model = ReplicaReads(66.0, 3, UniformKeys(4), replicas=3)
    found = sm.verify(model, 20_000).set_index("quantity").verdict
    assert found["hottest_balanced"] == found["saturation_balanced"] == "agrees"


@pytest.mark.parametrize(
    "model",
    [
        ReplicaReads(300.0, popularity=Zipf(10_000), replicas=1),
        ReplicaReads(100.0, 10, UniformKeys(5), replicas=2),
        ReplicaReads(100.0, 128, UniformKeys(200), replicas=5, write_share=0.5),
        ReplicaReads(300.0, 32, Zipf(10_000, 0.9), write_share=0.95),
        ReplicaReads(100.0, 32, Zipf(10_000, 0.9), RangePartition("adjacent"), replicas=2),
    ],
    ids=repr,
)
def test_the_balanced_load_is_as_near_as_it_says(model):
    """Below what 40 placements find (false alarm 1e-6: 5.8 standard errors), and no further than its label: of one
    copy, many writes, few keys, or neighbouring ones, where nothing can be balanced."""
    found = model.simulate(200 if model.hottest_balanced < 0.2 else 400, 1).hottest_balanced
    error = model.accuracy("hottest_balanced").error
    assert model.hottest_balanced <= found.value + 5.8 * found.error
    assert found.value - 5.8 * found.error <= model.hottest_balanced * (1.0 + error)
    assert model.saturation_balanced == pytest.approx(model.arrival_rate / model.hottest_balanced)


def test_neighbours_have_no_closed_form():
    """The latency takes nodes for even: where adjacent keys fill the first, it says so."""
    with pytest.raises(NoClosedForm, match="uneven ones"):
        ReplicaReads(100.0, popularity=Zipf(10_000, 0.9), placement=RangePartition("adjacent")).latency.mean()
