"""Processor sharing: two exact routes, textbook moments, every face of the distributions, the twin, published cases.

False alarms: 1e-7 a comparison with a simulation.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasting import pasted
from scipy import linalg

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency import quadrature
from scaling_models.pools.formulas.sharing import conditional_variance, shared_mean, sharing_spectrum
from scaling_models.pools.times.exponential_sharing import ExponentialSharing
from scaling_models.pools.times.shared_responses import shared_accuracy, shared_response
from scaling_models.pools.times.sharing import Sharing

KEPT = [  # service, load; mean, p50, p95, p99, p99.9 and standard errors, of 6e7 requests in C
    (
        sm.Exponential(1.0),
        0.3,
        [1.42898, 0.886699, 4.63553, 7.91888, 13.3598],
        [0.000296, 0.000199, 0.00108, 0.00214, 0.0139],
    ),
    (
        sm.Deterministic(1.0),
        0.3,
        [1.42889, 1.00025, 2.81018, 3.95804, 5.60271],
        [0.000172, 6.84e-09, 0.00084, 0.00175, 0.0063],
    ),
    (
        sm.Hyperexponential(1.0, 4.0),
        0.3,
        [1.42936, 0.575941, 5.49177, 15.8434, 34.1325],
        [0.00046, 0.000124, 0.00302, 0.0101, 0.0383],
    ),
    (
        sm.Hyperexponential(1.0, 10.0),
        0.3,
        [1.42843, 0.493491, 3.84107, 22.9714, 63.1018],
        [0.00125, 0.000125, 0.00352, 0.0312, 0.114],
    ),
    (
        sm.LogNormal(1.0, 4.0),
        0.3,
        [1.42875, 0.579987, 5.3428, 13.1412, 34.8394],
        [0.000568, 0.000107, 0.00268, 0.0108, 0.0492],
    ),
    (
        sm.LogNormal(1.0, 10.0),
        0.3,
        [1.42895, 0.389945, 5.59431, 16.6224, 54.8307],
        [0.000873, 0.000126, 0.00357, 0.0154, 0.0802],
    ),
    (
        sm.Erlang(1.0, 10),
        0.3,
        [1.42828, 1.19572, 3.04271, 4.44931, 6.59459],
        [0.000209, 0.000157, 0.000827, 0.00239, 0.00785],
    ),
    (
        sm.Pareto(1.0, 2.5),
        0.3,
        [1.42866, 1.05259, 3.35936, 6.22299, 14.7501],
        [0.000271, 0.000162, 0.00113, 0.00254, 0.0211],
    ),
    (
        sm.Exponential(1.0),
        0.5,
        [2.00137, 1.13287, 6.86716, 12.4691, 22.2591],
        [0.000934, 0.00038, 0.00369, 0.0112, 0.0356],
    ),
    (
        sm.Deterministic(1.0),
        0.5,
        [2.00021, 1.6036, 4.55967, 6.6376, 9.63353],
        [0.000481, 0.000255, 0.00177, 0.00539, 0.0181],
    ),
    (
        sm.Hyperexponential(1.0, 4.0),
        0.5,
        [2.00026, 0.735099, 7.76596, 22.777, 52.9978],
        [0.00114, 0.000269, 0.0052, 0.0186, 0.0849],
    ),
    (
        sm.Hyperexponential(1.0, 10.0),
        0.5,
        [2.00284, 0.627978, 5.77045, 31.6504, 95.7988],
        [0.0023, 0.000232, 0.00755, 0.0543, 0.218],
    ),
    (
        sm.LogNormal(1.0, 4.0),
        0.5,
        [2.00102, 0.751075, 7.66182, 19.3899, 52.3918],
        [0.00111, 0.000273, 0.00452, 0.0197, 0.0797],
    ),
    (
        sm.LogNormal(1.0, 10.0),
        0.5,
        [1.99896, 0.503712, 7.90701, 24.125, 80.58],
        [0.00198, 0.000232, 0.00728, 0.0291, 0.252],
    ),
    (
        sm.Erlang(1.0, 10),
        0.5,
        [2.00044, 1.55154, 4.85374, 7.4057, 11.356],
        [0.000536, 0.000278, 0.00221, 0.00612, 0.0213],
    ),
    (
        sm.Pareto(1.0, 2.5),
        0.5,
        [1.99853, 1.41376, 5.14101, 9.57112, 22.3483],
        [0.00062, 0.000302, 0.00239, 0.00733, 0.0399],
    ),
    (
        sm.Exponential(1.0),
        0.7,
        [3.33555, 1.68161, 12.1369, 23.2836, 43.7832],
        [0.00173, 0.000748, 0.00832, 0.0211, 0.0816],
    ),
    (
        sm.Deterministic(1.0),
        0.7,
        [3.33189, 2.51872, 8.557, 12.7783, 18.7698],
        [0.00159, 0.000859, 0.00762, 0.0192, 0.0541],
    ),
    (
        sm.Hyperexponential(1.0, 4.0),
        0.7,
        [3.329, 1.09664, 12.9455, 39.2225, 99.8581],
        [0.00388, 0.000789, 0.0169, 0.0669, 0.226],
    ),
    (
        sm.Hyperexponential(1.0, 10.0),
        0.7,
        [3.3267, 0.930764, 10.0267, 51.3544, 174.47],
        [0.00553, 0.000674, 0.0162, 0.0994, 0.439],
    ),
    (
        sm.LogNormal(1.0, 4.0),
        0.7,
        [3.3354, 1.13911, 13.0365, 34.2351, 95.4641],
        [0.00311, 0.00068, 0.0127, 0.0524, 0.164],
    ),
    (
        sm.LogNormal(1.0, 10.0),
        0.7,
        [3.33887, 0.762426, 13.26, 41.8357, 144.713],
        [0.00529, 0.000726, 0.0204, 0.0826, 0.496],
    ),
    (
        sm.Erlang(1.0, 10),
        0.7,
        [3.33511, 2.42117, 9.04082, 14.257, 22.4379],
        [0.00151, 0.000915, 0.00586, 0.0183, 0.0566],
    ),
    (
        sm.Pareto(1.0, 2.5),
        0.7,
        [3.33597, 2.23726, 9.32548, 17.6062, 41.5231],
        [0.00196, 0.00102, 0.00723, 0.0231, 0.0863],
    ),
    (sm.Exponential(1.0), 0.9, [9.98378, 4.33512, 38.5999, 78.1203, 155.05], [0.026, 0.00834, 0.112, 0.288, 0.726]),
    (sm.Deterministic(1.0), 0.9, [9.97786, 7.14741, 28.4245, 43.1529, 64.4732], [0.0145, 0.0101, 0.0638, 0.172, 0.512]),
    (
        sm.Hyperexponential(1.0, 4.0),
        0.9,
        [9.96063, 2.87844, 38.4266, 122.64, 349.586],
        [0.035, 0.008, 0.136, 0.485, 2.09],
    ),
    (
        sm.Hyperexponential(1.0, 10.0),
        0.9,
        [9.98013, 2.43452, 30.6077, 148.525, 593.923],
        [0.0672, 0.00989, 0.219, 0.865, 6.2],
    ),
    (sm.LogNormal(1.0, 4.0), 0.9, [9.98863, 3.01395, 39.7158, 108.935, 323.032], [0.0424, 0.00802, 0.169, 0.573, 2.03]),
    (
        sm.LogNormal(1.0, 10.0),
        0.9,
        [10.0193, 2.01023, 39.6761, 130.288, 477.111],
        [0.0442, 0.00503, 0.155, 0.653, 3.41],
    ),
    (sm.Erlang(1.0, 10), 0.9, [10.0095, 6.75478, 29.9866, 48.5333, 78.1203], [0.0208, 0.0112, 0.0821, 0.195, 0.55]),
    (sm.Pareto(1.0, 2.5), 0.9, [10.0198, 6.27297, 30.2577, 58.5131, 142.844], [0.0185, 0.00922, 0.0642, 0.167, 0.482]),
]
LEVELS = np.array([0.5, 0.9, 0.95, 0.99, 0.999])
SERVICES = (
    sm.Exponential(1.0),
    sm.Deterministic(1.0),
    sm.Hyperexponential(1.0, 4.0),
    sm.Hyperexponential(1.0, 10.0),
    sm.LogNormal(1.0, 10.0),
    sm.Erlang(1.0, 4),
    sm.Pareto(1.0, 2.5),
    sm.Uniform(0.0, 2.0),
    sm.mixture((0.5, 0.5), (0.5, sm.Exponential(1.5))),
    sm.Empirical((0.0, 0.5, 1.0, 2.5)),
)


def by_chain(arrival_rate, workers, times):
    """P(T > t) of M/M/k with sharing (mu = 1): a tagged request among j others, its chain's exponential applied."""
    load = arrival_rate / workers
    others = np.arange(int(40.0 / (1.0 - load)) + 2 * workers + 20)
    busy = np.minimum(others + 1.0, workers)
    chance = np.cumprod(np.concatenate([[1.0], arrival_rate / np.minimum(others[1:], workers)]))
    down = busy * others / (others + 1.0)
    generator = np.diag(np.full(len(others) - 1, arrival_rate), 1) + np.diag(down[1:], -1)
    generator -= np.diag(arrival_rate + busy)
    one_step = linalg.expm(generator * times[0])
    now, found = chance / chance.sum(), []
    for _ in times:
        now = now @ one_step
        found.append(now.sum())
    return np.array(found)


