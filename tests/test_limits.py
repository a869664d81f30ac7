"""Limits and loss: formulas against chains solved state by state, distributions by two routes, limits, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency import quadrature
from scaling_models.pools import (
    FiniteQueue,
    blocking,
    erlang_a,
    erlang_b,
    erlang_c,
)
from scaling_models.pools.formulas.square_root import halfin_whitt_delay
from scaling_models.pools.formulas.stages import log_kummer, poisson_average
from scaling_models.pools.times.stages import StagedWait, staged

E = sm.Exponential


def birth_death(births, deaths):
    """Stationary probabilities, by detailed balance: births[n] is the rate n -> n + 1, deaths[n] of n + 1 -> n."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(deaths))])
    return np.exp(logs - special.logsumexp(logs))


@pytest.mark.parametrize("order", [0.3, 1.0, 5.0, 100.0, 1e5])
@pytest.mark.parametrize("share", [0.0, 1e-5, 0.5, 0.97, 1.0, 1.1])
def test_kummer_is_its_series(order, share):
    """1F1(1; a + 1; z) = sum_i z^i / ((a + 1) ... (a + i)), added up in extended precision."""
    z, term, total, i = np.longdouble(order * share), np.longdouble(1.0), np.longdouble(1.0), 0
    while term > 1e-20 * total or i < z - order:
        i += 1
        term *= z / (np.longdouble(order) + i)
        total += term
    assert log_kummer(order, order * share) == pytest.approx(float(np.log(total)), rel=1e-12, abs=1e-13)


def test_kummer_neither_overflows_nor_underflows():
    assert log_kummer(1e6, 1e3) == pytest.approx(-math.log1p(-1e-3), rel=1e-5)
    assert math.isfinite(log_kummer(1e3, 1e6))


def test_a_poisson_average_is_a_sum():
    x, values, first, decay = np.array([0.0, 0.3, 5.0, 60.0]), np.array([0.9, 0.5, 0.4]), 4, 0.7
    n = np.arange(400)
    v = np.concatenate([np.full(4, 1.0), values, 0.4 * decay ** np.arange(1, 394)])
    pois = np.exp(special.xlogy(n, x[:, None]) - x[:, None] - special.gammaln(n + 1.0))
    np.testing.assert_allclose(poisson_average(x, values, first, 1.0, decay), pois @ v, rtol=1e-12)


def mmck(slots, load, places):
    n = np.arange(slots + places)
    return birth_death(np.full(len(n), load), np.minimum(n + 1.0, slots))


