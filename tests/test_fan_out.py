"""Fan-out: published rows, exact limits, the twin, and an event-free simulation of fork and join kept as numbers.

False alarms: 1e-6 a verification; the kept simulations are compared within their label and five standard errors.
"""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.latency import KOfN, quadrature
from scaling_models.pools import FanOut
from scaling_models.pools.formulas.fan_out import (
    harmonic_number,
    heavy_traffic,
    nelson_tantawi,
    synchronised_mean,
    varma_makowski,
)
from scaling_models.pools.times.joined_legs import JoinedLegs

LEVELS = [0.5, 0.9, 0.95, 0.99, 0.999]


def unit(legs, servers, load, **more):
    """Services of mean 1, servers busy a share `load` of their time."""
    return FanOut(load * servers / legs, servers, sm.Exponential(1.0), legs=legs, **more)


@pytest.mark.parametrize(
    ("formula", "legs", "load", "value"),
    [
        (varma_makowski, 2, 0.5, 2.875),
        (varma_makowski, 4, 0.9, 17.7944878472),
        (nelson_tantawi, 16, 0.9, 25.5782635988),
        (nelson_tantawi, 32, 0.5, 6.88718564739),
    ],
)
def test_the_formulas_are_those_of_a_peer(formula, legs, load, value):
    """line-solver 3.0.8.0, fj_respt_vm and fj_respt_nt."""
    assert formula(legs, load) == pytest.approx(value, rel=1e-11)


def test_the_heavy_traffic_constant_is_its_alternating_sum():
    for n in (1, 2, 3, 8, 20):
        inner = [
            sum(math.comb(r, m) * math.factorial(m - 1) / r ** (m + 1) for m in range(1, r + 1))
            for r in range(1, n + 1)
        ]
        direct = math.fsum(math.comb(n, r) * (-1) ** (r - 1) * inner[r - 1] for r in range(1, n + 1))
        assert heavy_traffic(n) == pytest.approx(direct, rel=1e-9)


def test_limits_of_the_mean():
    loads = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(synchronised_mean(1, loads), 1.0 / (1.0 - loads))
    np.testing.assert_allclose(synchronised_mean(2, loads), (12.0 - loads) / (8.0 * (1.0 - loads)))
    assert synchronised_mean(10, 1e-9) == pytest.approx(harmonic_number(10), rel=1e-6)
    assert harmonic_number(10) == pytest.approx(sum(1.0 / i for i in range(1, 11)), rel=1e-13)