@pytest.mark.parametrize(("load", "workers"), [(0.3, 1), (0.7, 1), (0.9, 1), (0.5, 2), (0.85, 8)])
def test_exponential_sharing_is_its_chain(load, workers):
    times = np.arange(1, 13) * 2.0
    found = ExponentialSharing(load * workers, 1.0, workers).ccdf(times)
    np.testing.assert_allclose(found, by_chain(load * workers, workers, times), rtol=1e-9)


@given(st.floats(0.02, 0.999))
@settings(max_examples=30, deadline=None)
def test_exponential_sharing_has_the_textbook_moments(load):
    """Var T = (2 + rho)/((2 - rho)(1 - rho)^2): Coffman, Muntz and Trotter 1970."""
    found = ExponentialSharing(load, 1.0)
    assert quadrature.moments(found)[0] == pytest.approx(1.0 / (1.0 - load), rel=1e-6)
    assert found.variance() == pytest.approx((2.0 + load) / (2.0 - load) / (1.0 - load) ** 2, rel=1e-9)


@pytest.mark.parametrize(("load", "workers"), [(0.5, 3), (0.9, 16), (0.97, 4)])
def test_the_mean_of_several_workers_is_that_of_one_queue(load, workers):
    found = ExponentialSharing(load * workers, 1.0, workers)
    assert quadrature.moments(found)[0] == pytest.approx(found.mean(), rel=1e-6)
    assert found.mean() == pytest.approx(
        sm.CentralQueue(load * workers, workers, 1.0 * sm.Exponential(1.0)).latency.mean()
    )
    assert shared_mean(load, 1.0) == pytest.approx(1.0 / (1.0 - load), rel=1e-12)


