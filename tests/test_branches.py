"""One server whose services are a mixture of exponentials, by roots: lattices, moments, limits, the twin.

False-alarm rate of the simulated comparison: 1e-6 over this file.
"""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.formulas.branches import branched_times
from scaling_models.pools.times.single_server import QueuedLatency, QueuedWait

LEVELS = np.array([0.05, 0.5, 0.9, 0.99, 0.999, 0.99999])


@pytest.mark.parametrize(("stages", "load", "scv"), [(1, 0.9, 4.0), (1, 0.3, 20.0), (3, 0.7, 4.0), (84, 0.9, 10.0)])
def test_the_lattice_tells_the_same(stages, load, scv):
    """The lattice knows no roots; 128 nodes a mean service and straight between them, it is off by up to 2e-5."""
    service = sm.Hyperexponential(1.0, scv)
    station = Station(load, stages, service, 1)
    wait, latency = QueuedWait(station.gap, service), QueuedLatency(station.gap, service)
    assert station.probability_of_wait == pytest.approx(wait.chance, rel=1e-6)
    lattice = sm.mixture((1.0 - wait.chance, wait.chance), (service, latency))
    t = wait.icdf(LEVELS)
    np.testing.assert_allclose(station.wait.ccdf(t), wait.chance * wait.ccdf(t), rtol=3e-5)
    np.testing.assert_allclose(station.latency.ccdf(t), lattice.ccdf(t), rtol=3e-5)
    assert station.error == 0.0
    assert station.solved


@pytest.mark.parametrize("load", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("scv", [1.5, 4.0, 50.0])
def test_poisson_arrivals(load, scv):
    """Pollaczek and Khinchine, both moments of the wait; it waits who finds the server busy."""
    service = sm.Hyperexponential(1.0, scv)
    station = Station(load, 1, service, 1)
    second, third = 2.0 * sum(p / m**2 for p, m in service.branches), 6.0 * sum(p / m**3 for p, m in service.branches)
    mean = load * second / (2.0 * (1.0 - load))
    assert station.probability_of_wait == pytest.approx(load, rel=1e-10)
    assert station.wait.mean() == pytest.approx(mean, rel=1e-9)
    assert station.wait.variance() == pytest.approx(mean**2 + load * third / (3.0 * (1.0 - load)), rel=1e-9)
    assert station.latency.mean() == pytest.approx(mean + 1.0, rel=1e-9)
    assert station.latency.variance() == pytest.approx(station.wait.variance() + service.variance(), rel=1e-9)


@pytest.mark.parametrize("stages", [2, 84, 1000, 10**6])
@pytest.mark.parametrize("load", [0.01, 0.4, 0.97])
def test_the_wait_and_the_service_make_the_latency(stages, load):
    """Means and variances add, however seldom anybody waits."""
    service = sm.Hyperexponential(1.0, 6.0)
    rates, waits, latencies = branched_times(1.0 / load, stages, service.branches)
    assert (waits >= 0.0).all()
    assert (latencies >= 0.0).all()
    mean = float((waits / rates).sum())
    variance = float((2.0 * waits / rates**2).sum()) - mean**2
    both = float((latencies / rates).sum())
    assert both == pytest.approx(mean + 1.0, rel=1e-10)
    assert float((2.0 * latencies / rates**2).sum()) - both**2 == pytest.approx(variance + 6.0, rel=1e-9)


def test_branches_alike_are_one():
    """M/M/1, told as two branches of the same rate."""
    rates, waits, latencies = branched_times(2.0, 1, ((0.3, 1.0), (0.7, 1.0)))
    np.testing.assert_allclose(rates, [0.5], rtol=1e-14)
    np.testing.assert_allclose(waits, [0.5], rtol=1e-13)
    np.testing.assert_allclose(latencies, [1.0], rtol=1e-14)


def test_three_branches_between_their_poles():
    """Each root lies below its pole and above the one before, and solves the equation."""
    branches = ((0.6, 3.0), (0.3, 1.0), (0.1, 0.2))
    gap = 1.5 * sum(p / m for p, m in branches)
    rates, _, _ = branched_times(gap, 5, branches)
    poles = np.array([0.2, 1.0, 3.0])
    assert (rates < poles).all()
    assert (rates[1:] > poles[:-1]).all()
    for root in rates:
        back = sum(p * m / (m - root) for p, m in branches)
        assert (1.0 + root * gap / 5) ** -5 * back == pytest.approx(1.0, rel=1e-11)


def test_light_loads_of_many_servers_are_known():
    """No lattice resolved them: gaps of 84 stages beside which services are short, on a first server that is slow."""
    pool = sm.RoundRobin(100.0, 84, sm.Hyperexponential(0.01, 4.0), first_speed=0.1)
    assert pool.accuracy("latency", 0.999).label == "exact"
    assert math.isfinite(pool.latency.icdf(0.999))


@pytest.mark.slow
def test_the_twin_agrees():
    pool = sm.RoundRobin(70.0, 12, sm.Hyperexponential(0.1, 6.0), first_speed=0.9)
    table = sm.verify(pool, requests=8_000_000, seed=3, levels=(0.5, 0.95, 0.99, 0.999), false_alarm=1e-6)
    assert (table.verdict != "disagrees").all(), table.to_string()
    seen = table.set_index("quantity").smallest_error
    assert (seen[["latency mean", "latency p50"]] < 0.03).all(), table.to_string()
