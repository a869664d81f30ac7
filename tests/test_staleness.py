"""Partial quorums: the integral against an analytic case and against played messages; limits; refusals.

False-alarm rate: 42 z scores at 5.6 standard errors, 1e-6 in all.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import scaling_models as sm
from scaling_models.montecarlo.kernels.partial_quorums import goes_back, misses, play
from scaling_models.quorums import OwnLegs, PartialQuorum, ProductionLegs
from scaling_models.quorums.formulas.staleness import Staleness, missed_versions, older_than_before

E, D = sm.Exponential, sm.Deterministic
REACH = 5.6
AGES = (0.0, 0.001, 0.005, 0.02)
CASES = [
    PartialQuorum(3, 1, 1),
    PartialQuorum(3, 1, 1, ProductionLegs("YMMR")),
    PartialQuorum(3, 2, 1, OwnLegs(sm.LogNormal(0.005, 4.0))),
    PartialQuorum(3, 1, 2, ProductionLegs("LNKD-SSD"), (ProductionLegs("LNKD-DISK"),)),
    PartialQuorum(5, 2, 2, OwnLegs(E(0.005), E(0.001), E(0.002), E(0.001)), (OwnLegs(),)),
    PartialQuorum(4, 2, 1, OwnLegs(sm.Uniform(0.0, 0.008), D(0.001), D(0.0005), E(0.001))),
    PartialQuorum(3, 1, 1, between=0.010),
    PartialQuorum(
        3, 1, 1, OwnLegs(D(0.002), D(0.001), D(0.001), E(0.001)), (OwnLegs(D(0.0095), D(0.001), D(0.001), E(0.001)),)
    ),
]


def played(model, size, seed, **options):
    legs = [*(each.four for each in model.unlike), *[model.legs.four] * (model.replicas - len(model.unlike))]
    quorums = (model.read_quorum, model.write_quorum)
    return play(legs, quorums, model.between, size, np.random.default_rng(seed), **options)


def misfits(model, needed, factor=1.0):
    """z scores of the ages, the closed form being taken `factor` times."""
    law, size = model.visibility, len(needed)
    for age in AGES:
        p = min(1.0, factor * float(law.ccdf(age)))
        yield ((needed > age).mean() - p) / math.sqrt(max(p * (1.0 - p), 1.0 / size) / size)


def test_reads_that_take_no_time():
    """A write seen at once by one replica of three, and read there one time of three; the rest are as old as theirs."""
    model = PartialQuorum(3, 1, 1, OwnLegs(E(0.005), D(0.0), D(0.0), D(0.0)))
    assert model.probability_stale == pytest.approx(2 / 3, abs=1e-5)
    assert model.visibility.ccdf(0.004) == pytest.approx(2 / 3 * math.exp(-0.8), abs=1e-5)  # either forgets


@pytest.mark.parametrize("model", CASES, ids=lambda model: repr(model)[14:60])
def test_the_integral_agrees_with_played_messages(model):
    needed = played(model, 400_000, 1).needed
    assert max(map(abs, misfits(model, needed))) < REACH
    assert max(map(abs, misfits(model, needed, 1.03))) > REACH  # three per cent more would be seen


def test_exponential_legs_have_an_analytic_answer():
    """A leg R given its sum x with an equal S is U(0, x), and an exponential W forgets."""
    slow, fast = 1.0 / 0.004, 1.0 / 0.001
    model = PartialQuorum(3, 1, 1, OwnLegs(E(1.0 / slow), E(1.0 / fast), E(1.0 / fast), E(1.0 / fast)))

    def written(t):  # ccdf of W + A
        return (fast * math.exp(-slow * t) - slow * math.exp(-fast * t)) / (fast - slow)

    def answered(x):  # density of the first of three R + S
        return 3.0 * stats.gamma.sf(x, 2, scale=1.0 / fast) ** 2 * stats.gamma.pdf(x, 2, scale=1.0 / fast)

    done = 1.0 - integrate.quad(lambda t: slow * math.exp(-slow * t) * written(t) ** 2, 0.0, math.inf)[0]
    early = 1.0 - done  # E[1 - e^{-slow w}] = int slow e^{-slow t} P(w > t) dt
    asked = integrate.quad(lambda x: -math.expm1(-slow * x) / (slow * x) * answered(x), 0.0, 0.1)[0]
    assert float(model.visibility.ccdf(0.0)) == pytest.approx((1.0 - early) * asked, rel=2e-5)
    for age in (0.001, 0.010, 0.050):
        assert float(model.visibility.ccdf(age)) == pytest.approx(
            math.exp(-slow * age) * (1.0 - early) * asked, rel=2e-5
        )
    assert model.visibility.mean() == pytest.approx((1.0 - early) * asked / slow, rel=1e-4)


def test_the_play_is_what_a_plain_loop_makes_of_the_same_messages():
    legs = [OwnLegs().four, ProductionLegs().four, OwnLegs(E(0.002)).four, ProductionLegs("YMMR").four]
    size, rng = 200, np.random.default_rng(7)
    found = play(legs, (2, 2), 0.004, size, rng)
    rng = np.random.default_rng(7)
    drawn = [[leg.sample(size, rng=rng) for leg in four] for four in legs]
    origins = rng.integers(0, 4, (2, size))
    for at in range(size):
        rows = []
        for replica in range(4):
            w, a, r, s = (drawn[replica][leg][at] for leg in range(4))
            far = [0.004 if origins[way][at] != replica else 0.0 for way in (0, 1)]
            rows.append((w + far[0], w + a + 2 * far[0], r + far[1], r + s + 2 * far[1]))
        done = sorted(row[1] for row in rows)[1]
        first = sorted(rows, key=lambda row: row[3])[:2]
        assert found.write[at] == pytest.approx(done, rel=1e-12)
        assert found.read[at] == pytest.approx(first[-1][3], rel=1e-12)
        assert found.needed[at] == pytest.approx(max(0.0, min(row[0] - row[2] for row in first) - done), abs=1e-12)


def test_a_strict_quorum_is_never_stale():
    model = PartialQuorum(3, 2, 2)
    assert model.strict
    assert model.probability_stale == 0.0
    assert model.visibility == D(0.0)
    assert model.probability_missed == model.probability_backwards == 0.0
    assert played(model, 10_000, 1).needed.max() == 0.0
    stale = Staleness((((model.legs.four, 0.0, 0.0), 3),), 2, 2)
    assert stale(np.array([0.0, 1.0])).tolist() == [0.0, 0.0]


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 6), st.integers(1, 3), st.integers(1, 3), st.floats(0.0, 0.03))
def test_more_waiting_is_never_staler(replicas, reads, writes, age):
    legs = OwnLegs()
    here = [
        PartialQuorum(replicas, r, w, legs, age=age).probability_stale
        for r, w in ((reads, writes), (reads + 1, writes), (reads, writes + 1))
        if max(r, w) <= replicas
    ]
    assert all(0.0 <= each <= here[0] + 1e-5 for each in here)  # to which the quadrature is taken


def test_a_read_goes_back_where_the_one_before_had_found_more():
    """One replica asked and one written of three, no write between: the reads share it or, two times of three, do not;
    then either finds the newest that one of them does as often as the other.
    """
    assert older_than_before(3, 1, 1, 0.0) == pytest.approx(1 / 3)
    assert older_than_before(3, 1, 1, 1.0) == pytest.approx(1 / 4)  # and it misses the write between 3 times of 4
    assert older_than_before(3, 2, 2, 3.0) == 0.0
    assert older_than_before([3, 100], 1, 1, 0.0) == pytest.approx([1 / 3, 0.99 / 2])
    size, rng = 400_000, np.random.default_rng(4)
    for system, writes in (((5, 2, 1), 3.0), ((5, 1, 3), 0.5)):
        back = goes_back(system[0], system[1:], rng.geometric(1.0 / (1.0 + writes), size) - 1, rng).mean()
        p = float(older_than_before(*system, writes))
        assert abs(back - p) < REACH * math.sqrt(p * (1 - p) / size)


def test_versions():
    assert missed_versions(3, 1, 1, [1, 2, 5]) == pytest.approx([2 / 3, 4 / 9, (2 / 3) ** 5])
    assert missed_versions(5, 3, 3, 1) == 0.0
    assert missed_versions(5, 3, 3, 0) == 1.0
    size = 400_000
    missed = misses(5, (2, 1), np.full(size, 3), np.random.default_rng(3)).mean()
    p = float(missed_versions(5, 2, 1, 3))
    assert abs(missed - p) < REACH * math.sqrt(p * (1 - p) / size)


def test_unlike_replicas_and_distance():
    ssd = PartialQuorum(3, 1, 1, ProductionLegs("LNKD-SSD"))
    one_disk = ssd.replace(unlike=(ProductionLegs("LNKD-DISK"),))
    assert one_disk.visibility.icdf(0.999) > 5 * ssd.visibility.icdf(0.999)
    away = PartialQuorum(3, 1, 1, between=0.075)
    near = PartialQuorum(3, 1, 1)
    assert away.read_latency.icdf(0.5) < 2 * near.read_latency.icdf(0.5)  # the nearest answers
    assert away.replace(read_quorum=2).read_latency.icdf(0.5) > 0.150
    assert away.visibility.icdf(0.5) > 0.060


def test_slow_replicas_are_told():
    table = sm.verify(PartialQuorum(3, 2, 1, OwnLegs()), violating="replicas slow in all they do", requests=200_000)
    known = table.set_index("quantity")
    assert known.loc["probability_stale", "verdict"] == "missed"
    assert abs(known.loc["probability_stale", "miss"]) > 0.1
    assert known.loc["probability_missed", "verdict"] == "agrees"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_quorum": 4}, r"PartialQuorum.read_quorum must lie in \[1, 3\], the number of replicas; got 4"),
        ({"write_quorum": 4}, r"PartialQuorum.write_quorum must lie in \[1, 3\]"),
        ({"unlike": (OwnLegs(),) * 4}, "lists at most all 3 replicas; got 4"),
        ({"age": -1.0}, "PartialQuorum.age must lie in"),
        ({"legs": 3.0}, "must be the legs of a replica"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        PartialQuorum(**options)


@pytest.mark.parametrize(
    "model",
    [
        PartialQuorum(legs=OwnLegs(sm.Exponential(0.02), 0.001, 0.001, 0.002)),
        PartialQuorum(5, 2, 2, OwnLegs(sm.LogNormal(0.02, 2.0), sm.Exponential(0.001), sm.Exponential(0.002), 0.002)),
        PartialQuorum(between=0.01, legs=OwnLegs(sm.Uniform(0.01, 0.02), *[sm.Exponential(0.001)] * 3)),
    ],
    ids=str,
)
def test_moments_of_the_age_by_the_integral_of_its_ccdf(model):
    """Simpson's rule on the ccdf, against the integral over the age that is taken within that over the write."""
    visibility = model.visibility
    end = float(visibility.iccdf(1e-12))
    t = np.unique(np.concatenate([np.linspace(0.0, end, 40_001), visibility.kinks]))
    ccdf = visibility.ccdf(t)
    mean = integrate.trapezoid(ccdf, t)
    assert visibility.mean() == pytest.approx(mean, rel=2e-5)
    assert visibility.variance() == pytest.approx(2.0 * integrate.trapezoid(t * ccdf, t) - mean**2, rel=5e-5)


def test_moments_that_there_are_not():
    heavy = [PartialQuorum(legs=OwnLegs(sm.Pareto(0.01, a), 0.001, 0.001, 0.001)).visibility for a in (1.5, 2.5)]
    assert [math.isinf(each.variance()) for each in heavy] == [True, False]
    assert all(0.0 < each.mean() < math.inf for each in heavy)
    assert PartialQuorum(3, 2, 2).visibility.mean() == 0.0