@given(st.integers(1, 60), st.floats(0.05, 4.0), st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_few_places_are_their_chain(slots, ratio, places):
    load = slots * ratio
    pool = FiniteQueue(load, slots, E(1.0), queue_limit=places)
    p, n = mmck(slots, load, places), np.arange(slots + places + 1)
    admitted = 1.0 - p[-1]
    assert pool.blocking_probability == pytest.approx(p[-1], rel=1e-9, abs=1e-300)
    assert pool.throughput == pytest.approx(p @ np.minimum(n, slots), rel=1e-9)
    assert pool.in_flight == pytest.approx(p @ n, rel=1e-9)
    assert pool.mean_queue_length == pytest.approx(p @ np.maximum(n - slots, 0), rel=1e-9, abs=1e-12)
    assert pool.probability_of_wait == pytest.approx(p[slots:-1].sum() / admitted, rel=1e-9, abs=1e-14)
    assert pool.latency.mean() == pytest.approx(p @ n / load / admitted, rel=1e-9)
    for t in (0.0, 0.3, 2.0):
        seen = p[slots:-1] @ special.gammaincc(np.arange(1, places + 1), slots * t) / admitted
        assert pool.wait.ccdf(t) == pytest.approx(seen, rel=1e-9, abs=1e-14)
    assert (pool.wait.ccdf(0.0), pool.accuracy("latency", 0.999).label) == (
        pytest.approx(pool.probability_of_wait, abs=1e-14),
        "exact",
    )


@given(st.integers(1, 40), st.floats(0.3, 3.0), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_the_response_is_wait_plus_service_by_two_routes(slots, ratio, places):
    pool = FiniteQueue(slots * ratio, slots, E(1.0), queue_limit=places)
    algebra = pool.wait + pool.service
    t = pool.latency.icdf([0.001, 0.1, 0.5, 0.99, 0.999999])
    np.testing.assert_allclose(pool.latency.ccdf(t), algebra.ccdf(t), rtol=1e-6)
    np.testing.assert_allclose(pool.latency.pdf(t), algebra.pdf(t), rtol=1e-6)
    assert quadrature.moments(pool.latency) == pytest.approx((pool.latency.mean(), pool.latency.variance()), rel=1e-7)
    assert pool.latency.variance() == pytest.approx(algebra.variance())


def test_many_places_are_none_at_all():
    """With a queue that never fills it is M/M/c; with one server too, M/M/1."""
    for servers, load in ((10, 8.0), (1, 0.7)):
        plenty = FiniteQueue(load, servers, E(1.0), queue_limit=2000)
        whole = sm.CentralQueue(load, servers, E(1.0))
        assert plenty.blocking_probability < 1e-80
        assert plenty.probability_of_wait == pytest.approx(whole.probability_of_wait, rel=1e-10)
        t = whole.latency.icdf([0.01, 0.5, 0.99, 1 - 1e-9])
        np.testing.assert_allclose(plenty.latency.ccdf(t), whole.latency.ccdf(t), rtol=1e-8)
        np.testing.assert_allclose(plenty.latency.icdf([0.5, 0.999]), whole.latency.icdf([0.5, 0.999]), rtol=1e-8)


def test_no_places_are_erlang_b_whatever_the_service():
    for service in (E(0.01), sm.LogNormal(0.01, 4.0), sm.Deterministic(0.01)):
        pool = FiniteQueue(900.0, 10, service, queue_limit=0)
        assert pool.blocking_probability == pytest.approx(erlang_b(10, 9.0), rel=1e-12)
        assert pool.latency == service
        assert pool.wait.mean() == pool.probability_of_wait == pool.mean_queue_length == 0.0
        assert pool.accuracy("latency").label == "exact"
    assert blocking(10, 9.0) == pytest.approx(erlang_b(10, 9.0), rel=1e-13)


def test_blocking_broadcasts_through_the_wall():
    load = np.array([0.0, 5.0, 9.999999, 10.0, 10.000001, 30.0, 1e7])
    places = np.array([[0], [1], [50], [10_000]])
    found = blocking(10, load, places)
    assert found.shape == (4, 7)
    assert (np.diff(found, axis=1) >= 0).all()
    assert (np.diff(found, axis=0) <= 0).all()
    for i, j in np.ndindex(3, 6):
        if load[j]:
            assert found[i, j] == pytest.approx(mmck(10, load[j], int(places[i, 0]))[-1], rel=1e-9)
    assert found[3, 3] == pytest.approx(1 / (1 / erlang_b(10, 10.0) + 10_000), rel=1e-12)


def test_overload_is_legal_before_a_finite_queue():
    pool = FiniteQueue(1e7, 10, queue_limit=5)
    assert pool.utilization == pytest.approx(1.0)
    assert pool.blocking_probability == pytest.approx(1 - 1e-4, rel=1e-6)
    assert pool.in_flight == pytest.approx(15.0, rel=1e-3)
    assert pool.latency.mean() == pytest.approx(0.015, rel=1e-3)
    assert "requests in the pool" in FiniteQueue(1500.0, 10).timeline(seed=1).lines


def test_what_must_wait_in_a_finite_queue_is_simulated():
    pool = FiniteQueue(800.0, 10, sm.LogNormal(0.01, 4.0), queue_limit=5)
    for name in ("latency", "wait", "blocking_probability", "throughput", "in_flight", "probability_of_wait"):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            getattr(pool, name)
        assert pool.accuracy(name).label == "simulated"
    assert pool.accuracy("offered_load").label == "exact"
    assert pool.simulate(20_000, seed=1).blocking_probability.value > 0


def test_a_staged_time_is_its_samples():
    """At 4.5 standard errors of 400,000 draws: 7e-6 of false alarms a comparison, eight of them."""
    wait, response = staged(10.0, np.array([0.2, 0.3, 0.0, 0.5]), 3)
    for each in (wait, response):
        drawn = each.sample(400_000, rng=3)
        assert drawn.mean() == pytest.approx(each.mean(), abs=4.5 * math.sqrt(each.variance() / 400_000))
        for t in (0.05, 0.3, 1.0):
            p = float(each.ccdf(t))
            assert (drawn > t).mean() == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / 400_000))
    assert wait.atoms == ((0.0, 0.2),)
    assert wait.icdf(0.19) == 0.0


