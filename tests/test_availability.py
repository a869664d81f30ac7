"""Availability of quorums: the lumped chain against the whole one, limits, and the simulation that plays failures."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg, stats

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency.passage import PassageTime, mean_passage
from scaling_models.montecarlo.kernels.outages import Cluster, Lanes
from scaling_models.quorums import QuorumAvailability, majority
from scaling_models.quorums.formulas.outages import Fleet, first_loss, outages

DAY = 86400.0
ALONE = 1e15 * DAY  # between failures of zones that hardly ever fail
OFTEN = QuorumAvailability(4, mtbf=10 * DAY, mttr=DAY, crew=2, zone_mtbf=30 * DAY, zone_mttr=DAY, witnesses=1)


def whole_chain(zone_of, silent, failure, repair, crew, zone_failure, zone_repair):
    """The generator over all sets of replicas and zones that are up, one by one, nothing lumped."""
    replicas, zones = len(zone_of), max(zone_of) + 1
    states = list(itertools.product((True, False), repeat=replicas + zones))
    places = {state: i for i, state in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    for state, i in places.items():
        broken = state[:replicas].count(False)
        for j, up in enumerate(state):
            if j < replicas:
                rate = failure if up else repair * min(broken, crew) / broken
            else:
                rate = zone_failure if up else zone_repair
            generator[i, places[(*state[:j], not up, *state[j + 1 :])]] += rate
    generator -= np.diag(generator.sum(axis=1))
    counts = [
        [sum(s[i] and s[replicas + zone_of[i]] for i in range(replicas) if votes or not silent[i]) for s in states]
        for votes in (False, True)
    ]
    return generator, np.array(counts)


def stationary(generator):
    system = np.vstack([generator.T, np.ones(len(generator))])
    return np.linalg.lstsq(system, np.append(np.zeros(len(generator)), 1.0), rcond=None)[0]


@pytest.mark.parametrize("crew", [1, 2, 5])
@pytest.mark.parametrize(
    ("zone_of", "silent"), [((0, 1, 2, 0, 1), (0,) * 5), ((0, 1, 0, 1), (0, 0, 0, 1)), ((0, 0, 0), (0, 0, 1))]
)
def test_lumping_changes_nothing(zone_of, silent, crew):
    rates = (0.11, 1.3, crew, 0.07, 0.9)
    generator, counts = whole_chain(zone_of, silent, *rates)
    zones = [
        (
            sum(z == zone and not s for z, s in zip(zone_of, silent, strict=True)),
            sum(z == zone and s for z, s in zip(zone_of, silent, strict=True)),
        )
        for zone in range(max(zone_of) + 1)
    ]
    fleet, law = Fleet(tuple(zones), *rates), stationary(generator)
    for quorum, votes in ((2, False), (1, False), (len(zone_of) // 2 + 1, True)):
        lost = counts[int(votes)] < quorum
        found = outages(fleet, quorum, votes)
        assert found.unavailability == pytest.approx(law[lost].sum(), rel=1e-9)
        flow = sum(law[i] * generator[i, j] for i in np.flatnonzero(~lost) for j in np.flatnonzero(lost))
        assert found.frequency == pytest.approx(flow, rel=1e-9)
    kept = np.flatnonzero(counts[0] >= 2)
    inner = generator[np.ix_(kept, kept)]
    weights, speeds = first_loss(fleet, 2)
    time = PassageTime(tuple(weights), tuple(speeds))
    assert time.mean() == pytest.approx(linalg.solve(-inner, np.ones(len(kept)))[0], rel=1e-9)
    for t in (0.01, 0.3, 2.0, 20.0):
        assert time.ccdf(t) == pytest.approx(linalg.expm(inner * t)[0].sum(), rel=1e-9)


def birth_and_death(replicas, quorum, failure, repair, crew):
    """The mean time to the first loss: h_i = (1 + d_i h_{i-1})/u_i, summed."""
    steps = [0.0]
    for i in range(replicas - quorum + 1):
        steps.append((1.0 + repair * min(i, crew) * steps[-1]) / ((replicas - i) * failure))
    return sum(steps)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 9), st.floats(-1.0, 9.0), st.floats(-3.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_zones_that_never_fail_leave_a_birth_and_death_chain(replicas, quorum, crew, ratio, scale):
    """Repairs up to 1e9 times as fast as failures: means to 1e20 of them keep nine digits."""
    quorum = min(quorum, replicas)
    failure = 10.0**scale
    model = QuorumAvailability(
        replicas,
        quorum,
        zones=1,
        mtbf=1 / failure,
        mttr=10.0**-ratio / failure,
        crew=crew,
        zone_mtbf=1e120,
        zone_mttr=1e-60,
    )
    expected = birth_and_death(replicas, quorum, failure, failure * 10.0**ratio, crew)
    assert model.time_to_loss.mean() == pytest.approx(expected, rel=1e-9)
    if crew >= replicas:
        up = 1.0 / (1.0 + 10.0**-ratio)
        assert model.unavailability == pytest.approx(stats.binom.cdf(quorum - 1, replicas, up), rel=1e-6)


def test_zones_by_their_generating_function():
    model = QuorumAvailability(5, mtbf=99.0, mttr=1.0, zone_mtbf=98.0, zone_mttr=2.0)
    zoned = majority(*"abcde").zoned(dict(zip("abcde", "xyzxy", strict=True)))
    found = zoned.dual().evaluate({**dict.fromkeys("abcde", 0.01), **dict.fromkeys("xyz", 0.02)})
    product = np.polynomial.Polynomial([1.0])
    for size in (2, 2, 1):
        product *= 0.02 + 0.98 * np.polynomial.Polynomial([0.01, 0.99]) ** size
    assert model.unavailability == pytest.approx(product.coef[:3].sum(), rel=1e-12)
    assert model.unavailability == pytest.approx(
        1 - zoned.evaluate({**dict.fromkeys("abcde", 0.99), **dict.fromkeys("xyz", 0.98)}), rel=1e-9
    )
    assert 0 < found < 1
    assert model.unavailability == pytest.approx(0.0023, abs=0.00005)
    apart = stats.binom.cdf(2, 5, 0.99 * 0.98)
    assert model.unavailability / apart == pytest.approx(9, abs=0.5)  # what correlation costs


def test_what_is_asked_of_one_chain():
    model = QuorumAvailability()
    assert model.availability + model.unavailability == pytest.approx(1.0, rel=1e-15)
    assert model.downtime_a_year == pytest.approx(model.unavailability * 365.25 * DAY)
    assert model.mean_outage * model.outages_a_year == pytest.approx(model.downtime_a_year)
    assert 10.0**-model.nines == pytest.approx(model.unavailability)
    assert model.downtime_with_two_more == model.replace(replicas=7).downtime_a_year
    assert model.replace(replicas=3).downtime_with_two_more == model.downtime_a_year
    assert model.failover_availability == pytest.approx(model.availability)
    flexible = model.replace(commit_quorum=2)
    assert flexible.failover == 4
    assert flexible.availability > model.availability > flexible.failover_availability
    arbiter = QuorumAvailability(3, witnesses=1, mtbf=10 * DAY, mttr=DAY)
    assert arbiter.failover_availability == pytest.approx(QuorumAvailability(3, mtbf=10 * DAY, mttr=DAY).availability)
    assert arbiter.availability < arbiter.failover_availability  # either replica with data stops the commits


def test_even_replicas_buy_nothing_and_small_clusters_win_below_one_half():
    apart = {"zone_mtbf": ALONE, "zone_mttr": 1.0}
    for odd in (3, 5, 7):
        good, more = (QuorumAvailability(n, mtbf=9.0, mttr=1.0, **apart) for n in (odd, odd + 1))
        assert more.unavailability > good.unavailability
        assert QuorumAvailability(odd + 2, mtbf=9.0, mttr=1.0, **apart).unavailability < good.unavailability
        poor = [QuorumAvailability(n, mtbf=2.0, mttr=3.0, **apart).availability for n in (odd, odd + 2)]
        assert poor[1] < poor[0] < 0.4


@given(st.floats(1.1, 4.0), st.sampled_from(["mtbf", "mttr", "zone_mtbf", "zone_mttr"]), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_what_is_better_is_better(factor, name, witnesses):
    worse = OFTEN.replace(witnesses=witnesses, commit_quorum=2)
    better = worse.replace(**{name: worse.values()[name] * (factor if "mtbf" in name else 1 / factor)})
    assert better.unavailability < worse.unavailability
    assert better.failover_availability > worse.failover_availability
    t = np.geomspace(1e3, 1e7, 20)
    assert (better.time_to_loss.ccdf(t) >= worse.time_to_loss.ccdf(t) * (1 - 1e-9)).all()
    assert worse.replace(crew=1).unavailability >= worse.unavailability


def test_a_quorum_that_cannot_be():
    never = QuorumAvailability(3, commit_quorum=3, witnesses=1)
    assert never.availability == 0.0
    assert never.time_to_loss.mean() == 0.0
    assert math.isinf(never.mean_outage)
    assert never.outages_a_year == 0.0
    table = sm.verify(never, requests=20_000)
    assert (table.verdict != "disagrees").all(), table.to_string()
    with pytest.raises(ValueError, match="a commit needs 3 replicas with data, and there are 2"):
        never.timeline()
    assert QuorumAvailability(3, commit_quorum=5).availability == 0.0
    assert QuorumAvailability(1).replace(commit_quorum=1).availability > 0.99


def test_passage_times():
    time = PassageTime((1.6, -0.7, 0.1), (0.5, 2.0, 9.0))
    assert time.mean() == pytest.approx(integrate.quad(time.ccdf, 0, np.inf)[0], rel=1e-9)
    second = integrate.quad(lambda t: 2 * t * time.ccdf(t), 0, np.inf)[0]
    assert time.variance() == pytest.approx(second - time.mean() ** 2, rel=1e-9)
    levels = np.array([1e-6, 0.1, 0.5, 0.99, 1 - 1e-9])
    np.testing.assert_allclose(time.cdf(time.icdf(levels)), levels, rtol=1e-9)
    assert time.pdf(1.0) == pytest.approx((time.cdf(1.0 + 1e-5) - time.cdf(1.0 - 1e-5)) / 2e-5, rel=1e-8)
    drawn = time.sample(100_000, rng=1)
    assert abs(drawn.mean() - time.mean()) < 5 * drawn.std() / math.sqrt(len(drawn))  # 6e-7
    assert eval(repr(time)) == time
    with pytest.raises(ValueError, match=r"PassageTime\.weights must be one a rate"):
        PassageTime((0.5, 0.4), (1.0, 2.0))


def test_a_mean_of_very_many_steps():
    """Two states that hardly ever let go: 1/end, which a linear solver knows to 1e-4 here."""
    rates = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1e-6], [0.0, 1.0, 0.0]])
    ends = np.array([0.0, 0.0, 1e-12])
    # Visits to the last state come at the stationary chance 1e-6/(2 + 1e-6): a mean of about 2e18.
    assert mean_passage(rates, ends) == pytest.approx(2e18 * (1 + 5e-7), rel=1e-10)


def test_the_crew_has_so_many_hands_and_does_not_rest():
    for together in (0.0, 0.4):
        cluster = Cluster((0, 1, 2, 0, 1), (False,) * 5, 3.0, 2.0, 2, 5.0, 1.0, together)
        lanes = Lanes(cluster, 300, np.random.default_rng(1))
        last = np.zeros(300)
        for _ in range(200):
            now = lanes.next
            assert (now >= last).all()
            lanes.step()
            last = now
            dead = ~lanes.alive[:, :5]
            busy = dead & np.isfinite(lanes.clock[:, :5])
            np.testing.assert_array_equal(busy.sum(axis=1), np.minimum(dead.sum(axis=1), 2))
            assert np.isfinite(lanes.clock[:, 5:]).all()
            assert (lanes.up(True) <= lanes.alive[:, :5].sum(axis=1)).all()


@pytest.mark.parametrize(
    "model",
    [OFTEN, QuorumAvailability(5, 2, 1, 2, 10 * DAY, DAY, 1, 20 * DAY, DAY), QuorumAvailability(1, zones=1, mttr=DAY)],
    ids=["witness", "flexible", "alone"],
)
def test_the_chain_agrees_with_failures_played_one_by_one(model):
    table = sm.verify(model, requests=600_000, seed=3)  # false alarm 1e-6 each
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert (table.verdict == "agrees").mean() > 0.7, table.to_string()


class Wrong(QuorumAvailability):
    """Three per cent off."""

    @answer("s", "a time that is wrong")
    def time_to_loss(self):
        """Three per cent long."""
        return QuorumAvailability.time_to_loss.compute(self) * 1.03

    @answer("outages/year", "a rate that is wrong")
    def outages_a_year(self):
        """Three per cent low."""
        return QuorumAvailability.outages_a_year.compute(self) * 0.97


def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(**OFTEN.values()), requests=1_500_000, seed=2).set_index("quantity")
    for row in ("time_to_loss mean", "outages_a_year"):
        assert table.loc[row, "verdict"] == "disagrees", table.to_string()
        assert table.loc[row, "smallest_error"] < 0.03
    assert table.loc["unavailability", "verdict"] == "agrees"


REFUSED = [
    (lambda: QuorumAvailability(3, witnesses=3), "QuorumAvailability.witnesses must lie in [0, 2], fewer than the"),
    (lambda: QuorumAvailability(mtbf=0.0), "QuorumAvailability.mtbf must lie in (0, inf) s; got 0.0"),
    (lambda: QuorumAvailability(0), "QuorumAvailability.replicas must be a whole number in [1, 15]; got 0"),
    (lambda: QuorumAvailability(mttr=1.0, zone_mttr=1.0).simulate(1000), "come before a quorum is lost; more than"),
    (lambda: QuorumAvailability(14).downtime_with_two_more, "15 replicas at most: two more cannot be asked for"),
    (lambda: QuorumAvailability(15, 3, zones=5, witnesses=5).time_to_loss, "more than 500 states with a quorum"),
]


@pytest.mark.parametrize(("ask", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_refusals_are_sentences(ask, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ask()


def test_what_is_refused_is_not_called_exact():
    large = QuorumAvailability(15, 3, zones=5, witnesses=5)
    assert large.accuracy("time_to_loss").label == "simulated"
    assert large.accuracy("availability").label == "exact"
    assert QuorumAvailability().accuracy("time_to_loss").label == "exact"


def test_never_less_than_no_nines():
    """Where there is never a quorum, the states without one sum to one and a rounding."""
    for replicas in range(2, 8):
        found = QuorumAvailability(replicas, commit_quorum=9, mtbf=1.3e7, mttr=60.0).nines
        assert found >= 0.0
        assert found == pytest.approx(0.0, abs=1e-15)