# Legs, servers, load; mean, p50, p90, p95, p99, p99.9 and their standard errors, of 1e6 to 4e7 requests in C.
SIMULATED = [
    (
        2,
        2,
        0.5,
        [2.87593, 2.30078, 5.83427, 7.27359, 10.5619, 15.1993],
        [0.000997, 0.000745, 0.00231, 0.0039, 0.0103, 0.032],
    ),
    (2, 2, 0.9, [13.8949, 10.9217, 28.8396, 36.1707, 53.2634, 76.5351], [0.0473, 0.0337, 0.112, 0.174, 0.542, 1.38]),
    (
        4,
        4,
        0.5,
        [3.84139, 3.29119, 7.07275, 8.557, 11.8906, 16.5726],
        [0.00145, 0.00114, 0.0039, 0.00572, 0.0117, 0.0422],
    ),
    (
        8,
        8,
        0.3,
        [3.62319, 3.25519, 6.03303, 7.09755, 9.48536, 12.8231],
        [0.000975, 0.000722, 0.00198, 0.00336, 0.00713, 0.0212],
    ),
    (8, 8, 0.95, [44.2715, 38.5035, 81.3898, 97.1008, 132.191, 180.233], [0.448, 0.328, 1.1, 1.47, 2.44, 4.55]),
    (
        16,
        16,
        0.7,
        [9.29321, 8.40435, 15.5841, 18.2424, 24.0889, 32.2252],
        [0.0159, 0.0152, 0.0343, 0.0424, 0.105, 0.307],
    ),
    (16, 16, 0.9, [26.5209, 23.8373, 46.028, 54.1496, 71.076, 93.527], [0.178, 0.14, 0.374, 0.577, 1.24, 1.94]),
    (32, 32, 0.8, [15.7759, 14.4364, 25.952, 30.1218, 39.6167, 53.0773], [0.0715, 0.0545, 0.146, 0.19, 0.403, 0.978]),
    (
        64,
        64,
        0.3,
        [6.05889, 5.69023, 8.76486, 9.89718, 12.3759, 15.7407],
        [0.00346, 0.00318, 0.00916, 0.00963, 0.0258, 0.0964],
    ),
    (64, 64, 0.9, [34.8716, 32.0005, 56.8406, 66.0393, 86.25, 112.871], [0.531, 0.38, 1.18, 1.68, 3.16, 4.13]),
    (
        8,
        16,
        0.5,
        [5.14566, 4.65876, 8.53564, 10.0016, 13.2799, 17.7654],
        [0.00574, 0.00485, 0.0126, 0.016, 0.0315, 0.12],
    ),
    (32, 64, 0.8, [18.1799, 17.0858, 27.8338, 31.6662, 39.9548, 51.7669], [0.0764, 0.0644, 0.144, 0.19, 0.374, 1.11]),
    (32, 64, 0.9, [35.7854, 33.7422, 54.7211, 62.3803, 78.6691, 99.3104], [0.383, 0.346, 0.68, 0.887, 1.42, 2.03]),
    (
        8,
        80,
        0.5,
        [5.37987, 4.91971, 8.65165, 10.087, 13.3331, 17.8455],
        [0.00617, 0.0048, 0.0127, 0.0194, 0.0324, 0.112],
    ),
    (
        32,
        320,
        0.5,
        [7.98284, 7.55531, 11.3959, 12.8488, 16.1473, 20.8062],
        [0.00956, 0.00953, 0.0155, 0.0209, 0.0476, 0.124],
    ),
    (
        32,
        320,
        0.8,
        [19.9356, 18.8639, 28.6384, 32.3059, 40.8845, 53.1039],
        [0.0699, 0.0618, 0.127, 0.174, 0.367, 0.917],
    ),
]


@pytest.mark.parametrize(("legs", "servers", "load", "found", "errors"), SIMULATED)
def test_fork_and_join_is_within_its_label(legs, servers, load, found, errors):
    model = unit(legs, servers, load)
    told = [model.latency.mean(), *model.latency.icdf(LEVELS)]
    for level, formula, value, error in zip([None, *LEVELS], told, found, errors, strict=True):
        accuracy = model.accuracy("latency", level)
        assert abs(formula - value) <= accuracy.error * value + 5.0 * error, (level, formula, value, accuracy)
    assert model.latency.mean() == pytest.approx(found[0], rel=0.15)


# Services, legs, load, ten times as many servers: P(last leg > t) over 1 - level at the formula's p50, p90, p99 and
# p99.9, and the standard errors. It is legs x P(leg > t), which is exact, times how many requests there are to a leg
# that is late (of 3e6 to 2e7 requests in C): plain counts of so few clusters would err by half at p99.9.
WIDE = [
    (sm.LogNormal(1.0, 10.0), 64, 0.5, [1.0004, 1.0004, 1.0004, 1.0005], [0.0015, 0.0013, 0.0008, 0.0005]),
    (sm.LogNormal(1.0, 10.0), 64, 0.8, [1.0022, 0.9984, 1.0007, 1.0005], [0.0042, 0.0022, 0.0016, 0.0005]),
    (sm.LogNormal(1.0, 10.0), 100, 0.9, [0.9891, 0.9951, 0.9971, 1.0005], [0.0085, 0.0043, 0.0032, 0.0005]),
    (sm.LogNormal(1.0, 20.0), 64, 0.9, [0.9839, 0.9854, 0.9941, 1.0005], [0.0084, 0.0066, 0.0049, 0.0005]),
    (sm.Pareto(1.0, 2.5), 64, 0.8, [0.9899, 0.9994, 1.0009, 1.0005], [0.0025, 0.0019, 0.0017, 0.0005]),
    (sm.Hyperexponential(1.0, 10.0), 64, 0.8, [0.9902, 0.9979, 0.9985, 1.0005], [0.0025, 0.0012, 0.0011, 0.0005]),
    (sm.Hyperexponential(1.0, 20.0), 100, 0.9, [0.9989, 1.0017, 0.9992, 1.0005], [0.0081, 0.0046, 0.0029, 0.0005]),
    (sm.Erlang(1.0, 4), 64, 0.9, [0.8885, 0.9530, 0.9918, 1.0005], [0.0089, 0.0064, 0.0018, 0.0005]),
    (sm.Deterministic(1.0), 64, 0.5, [0.8120, 0.9111, 0.9790, 0.9952], [0.0010, 0.0010, 0.0009, 0.0014]),
    (sm.Deterministic(1.0), 100, 0.9, [0.8333, 0.9185, 0.9801, 0.9950], [0.0131, 0.0104, 0.0049, 0.0028]),
]