def test_square_root_staffing_is_the_limit_of_erlang_c():
    for beta in (0.1, 1.0, 2.0):
        a = 1e6
        assert erlang_c(a + beta * math.sqrt(a), a) == pytest.approx(halfin_whitt_delay(beta), rel=3e-3)
    np.testing.assert_allclose(halfin_whitt_delay([0.0, 1e-12]), 1.0, rtol=1e-9)
    with pytest.raises(ValueError, match=r"beta must lie in \[0, inf\); got -1"):
        halfin_whitt_delay(-1)


@pytest.mark.parametrize(
    ("load", "slots", "theta"),
    [
        (9.0, 10, 0.5),
        (12.0, 10, 2.0),
        (60.0, 50, 1.0),
        (0.8, 1, 1e-5),
        (95.0, 100, 1e-4),
        (1500.0, 1000, 0.01),
        (1.0, 1, 1e3),
        (100.0, 100, 1e-6),
    ],
)
def test_erlang_a_is_its_chain(load, slots, theta):
    n = np.arange(200_000)
    p = birth_death(np.full(len(n), load), np.minimum(n + 1, slots) + np.maximum(n + 1 - slots, 0) * theta)
    waits, leaves = erlang_a(slots, load, theta)
    assert waits == pytest.approx(p[slots:].sum(), rel=1e-10)
    x = slots / theta
    assert leaves == pytest.approx(p[slots:] @ np.arange(len(p) - slots) * theta / load, rel=1e-11 + 1e-14 * x)


def test_erlang_a_broadcasts_and_refuses():
    found = erlang_a(np.arange(1, 5)[:, None], np.array([0.0, 1.0, 1e6]), 0.5)
    assert found.probability_of_wait.shape == found.probability_of_abandonment.shape == (4, 3)
    assert (found.probability_of_abandonment[:, 0] == 0).all()
    np.testing.assert_allclose(found.probability_of_abandonment[:, 2], 1 - np.arange(1, 5) / 1e6, rtol=1e-6)
    with pytest.raises(ValueError, match=r"impatience must lie in \(0, inf\); got 0"):
        erlang_a(10, 9.0, 0.0)
    with pytest.raises(ValueError, match=r"offered_load must lie in \[0, inf\) erlangs; got -1.0"):
        erlang_a(10, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"queue_limit must lie in \[0, inf\); got nan"):
        blocking(10, 9.0, math.nan)
    with pytest.raises(ValueError, match=r"servers must lie in \(0, inf\); got 0"):
        blocking(0, 9.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: FiniteQueue(queue_limit=-1),
            r"FiniteQueue.queue_limit must be a whole number in \[0, 10000\] requests",
        ),
        (lambda: FiniteQueue(queue_limit=2.5), "got 2.5"),
        (lambda: StagedWait(chances=(0.5, 0.4)), "StagedWait.chances must sum to 1; got 0.9"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        FiniteQueue(1500.0, 10, queue_limit=20),
        FiniteQueue(90.0, 1, queue_limit=3),
        FiniteQueue(900.0, 10, sm.LogNormal(0.01, 4.0), queue_limit=0),
    ],
    ids=repr,
)
def test_the_twin_agrees(model):
    """At 1e-6 of false alarms a verification; 3% on the mean latency is seen."""
    table = sm.verify(model, requests=1_000_000, seed=1).set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.03


class WrongQueue(FiniteQueue):
    """M/M/c/K with a latency three per cent high."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Off by three per cent."""
        return FiniteQueue.latency.compute(self) * 1.03


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(WrongQueue(700.0, 10), requests=4_000_000, seed=2).set_index("quantity")
    assert (table.loc[["latency mean", "latency p99"], "verdict"] == "disagrees").all(), table.to_string()
