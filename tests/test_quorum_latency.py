"""Quorum systems over unequal replicas as a model."""

import math
import re

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.replies import drawn_replies, drawn_states, reply_times
from scaling_models.quorums import (
    Grid,
    Majorities,
    MajorityOfMajorities,
    QuorumLatency,
    QuorumSystem,
    ReadQuorums,
    Replica,
    leaves,
)

E = sm.Exponential
a, b, c, d, e = leaves("a b c d e")
EQUAL = (Replica(E(0.003), 0.9),) * 5
PATHS = a * b + a * c * e + d * e + d * c * b


APART = {"zones": 1, "zone_availability": 1.0}  # zones that do not fail


def test_zones_fail_as_one():
    model = QuorumLatency(replicas=(Replica(E(0.003), 0.99),) * 5, zone_availability=0.98)
    product = np.polynomial.Polynomial([1.0])
    for size in (2, 2, 1):
        product *= 0.02 + 0.98 * np.polynomial.Polynomial([0.01, 0.99]) ** size
    assert model.read_availability == pytest.approx(product.coef[3:].sum(), rel=1e-12)
    assert model.replace(zones=1).availability < 0.98
    assert model.replace(zones=25).availability > model.availability


def test_majorities_by_order_statistics():
    model = QuorumLatency(replicas=EQUAL, **APART)
    expected = 0.003 * sum(1 / i for i in (3, 4, 5))
    assert model.read_latency.mean() == pytest.approx(expected)
    assert model.latency.mean() == pytest.approx(expected)
    assert model.read_availability == pytest.approx(0.99144)
    assert model.capacity == pytest.approx(5 / 3)
    assert model.busy == pytest.approx((1.0,) * 5)
    assert (model.read_resilience, model.write_resilience) == (2, 2)


def test_layouts():
    one = QuorumLatency(ReadQuorums(1), EQUAL, 0.7, **APART)
    assert one.read_latency.mean() == pytest.approx(0.003 / 5)
    assert one.write_latency.mean() == pytest.approx(0.003 * sum(1 / i for i in range(1, 6)))
    assert one.availability == pytest.approx(0.7 * (1 - 0.1**5) + 0.3 * 0.9**5)
    assert one.capacity == pytest.approx(1 / (0.7 / 5 + 0.3))
    six = QuorumLatency(Grid(3), EQUAL + EQUAL[:1], 0.25)
    assert six.capacity == pytest.approx(8 / 3)
    assert str(six.system.reads) == "1*2*3 + 4*5*6"
    assert (six.read_resilience, six.write_resilience) == (1, 2)
    nine = QuorumLatency(MajorityOfMajorities(3), EQUAL + EQUAL[:4])
    assert nine.capacity == pytest.approx(9 / 4)
    assert sorted(map(len, nine.system.reads.quorums())) == [4] * 27
    assert QuorumLatency(Majorities(), EQUAL[:4]).system.writes.least == 3


def test_expressions_and_systems_are_layouts():
    model = QuorumLatency(PATHS, EQUAL)
    assert model.layout.reads == PATHS
    assert model.layout.writes == PATHS.dual()
    assert QuorumLatency(QuorumSystem(PATHS), EQUAL) == model
    assert model.system.names == PATHS.names()
    assert model.read_latency.mean() == pytest.approx(model.write_latency.mean())  # a bridge is its own dual
    assert hash(model) == hash(QuorumLatency(PATHS, EQUAL))


def test_capacity_of_unequal_replicas_is_the_programmes():
    replicas = tuple(Replica(E(0.003), 0.9, 4000.0 / (i + 1), 2000.0 / (i + 1)) for i in range(5))
    model = QuorumLatency(PATHS, replicas, 0.4)
    system = QuorumSystem(PATHS, replicas=dict(zip(PATHS.names(), replicas, strict=True)))
    assert model.capacity == pytest.approx(1.0 / system.strategy(0.4).load(0.4))
    assert max(model.busy) == 1.0
    more = QuorumLatency(PATHS, tuple(each.replace(read_capacity=9000.0) for each in replicas), 0.9)
    assert more.capacity > 1.01 * model.replace(read_fraction=0.9).capacity