@pytest.mark.parametrize("workers", [1, 2, 4, 32, 1000])
def test_what_is_answered_near_capacity_meets_the_exact_mean(workers):
    """And what cannot be resolved is refused, not computed."""
    for load in (0.98, 0.99, 0.997):
        rates, weights = sharing_spectrum(load * workers, 1.0, workers)
        assert float((weights / rates).sum()) == pytest.approx(shared_mean(load * workers, 1.0, workers), rel=1e-9)
    pool = sm.RandomSplit(99.9999 * workers, 1, sm.Exponential(0.01), workers=workers, discipline="sharing")
    assert pool.latency == sm.MeanOnly(shared_mean(99.9999 * workers, 0.01, workers))
    assert pool.accuracy("latency").label == "exact"
    assert pool.accuracy("latency", 0.99).label == "simulated"
    assert shared_accuracy(99.9999 * workers, sm.Exponential(0.01), workers, 0.99).label == "simulated"


def test_conditional_variance_of_exponential_service():
    """2 rho x/(1 - rho)^3 - 2 rho (1 - e^{-(1 - rho) x})/(1 - rho)^4, from P(W > y) = rho e^{-(1 - rho) y}."""
    x = np.geomspace(1e-3, 1e3, 60)
    for load in (0.2, 0.7, 0.95):
        exact = 2.0 * load * (x / (1.0 - load) ** 3 + np.expm1(-(1.0 - load) * x) / (1.0 - load) ** 4)
        late = x > 0.05
        found = conditional_variance(load, sm.Exponential(1.0), x)
        np.testing.assert_allclose(found[late], exact[late], rtol=1e-3)
        np.testing.assert_allclose(found[~late], load * x[~late] ** 2 / (1.0 - load) ** 2, rtol=0.05)


