"""Pools at the ends of their legal domains, where formulas have overflowed, divided zero by zero, or never ended."""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models import pools

EMPTY = (
    pools.RoundRobin(12.0, 10, sm.Deterministic(0.005)),
    pools.TimeVaryingLoad(1e-8, 74, sm.Exponential(0.1)),
    pools.ModulatedArrivals(1e-6, 79, sm.Exponential(0.01), 2, peak=3.5),
    pools.ModulatedArrivals(1e-300, 2, sm.Exponential(0.01)),
    pools.CentralQueue(800.0, 71, sm.Deterministic(0.01), 10_000),
    pools.CentralQueue(22.0, 10_000, sm.Deterministic(0.002)),
    pools.CentralQueue(800.0, 10**6, sm.Erlang(0.01, 60), 10),
    pools.BalancedPool(800.0, balancers=100, servers=71, service=sm.Deterministic(0.01), workers=10_000),
    pools.BalancedPool(22.0, balancers=10_000, work=sm.Deterministic(0.002)),
)


@pytest.mark.parametrize("pool", EMPTY, ids=repr)
def test_next_to_no_load_is_the_service_alone(pool):
    alone = pool.service.mean() + (pool.work.mean() if isinstance(pool, pools.BalancedPool) else 0.0)
    assert pool.latency.mean() == pytest.approx(alone, rel=1e-6)
    assert pool.in_flight == pytest.approx(pool.arrival_rate * alone, rel=1e-6)


def test_a_burst_of_next_to_no_load_still_costs_what_it_is_made_of():
    """Before one server E[W] = sum_i share_i rate_i^2 E[S]^2 / lambda to first order, where a
    burst outlasts the service."""
    pool = pools.ModulatedArrivals(1e-7, 1, sm.Exponential(1e-4), peak=3.5, share=0.2, burst=1e3)
    calm, burst = pool.rates
    seen = 0.2 * burst * burst + 0.8 * calm * calm
    assert pool.wait.mean() == pytest.approx(seen / pool.arrival_rate * 1e-8, rel=1e-5)


@pytest.mark.parametrize("scv", [0.3, 1.0, 4.0, math.inf])
def test_best_weights_of_speeds_a_billion_times_apart(scv):
    """All to the fastest while it hardly notices; else the same slope at all that get any, as for two alike."""
    np.testing.assert_array_equal(pools.best_weights([1e18, 1.0], 1.0, scv), [1.0, 0.0])
    np.testing.assert_allclose(pools.best_weights([1e9, 1e9, 1e-9], 1e9, scv), [0.5, 0.5, 0.0], atol=1e-9)
    assert pools.best_weights([3.0, 1.0, 1e-9], 2.9, scv)[2] == 0.0


def test_best_weights_near_scv_1_go_over_into_its_closed_form():
    near = pools.best_weights([3.0, 1.0, 0.2], 2.5, 1.0 + 1e-9)
    np.testing.assert_allclose(near, pools.best_weights([3.0, 1.0, 0.2], 2.5), rtol=1e-7)


def test_the_lag_of_no_wave_is_none_for_any_service():
    still = pools.TimeVaryingLoad(140.0, 31, sm.Uniform(0.03, 0.17), amplitude=0.0)
    assert still.lag == 0.0
    assert still.accuracy("lag").label == "exact"


@pytest.mark.parametrize("burst", [1e4, 1e6, 1e9, 1e11])
def test_bursts_that_overload_the_servers_for_long_are_a_fluid(burst):
    """Net rates +200 and -300 requests/s: in a burst the backlog is exponential, of mean 1/(beta/200 - alpha/300)."""
    pool = pools.ModulatedArrivals(800.0, 10, sm.Exponential(0.01), peak=1.5, share=0.2, burst=burst)
    alpha, beta = pool.leaving
    backlog = 1.0 / (beta / 200.0 - alpha / 300.0)
    assert pool.wait_in_burst.mean() == pytest.approx(backlog / 1000.0, rel=0.1 / burst + 1e-9)


def test_arrivals_far_apart_beside_the_service_are_looked_at_coarsely():
    for servers in (74, 10**6):
        pool = pools.RoundRobin(7e-4, servers, sm.Pareto(0.001, 5.0))
        assert pool.probability_of_wait == 0.0
        assert pool.latency.mean() == pytest.approx(0.001)


def test_a_stall_of_a_pool_that_nobody_asks_leaves_nobody():
    told = sm.CentralQueue(0.001).timeline()
    assert "nan" not in told.says
    assert told.times[-1] < 10.0


@pytest.mark.parametrize("kind", [sm.CentralQueue, pools.FailingServers, pools.ContendedPool, pools.Priorities])
def test_gaps_of_no_time_are_refused(kind):
    with pytest.raises(ValueError, match="gaps must have a finite mean above 0 s"):
        kind().simulate(1000, gaps=sm.Deterministic(0.0))


def test_no_chance_is_below_none():
    """With 33 workers a server and 60 servers the chance of a wait is some 1e-80, and the chain's rounding 1e-20."""
    assert 0.0 <= sm.pools.FailingServers(1000.0, 60, workers=33).probability_of_wait < 1e-15


@pytest.mark.parametrize("slots", [1, 10])
def test_a_million_stages_are_nearly_a_constant(slots):
    """As a chain of phases they would fill 7 TiB. The label's 3%, and what a constant differs by."""
    many, constant = (
        sm.CentralQueue(72.0 * slots, slots, each) for each in (sm.Erlang(0.01, 10**6), sm.Deterministic(0.01))
    )
    assert many.latency.mean() == pytest.approx(constant.latency.mean(), rel=0.03)
    assert sm.Erlang(0.01, 10**6).phases is None