@pytest.mark.parametrize(("service", "legs", "load", "found", "errors"), WIDE)
def test_wide_fan_outs_are_within_their_labels(service, legs, load, found, errors):
    model = FanOut(10.0 * load, 10 * legs, service, legs=legs)
    for level, tail, error in zip([0.5, 0.9, 0.99, 0.999], found, errors, strict=True):
        accuracy, told = model.accuracy("latency", level), model.latency.icdf(level)
        assert tail - 5.0 * error <= 1.0  # independent legs are an upper bound
        true = min(max(1.0, tail - 5.0 * error), tail + 5.0 * error)  # as near to the formula as was seen
        assert model.latency.iccdf(min((1.0 - level) / true, 1.0)) == pytest.approx(told, rel=accuracy.error)
        assert accuracy.label == ("within 3%" if level >= 0.99 or service.scv >= 1.0 else "within 15%")


# Mean of the formula over the simulated one, and standard error.
@pytest.mark.parametrize(
    ("service", "legs", "load", "over", "error"),
    [
        (sm.Exponential(1.0), 100, 0.3, 1.0158, 0.0006),
        (sm.Exponential(1.0), 200, 0.7, 1.0211, 0.0041),
        (sm.LogNormal(1.0, 4.0), 100, 0.3, 0.9847, 0.0095),
        (sm.Hyperexponential(1.0, 10.0), 64, 0.1, 1.0040, 0.0009),
        (sm.Deterministic(1.0), 8, 0.5, 1.0357, 0.0007),
        (sm.Deterministic(1.0), 200, 0.5, 1.0808, 0.0013),
        (sm.Deterministic(1.0), 1000, 0.5, 1.0930, 0.0034),
        (sm.Uniform(0.0, 2.0), 64, 0.5, 1.0452, 0.0013),
        (sm.Deterministic(1.0), 32, 0.3, 1.0868, 0.0005),
        (sm.Deterministic(1.0), 64, 0.1, 1.2843, 0.0005),
    ],
)
def test_the_means_of_wide_fan_outs_are_within_their_labels(service, legs, load, over, error):
    model = FanOut(10.0 * load, 10 * legs, service, legs=legs)
    accuracy = model.accuracy("latency")
    assert over > 1.0 - 5.0 * error
    if accuracy.label == "bound":
        assert (accuracy.side, service.scv, load < 0.5) == ("above", 0.0, True)
        assert model.accuracy("all_answered").side == "below"
    else:
        assert abs(over - 1.0) <= accuracy.error + 5.0 * error


def test_a_bound_may_lie_on_its_side_as_far_as_it_likes():
    pool = FanOut(50.0, 10, sm.Deterministic(0.01), legs=8)
    assert pool.accuracy("latency").side == "above"
    table = sm.verify(pool, requests=100_000, seed=1).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "unseen"
    assert table.loc["latency mean", "closed_form"] > 1.5 * table.loc["latency mean", "simulated"]
    assert (table.verdict != "disagrees").all(), table.to_string()  # with one leg in 4e6 late, and none drawn, too