def test_conditional_variance_of_constant_service():
    """From the transform of M/D/1 with sharing (Ott 1984): its log's second difference on a circle round 0."""
    for load in (0.3, 0.8):
        radius, turns = 0.02, np.arange(64) / 64
        s = radius * np.exp(2j * np.pi * turns)
        e = np.exp(-(s + load))
        transform = (1 - load) * (s + load) ** 2 * e / (s**2 + load * (s + (s + load) * (1 - load)) * e)
        series = np.fft.fft(np.log(transform)).real / 64 / radius ** np.arange(64)
        assert -series[1] == pytest.approx(1.0 / (1.0 - load), rel=1e-9)
        found = conditional_variance(load, sm.Deterministic(1.0), np.ones(1))[0]
        assert found == pytest.approx(2.0 * series[2], rel=3e-4)


@pytest.mark.parametrize("service", SERVICES, ids=repr)
@pytest.mark.parametrize("load", [0.3, 0.9])
def test_all_faces_tell_the_same(service, load):
    found = Sharing(load, service)
    mean, variance = quadrature.moments(found)
    assert mean == pytest.approx(1.0 / (1.0 - load), rel=3e-4)
    assert variance == pytest.approx(found.variance(), rel=3e-3)
    times = found.icdf(LEVELS)
    np.testing.assert_allclose(found.cdf(times) + found.ccdf(times), 1.0, rtol=1e-6)
    assert (found.ccdf(times * (1 + 1e-9)) <= 1.0 - LEVELS + 1e-9).all()
    assert (found.ccdf(times * (1 - 1e-9)) >= 1.0 - LEVELS - 1e-9).all()
    drawn = found.sample(200_000, rng=1)
    shares = (drawn[:, None] > times * (1 + 1e-9)).mean(axis=0)
    exact = found.ccdf(times * (1 + 1e-9))
    assert (np.abs(shares - exact) <= 5.5 * np.sqrt(exact / 200_000)).all()
    middle = (times[1:] + times[:-1]) / 2
    step = 1e-4 * middle  # the quotient errs by its square where smooth, and by the rounding of the ccdf over it
    slope = (found.ccdf(middle - step) - found.ccdf(middle + step)) / (2 * step)
    np.testing.assert_allclose(found.pdf(middle), slope, rtol=1e-4)
    assert found.ccdf(0.999 * service.support[0] - 1e-9) == pytest.approx(1.0, abs=1e-9)
    assert eval(repr(found), {**pasted(), "Sharing": Sharing}) == found
    assert hash(found) == hash(Sharing(load, service))
    far = found.iccdf(1e-9)
    assert found.ccdf(far) == pytest.approx(1e-9, rel=1e-6)


