"""Impatient clients: Erlang A against the tagged request alone, laws of conservation, limits, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, special

import scaling_models as sm
from scaling_models.latency import quadrature
from scaling_models.pools import Abandonment, erlang_b

E = sm.Exponential


def waiting_alone(load, slots, theta, times, states=120):
    """M/M/c+M by the tagged request: (P(wait > t), P(served, wait > t), P(gives up, wait > t)), mean service 1.

    With k others ahead it moves up at rate c + k theta (k = 0: is served) and leaves at theta.
    """
    n = np.arange(slots + states)
    logs = np.cumsum(np.log(load / (np.minimum(n + 1, slots) + np.maximum(n + 1 - slots, 0) * theta)))
    logs = np.concatenate([[0.0], logs])
    p = np.exp(logs - special.logsumexp(logs))
    k = np.arange(states)
    up = slots + k * theta
    generator = np.diag(-(up + theta)) + np.diag(up[1:], -1)
    served = np.cumprod(up / (up + theta))  # from k ahead
    late = [p[slots:-1] @ linalg.expm(generator * t) for t in times]
    return np.array([(each.sum(), each @ served, each @ (1 - served)) for each in late]).T


@pytest.mark.parametrize(("load", "slots", "theta"), [(9.0, 10, 0.5), (15.0, 10, 0.2), (0.7, 1, 3.0), (3.0, 1, 1.0)])
def test_impatient_waits_are_those_of_the_tagged_request(load, slots, theta):
    pool = Abandonment(load, slots, E(1.0), patience=E(1 / theta))
    times = np.array([0.0, 0.05, 0.3, 1.5])
    everyone, served, gone = waiting_alone(load, slots, theta, times)
    leaves = pool.probability_of_abandonment
    assert gone[0] == pytest.approx(leaves, rel=1e-9)
    np.testing.assert_allclose(pool.wait.ccdf(times), everyone, rtol=1e-8)
    np.testing.assert_allclose(pool.wait_of_served.ccdf(times), served / (1 - leaves), rtol=1e-8)
    np.testing.assert_allclose(pool.wait_of_abandoned.ccdf(times), gone / leaves, rtol=1e-8)


IMPATIENT = st.builds(
    lambda slots, ratio, patience: Abandonment(slots * ratio, slots, E(1.0), patience=E(patience)),
    st.integers(1, 200),
    st.floats(0.3, 3.0),
    st.floats(0.05, 50.0),
)


@given(IMPATIENT)
@settings(max_examples=25, deadline=None)
def test_densities_and_conservation(pool):
    """Each density adds up to one, waits of both kinds to all, and what is served and lost to what came."""
    leaves = pool.probability_of_abandonment
    assert pool.mean_queue_length == pytest.approx(pool.arrival_rate * leaves * pool.patience.mean(), rel=1e-9)
    assert pool.throughput + pool.arrival_rate * leaves == pytest.approx(pool.arrival_rate)
    assert pool.in_flight == pytest.approx(pool.mean_queue_length + pool.throughput, rel=1e-9)
    assert pool.utilization <= 1.0
    parts = [(pool.wait_of_served, 1 - leaves)]
    if leaves > 1e-6:
        parts.append((pool.wait_of_abandoned, leaves))
        means = sum(part.mean() * share for part, share in parts)
        assert means == pytest.approx(pool.wait.mean(), rel=1e-6)
    for part, _ in parts:
        t, weights = quadrature.panels(part.cuts)
        whole = part.pdf(t) @ weights + sum(mass for _, mass in part.atoms)
        assert whole == pytest.approx(1.0, abs=1e-6)
    assert pool.latency.mean() == pytest.approx(pool.wait_of_served.mean() + 1.0)


def test_patience_without_end_is_the_central_queue_and_none_is_erlang_b():
    patient, whole = Abandonment(8.0, 10, E(1.0), patience=E(1e7)), sm.CentralQueue(8.0, 10, E(1.0))
    assert patient.probability_of_abandonment == pytest.approx(whole.wait.mean() / 1e7, rel=1e-5)
    np.testing.assert_allclose(patient.latency.percentiles(), whole.latency.percentiles(), rtol=1e-6)
    hasty = Abandonment(8.0, 10, E(1.0), patience=E(1e-7))
    assert hasty.probability_of_abandonment == pytest.approx(erlang_b(10, 8.0), rel=1e-5)


def test_far_beyond_capacity_it_still_answers():
    pool = Abandonment(1e7, 10, patience=E(1.0))
    assert pool.probability_of_abandonment == pytest.approx(1 - 1e-4, rel=1e-6)
    assert pool.utilization == pytest.approx(1.0)
    assert pool.wait.mean() == pytest.approx(1.0, rel=1e-3)
    assert pool.wait_of_served.icdf(0.5) == pytest.approx(np.log(1e4), rel=0.05)  # who is served outstays the others
    assert "requests in the pool" in Abandonment(1500.0, 10).timeline(seed=1).lines


def test_what_gives_up_otherwise_is_simulated():
    timeout = Abandonment(900.0, 10, patience=0.05)
    for pool in (timeout, Abandonment(900.0, 10, sm.Deterministic(0.01))):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            _ = pool.latency
        assert pool.accuracy("probability_of_abandonment").label == "simulated"
        assert pool.accuracy("offered_load").label == "exact"
    found = timeout.simulate(20_000, seed=1)
    assert found.wait.icdf(1.0) <= 0.05 * 1.001
    assert found.wait_of_abandoned.icdf(0.5) == pytest.approx(0.05, rel=2e-3)
    with pytest.raises(sm.NoClosedForm, match="hardly anybody"):
        _ = Abandonment(1.0, 100).wait_of_abandoned


@pytest.mark.slow
@pytest.mark.parametrize("rate", [900.0, 1500.0])
def test_the_twin_agrees(rate):
    """At 1e-6 of false alarms a verification; 6% on the mean latency is seen."""
    table = sm.verify(Abandonment(rate, 10), requests=1_000_000, seed=1).set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.06


def test_mistakes_are_told_in_a_sentence():
    with pytest.raises(ValueError, match=r"Abandonment\.patience"):
        Abandonment(patience="long")