def test_one_leg_is_a_random_split_and_two_are_exact_in_the_mean():
    one = FanOut(50.0, 10, legs=1)
    assert one.latency == sm.RandomSplit(50.0, 10).latency
    assert one.accuracy("latency", 0.99).label == "exact"
    two = unit(2, 2, 0.6)
    assert two.latency.mean() == pytest.approx((12.0 - 0.6) / (8.0 * 0.4), rel=1e-12)
    assert two.accuracy("latency").label == "exact"
    assert two.accuracy("latency", 0.5).label == "within 15%"


@pytest.mark.parametrize(("n", "mean"), [(2, 1.5), (10, 2.9289682539682538)])
def test_without_queues_the_last_of_exponentials_has_a_harmonic_mean(n, mean):
    assert unit(n, 1, 0.5, queues="none").latency.mean() == pytest.approx(mean, rel=1e-9)


def test_the_tail_at_scale():
    """One leg in a hundred over a second: of 100 legs 63% of requests; Dean and Barroso 2013."""
    leg = sm.mixture((0.99, 0.01), (0.005, 2.0))
    model = FanOut(1.0, 1, leg, legs=100, queues="none", deadline=1.0)
    assert 1.0 - model.all_answered == pytest.approx(0.6339676587267709, rel=1e-9)
    assert model.answered == pytest.approx(0.99, rel=1e-12)
    assert model.accuracy("all_answered").label == "exact"


def test_the_tail_at_scale_at_google():
    """95% of the leaves: p50 12 ms, p99 70 ms, where one leaf has a p50 of 1 ms (Dean and Barroso 2013, Table 1).

    A lognormal leaf with median 1 ms and p99 10 ms: independent leaves are far faster, so theirs are slow together.
    """
    sigma = math.log(10.0) / 2.326347874
    leaf = sm.LogNormal(0.001 * math.exp(sigma**2 / 2), math.expm1(sigma**2))
    assert leaf.icdf([0.5, 0.99]) == pytest.approx([0.001, 0.010], rel=1e-6)
    model = FanOut(1.0, 1, leaf, legs=100, needed=95, queues="none")
    low, high = model.latency.icdf([0.5, 0.99])
    assert low < 0.012
    assert high < 0.070


def test_joined_legs_tell_the_same_by_every_face():
    for legs, load, common in ((2, 0.5, 1.0), (10, 0.9, 1.0), (64, 0.3, 0.1), (8, 0.7, 0.0)):
        found = JoinedLegs(legs, 0.02, load, common)
        mean, variance = quadrature.moments(found)
        assert mean == pytest.approx(found.mean(), rel=1e-6)
        times = found.icdf(LEVELS)
        np.testing.assert_allclose(found.cdf(times), LEVELS, rtol=1e-9)
        np.testing.assert_allclose(found.ccdf(found.iccdf([1e-3, 1e-9, 1e-14])), [1e-3, 1e-9, 1e-14], rtol=1e-6)
        slope = (found.cdf(times * 1.0001) - found.cdf(times * 0.9999)) / (2e-4 * times)
        np.testing.assert_allclose(found.pdf(times), slope, rtol=1e-5)
        drawn = found.sample(100_000, rng=1)
        assert abs(drawn.mean() - mean) < 5.5 * math.sqrt(variance / 100_000)
        assert found.ccdf(0.0) == pytest.approx(1.0, abs=1e-9)
        assert eval(repr(found)) == found
    alone = KOfN(8, (sm.Exponential(0.02),) * 8)
    np.testing.assert_allclose(JoinedLegs(8, 0.02, 0.7, 0.0).icdf(LEVELS), alone.icdf(LEVELS), rtol=1e-4)