def test_the_formula_for_any_service_is_near_the_exact_one_for_exponential():
    for load in (0.3, 0.5, 0.7, 0.9, 0.97):
        near, exact = Sharing(load, sm.Exponential(1.0)).icdf(LEVELS), ExponentialSharing(load, 1.0).icdf(LEVELS)
        np.testing.assert_allclose(near, exact, rtol=0.01)


def test_overload_several_workers_and_illegal_loads():
    assert shared_response(1.0, sm.Deterministic(1.0)) == sm.Never()
    assert shared_response(1.5, sm.Deterministic(1.0), 2) == sm.MeanOnly(shared_mean(1.5, 1.0, 2))
    assert shared_response(1.5, sm.Exponential(1.0), 2) == ExponentialSharing(1.5, 1.0, 2)
    assert shared_mean(1.5, 1.0, 2) == pytest.approx(1.0 / (1.0 - 0.75**2))
    for kind in (lambda: Sharing(1.0, sm.Deterministic(1.0)), lambda: ExponentialSharing(2.0, 1.0, 2)):
        with pytest.raises(ValueError, match=r"the load must lie in \(0, 1\); got 1.0"):
            kind()
    assert math.isinf(Sharing(0.5, sm.Pareto(1.0, 1.5)).variance())


@pytest.mark.parametrize(("service", "load", "found", "errors"), KEPT, ids=repr)
def test_the_latency_is_within_its_label(service, load, found, errors):
    pool = sm.RandomSplit(load, 1, service, discipline="sharing")
    told = [pool.latency.mean(), *pool.latency.icdf([0.5, 0.95, 0.99, 0.999])]
    for level, formula, value, error in zip([None, 0.5, 0.95, 0.99, 0.999], told, found, errors, strict=True):
        allowed = pool.accuracy("latency", level).error * value + 5.0 * error
        assert abs(formula - value) <= allowed + 3e-4 * value, (level, formula, value)  # the bins' width
        assert allowed < 0.1 * value


@pytest.mark.parametrize("service", [sm.Exponential(0.01), sm.LogNormal(0.01, 4.0)], ids=repr)
def test_the_twin_of_sharing_servers_agrees(service):
    table = sm.verify(sm.RandomSplit(140.0, 2, service, discipline="sharing"), requests=20_000, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()
    told = table.set_index("quantity")
    assert told.loc["latency mean", "smallest_error"] < 0.5
    assert "latency p99" in told.index


class Slow(sm.RandomSplit):
    """Three per cent slow."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Off by three per cent."""
        return sm.RandomSplit.latency.compute(self) * 1.03


def test_three_per_cent_are_seen():
    pool = Slow(50.0, 5, sm.Erlang(0.01, 4), discipline="sharing")
    table = sm.verify(pool, requests=400_000, seed=1).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees"


def test_labels_follow_what_is_answered():
    def label(service, level=0.99, load=0.5, workers=1):
        return shared_accuracy(load, service, workers, level).label

    assert label(sm.Exponential(1.0)) == label(sm.LogNormal(1.0, 4.0), None) == "exact"
    assert label(sm.LogNormal(1.0, 4.0)) == "within 3%"
    assert label(sm.Deterministic(1.0)) == label(sm.LogNormal(1.0, 4.0), 0.9999) == "within 15%"
    assert label(sm.LogNormal(1.0, 4.0), workers=2) == label(sm.Empirical((0.5, 1.5))) == "simulated"
    for service in (sm.Exponential(1.0), sm.Deterministic(1.0), sm.Empirical((0.5, 1.5))):
        assert shared_response(0.5, service).spread_known == (label(service) != "simulated")
