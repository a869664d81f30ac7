"""Processor sharing: two exact routes, textbook moments, every face of the distributions, the twin, published cases.

False alarms: 1e-7 a comparison with a simulation.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

import scaling_models as sm
from scaling_models.latency import quadrature
from scaling_models.pools.exponential_sharing import ExponentialSharing
from scaling_models.pools.formulas.sharing import conditional_variance, shared_mean, wait_ccdf
from scaling_models.pools.shared_responses import shared_response
from scaling_models.pools.sharing import Sharing

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


@pytest.mark.parametrize("load", [0.4, 0.9])
def test_the_wait_under_it_has_the_mean_of_pollaczek_and_khinchine(load):
    for service in SERVICES[:6]:
        waits = wait_ccdf(load, service, 0.05, 2**15)
        mean = 0.025 * (load + waits[0]) / 2 + np.trapezoid(waits, dx=0.05)
        exact = load * (1.0 + service.scv) / (2.0 * (1.0 - load))
        assert mean == pytest.approx(exact, rel=2e-3)


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
    step = 1e-3 * middle
    slope = (found.ccdf(middle - step) - found.ccdf(middle + step)) / (2 * step)
    np.testing.assert_allclose(found.pdf(middle), slope, rtol=0.1)
    assert found.ccdf(0.999 * service.support[0] - 1e-9) == pytest.approx(1.0, abs=1e-9)
    assert eval(repr(found), {**vars(sm), "Sharing": Sharing}) == found
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