@pytest.mark.parametrize(
    "model",
    [
        QuorumLatency(PATHS, (Replica(E(0.002), 0.9), Replica(sm.Uniform(0.001, 0.004), 0.8), *EQUAL[:3]), 0.6, 2, 0.9),
        QuorumLatency(Grid(2), (Replica(0.002, 0.95), Replica(sm.LogNormal(0.004, 2.0), 0.7), *EQUAL[:3]), 0.3),
        QuorumLatency(MajorityOfMajorities(2), EQUAL[:4], 1.0, 2, 0.95),
    ],
    ids=["paths", "grid", "hierarchy"],
)
def test_the_expressions_agree_with_replies_drawn_one_by_one(model):
    table = sm.verify(model, requests=300_000, seed=5)  # false alarm 1e-6 each
    assert (table.verdict != "disagrees").all(), table.to_string()


class Wrong(QuorumLatency):
    """Three per cent off."""

    @answer("s", "a latency that is wrong")
    def read_latency(self):
        """Three per cent high."""
        return QuorumLatency.read_latency.compute(self) * 1.03

    @answer("", "a chance that is wrong")
    def write_availability(self):
        """Three per cent low."""
        return QuorumLatency.write_availability.compute(self) * 0.97


def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(replicas=EQUAL), requests=300_000, seed=2).set_index("quantity")
    for row in ("read_latency mean", "read_latency p99", "write_availability"):
        assert table.loc[row, "verdict"] == "disagrees", table.to_string()
    assert table.loc["read_availability", "verdict"] == "agrees"


@pytest.mark.parametrize(
    ("violation", "row", "sign"),
    [("replicas slow together", "read_latency p99", -1), ("replicas fail together", "read_availability", 1)],
)
def test_what_is_missed_where_replicas_are_not_independent(violation, row, sign):
    table = sm.verify(QuorumLatency(replicas=EQUAL), 300_000, 1, violating=violation).set_index("quantity")
    assert table.loc[row, "verdict"] == "missed", table.to_string()
    assert sign * table.loc[row, "miss"] > 0.01  # optimistic: shorter, or up more often, than it is


def test_replies():
    times = np.array([[3.0, 1.0], [1.0, np.inf], [2.0, np.inf]])
    np.testing.assert_array_equal(reply_times(times, lambda there: there.sum(axis=0) >= 2), [2.0, np.inf])
    laws = [E(1.0), E(2.0)]
    drawn = drawn_replies(laws, 40_000, np.random.default_rng(1), together=0.5)
    assert abs(drawn[0].mean() - 1.0) < 5 / math.sqrt(40_000)  # 6e-7
    assert abs(drawn[1].mean() - 2.0) < 10 / math.sqrt(40_000)
    assert np.corrcoef(drawn[:, :20_000])[0, 1] > 0.99
    assert abs(np.corrcoef(drawn[:, 20_000:])[0, 1]) < 5 / math.sqrt(20_000)
    up = drawn_states([0.3, 0.6], 40_000, np.random.default_rng(1), together=0.5)
    assert not (up[0, :20_000] & ~up[1, :20_000]).any()
    assert abs(up[1].mean() - 0.6) < 5 * math.sqrt(0.24 / 40_000)


def test_the_timeline_ends_without_a_quorum():
    line = QuorumLatency().timeline(1)
    assert np.isfinite(line.lines["read"][0])
    assert np.isnan(line.lines["read"][-1])
    assert np.isnan(line.lines["write"][-1])
    assert len(line.marks) == 5


REFUSED = [
    (
        lambda: QuorumLatency(ReadQuorums(6)),
        "ReadQuorums.read_quorum must lie in [1, 5], the number of replicas; got 6",
    ),
    (lambda: QuorumLatency(a * b), "the expressions have 2 replicas, a, b; got 5"),
    (lambda: QuorumLatency(replicas=()), "QuorumLatency.replicas must have 1 to 25 items"),
    (lambda: QuorumLatency("abc"), "QuorumLatency.layout must be a layout such as Majorities()"),
    (lambda: Replica(availability=1.5), "Replica.availability must lie in [0, 1]; got 1.5"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_refusals_are_sentences(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()


def test_capacities_that_are_far_apart():
    """Of a majority of five, by the other route: C is carried where sum min(c_i / C, 1) >= 3. Mixed, there is one."""
    rng = np.random.default_rng(3)
    for number in range(20):
        reads, writes = 10.0 ** rng.uniform(-8.0, 8.0, (2, 5))
        replicas = tuple(Replica(0.002, 0.999, *map(float, pair)) for pair in zip(reads, writes, strict=True))
        low, high = 1e-10, 1e10
        for _ in range(200):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if np.minimum(reads / middle, 1.0).sum() >= 3.0 else (low, middle)
        assert QuorumLatency(replicas=replicas, read_fraction=1.0).capacity == pytest.approx(low, rel=1e-9)
        assert QuorumLatency(replicas=replicas, read_fraction=float(rng.uniform())).capacity > 0.0, number
