"""Many servers of different speed and load, whose tails are told from those at a few loads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.pools import WeightedSplit
from scaling_models.pools.formulas.loads import MOST_LOAD, Unequal, queued_at_any
from scaling_models.pools.formulas.solution import single_server
from scaling_models.pools.times.unequal import AtSpeeds

SERVICES = (sm.LogNormal(2.0, 4.0), sm.Pareto(2.0, 2.5), sm.Deterministic(2.0), sm.Erlang(2.0, 4), sm.Uniform(0.0, 4.0))
LEVELS = np.array([0.9, 0.5, 0.1, 1e-2, 1e-4, 1e-6])


def one_by_one(service, servers, served, t):
    """The same mixture, every server solved at its own load."""
    total = 0.0
    for share, load, speed in zip(*servers, strict=True):
        found = single_server(sm.Exponential(service.mean() / load), service)
        total += share * np.exp((found.latency if served else found.wait)(t * speed))
    return total


@pytest.mark.parametrize("service", SERVICES, ids=repr)
@pytest.mark.parametrize("served", [False, True], ids=["wait", "latency"])
@pytest.mark.parametrize("busiest", [0.5, 0.95])
def test_loads_between_those_solved_agree_with_their_own_solution(service, served, busiest):
    """Within the error that it tells, which is a tenth of what a label of 3% would see, at the most."""
    rng = np.random.default_rng(7)
    servers = Unequal((0.1, 0.2, 0.3, 0.4), tuple(rng.uniform(0.02, busiest, 4)), tuple(np.exp(rng.normal(0, 0.7, 4))))
    found = queued_at_any(service, servers, served)
    assert 0.0 < found.error < 1e-3
    t = found.inverse(np.log(LEVELS))
    for moved, misses in ((1.0, False), (1.03, True)):
        below = one_by_one(service, servers, served, t * moved * (1.0 + found.error))
        above = one_by_one(service, servers, served, t * moved * (1.0 - found.error))
        inside = (below <= LEVELS * (1.0 + 1e-9)) & (above * (1.0 + 1e-9) >= LEVELS)
        assert (~inside[1:]).all() if misses else inside.all()


def split(service, count, rho=0.7, **changes):
    speeds = tuple(np.round(np.linspace(0.5, 2.0, count), 6).tolist())
    return WeightedSplit(rho * sum(speeds) / service.mean(), service, speeds=speeds, **changes)


@pytest.mark.parametrize("service", SERVICES, ids=repr)
def test_a_pool_of_many_speeds_is_the_mixture_of_its_servers(service):
    """Thirty-one servers of different speed, told together, beside the same thirty and one, told one by one."""
    many = split(service, 32, weights=tuple(np.linspace(0.5, 2.0, 32).tolist()))
    ((_, together),) = many._stations
    alone = [
        (share, WeightedSplit(many.arrival_rate * share, service, speeds=(speed,)))
        for share, speed in zip(many.shares, many.speeds, strict=True)
    ]
    assert many.accuracy("latency", 0.999).label == "exact"
    for name in ("wait", "latency"):
        t = getattr(many, name).iccdf(np.array([0.5, 0.1, 1e-3]))
        expected = sum(share * getattr(pool, name).ccdf(t) for share, pool in alone)
        np.testing.assert_allclose(getattr(many, name).ccdf(t), expected, rtol=40 * together.error)
        expected = sum(share * getattr(pool, name).pdf(t) for share, pool in alone)
        np.testing.assert_allclose(getattr(many, name).pdf(t), expected, rtol=0.02, atol=1e-12)
        mean = sum(share * getattr(pool, name).mean() for share, pool in alone)
        assert getattr(many, name).mean() == pytest.approx(mean, rel=1e-9)
    waits = sum(share * pool.probability_of_wait for share, pool in alone)
    assert many.probability_of_wait == pytest.approx(waits, rel=1e-12)


def test_few_speeds_busy_servers_and_simple_services_are_told_one_by_one():
    assert len(split(sm.Erlang(1.0, 4), 30)._stations) == 30
    assert len(split(sm.Erlang(1.0, 4), 31)._stations) == 1
    assert len(split(sm.Hyperexponential(1.0, 4.0), 31)._stations) == 31
    full = split(sm.Deterministic(1.0), 31, rho=(1.0 + MOST_LOAD) / 2, weights=split(sm.Deterministic(1.0), 31).speeds)
    assert len(full._stations) == 31
    assert full.latency.icdf(0.5) > 1000.0
    assert split(sm.Deterministic(1.0), 31, rho=1.1).latency == sm.Never()


def test_many_speeds_agree_with_their_twin():
    """False-alarm rate 1e-6 for the table; a mean 3% wrong would be seen."""
    table = sm.verify(split(sm.Erlang(0.010, 3), 40), requests=1_000_000, seed=3)
    assert (table.verdict != "disagrees").all(), table.to_string()


@settings(deadline=None, max_examples=25)
@given(
    service=st.sampled_from(SERVICES),
    speeds=st.lists(st.floats(0.05, 20.0), min_size=1, max_size=6).map(tuple),
    data=st.data(),
)
def test_a_time_at_any_speed_is_the_mixture_of_scaled_times(service, speeds, data):
    weights = data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(speeds), max_size=len(speeds)))
    found = AtSpeeds(service, speeds, tuple(weights))
    parts = sm.mixture([w / sum(weights) for w in weights], [service * (1.0 / speed) for speed in speeds])
    levels = np.array([0.003, 0.2, 0.5, 0.9, 0.9999])
    t = np.append(parts.icdf(levels), 1.1 * np.array(found.kinks[:3]))
    np.testing.assert_allclose(found.ccdf(t), parts.ccdf(t), rtol=1e-9)
    np.testing.assert_allclose(found.cdf(t), parts.cdf(t), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.pdf(t), parts.pdf(t), rtol=1e-9)
    np.testing.assert_allclose(found.icdf(levels), parts.icdf(levels), rtol=1e-9)
    assert found.mean() == pytest.approx(parts.mean(), rel=1e-9)
    assert found.variance() == pytest.approx(parts.variance(), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(found.support, parts.support, rtol=1e-12)
    assert found.tail_index == parts.tail_index
    drawn = found.sample(4000, rng=1)
    assert abs(np.mean(drawn <= found.icdf(0.5)) - found.cdf(found.icdf(0.5))) < 5.5 * np.sqrt(0.25 / 4000)