@pytest.mark.parametrize(
    ("legs", "needed", "load", "mean", "error"),
    [
        (4, 3, 0.7, 3.67944, 0.0082),
        (4, 3, 0.9, 10.9496, 0.068),
        (8, 6, 0.9, 12.3637, 0.112),
        (16, 12, 0.9, 12.8407, 0.236),
        (8, 7, 0.8, 8.03356, 0.0455),
        (16, 15, 0.5, 4.33767, 0.0074),
        (16, 15, 0.9, 20.0812, 0.111),
    ],
)
def test_most_of_the_legs_beside_a_simulation_event_by_event(legs, needed, load, mean, error):
    """The simulation is in another language: mean and standard error, 16 or 64 runs; two sides at 1e-6 each."""
    model = unit(legs, legs, load, needed=needed)
    told = model.accuracy("latency")
    if needed > 0.8 * legs:
        assert told.label == "simulated"
        assert abs(model._independent.mean() / mean - 1.0) > 0.05  # what is refused would be this wrong
    else:
        assert abs(model.latency.mean() - mean) <= told.error * mean + 7.4 * error


def test_services_that_end_together_are_no_order_statistic():
    with pytest.raises(sm.NoClosedForm):
        _ = FanOut(0.7, 8, sm.Deterministic(1.0), legs=8, needed=6).latency


def test_what_is_not_known_is_not_told():
    enough = unit(8, 8, 0.5, needed=6)
    assert enough.latency.mean() == pytest.approx(KOfN(6, (sm.Exponential(2.0),) * 8).mean())
    with pytest.raises(sm.NoClosedForm):
        enough.latency.icdf(0.5)
    assert enough.accuracy("latency", 0.5).label == "simulated"
    half = unit(8, 8, 0.5, needed=4)
    assert half.accuracy("latency").label == "simulated"
    for name in ("latency", "latency_low", "latency_high"):
        with pytest.raises(sm.NoClosedForm):
            getattr(half, name)
    with pytest.raises(sm.NoClosedForm, match="see latency"):
        _ = unit(8, 8, 0.5).latency_high
    crowd = unit(100, 100, 0.5)
    assert crowd.latency.mean() == pytest.approx(2.0 * harmonic_number(100), rel=1e-6)
    assert crowd.accuracy("latency").label == "bound"
    assert crowd.latency_low.icdf(0.99) < crowd.latency_high.icdf(0.99)
    with pytest.raises(sm.NoClosedForm):
        _ = crowd.all_answered


def test_overload_and_mistakes():
    over = unit(8, 8, 1.2)
    assert over.utilization == pytest.approx(1.2)
    assert over.latency == sm.Never()
    assert (over.answered, over.all_answered) == (0.0, 0.0)
    assert math.isinf(over.in_flight)
    with pytest.raises(ValueError, match=r"FanOut.legs must lie in \[1, 3\], the servers; got 4"):
        FanOut(1.0, 3, legs=4)
    with pytest.raises(ValueError, match=r"FanOut.needed must lie in \[0, 4\], the legs; got 5"):
        FanOut(1.0, 10, legs=4, needed=5)


@pytest.mark.parametrize(
    "model",
    [
        FanOut(),
        FanOut(servers=100, arrival_rate=500.0),
        FanOut(needed=8),
        FanOut(queues="none", needed=7),
        FanOut(legs=2, servers=2, deadline=0.02),
        FanOut(workers=2, servers=100, arrival_rate=1000.0),
    ],
    ids=repr,
)
def test_the_twin_agrees(model):
    table = sm.verify(model, requests=60_000, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.2
    assert table.loc["answered", "smallest_error"] < 0.05


class Wrong(FanOut):
    """Three per cent slow, and said to be exact."""

    @property
    def _independent(self):
        return super()._independent * 1.03


def test_a_formula_that_is_three_per_cent_wrong_is_seen():
    table = sm.verify(Wrong(queues="none"), requests=400_000, seed=2).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees"


def test_a_stall_is_survived():
    for queues in ("fifo", "none"):
        told = FanOut(queues=queues).timeline(seed=1)
        line = told.lines["requests in the pool"]
        assert line.max() > 30
        assert line[-1] < 15
