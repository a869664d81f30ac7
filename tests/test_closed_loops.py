"""Closed loops in closed form: the chain, Little's law, the open stream in the limit, insensitivity, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import scaling_models as sm
from scaling_models.montecarlo.kernels.loops import residual
from scaling_models.pools import ClosedLoop, machine_repairman
from scaling_models.pools.formulas.loops import closed_throughput

E = sm.Exponential


@given(st.integers(1, 120), st.integers(1, 30), st.sampled_from([0.0, 0.1, 1.0, 7.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_a_closed_loop_is_its_chain_and_obeys_little(clients, servers, think):
    loop = ClosedLoop(clients, think * 0.01, servers, E(0.01))
    p = machine_repairman(clients, servers, think)
    n = np.arange(clients + 1)
    if think > 0:
        logs = np.concatenate([[0.0], np.cumsum(np.log((clients - n[:-1]) / think / np.minimum(n[1:], servers)))])
        np.testing.assert_allclose(p, np.exp(logs - special.logsumexp(logs)), rtol=1e-9, atol=1e-290)
    assert loop.throughput == pytest.approx(closed_throughput(clients, servers, think * 0.01, 0.01), rel=1e-12)
    assert loop.latency.mean() == pytest.approx(clients / loop.throughput - loop.think.mean(), rel=1e-9)
    assert loop.in_flight == pytest.approx(p @ n, rel=1e-9)
    assert loop.throughput <= loop.throughput_bound * (1 + 1e-12)
    assert loop.latency.mean() >= loop.response_bound * (1 - 1e-12)
    assert loop.wait.mean() + 0.01 == pytest.approx(loop.latency.mean(), rel=1e-9)


def test_formulas_broadcast_over_loops_of_any_size():
    p = machine_repairman(np.array([0, 1, 3]), 2, np.array([[1.0], [4.0]]))
    assert p.shape == (2, 3, 4)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0)
    np.testing.assert_allclose(p[:, 0], [[1, 0, 0, 0]] * 2)
    np.testing.assert_allclose(p[:, 1, :2], [[0.5, 0.5], [0.8, 0.2]])
    found = closed_throughput([1, 50, 10_000], 10, 0.2, 0.01)
    assert found[0] == pytest.approx(1 / 0.21)
    assert found[2] == pytest.approx(1000.0)


def test_many_thoughtful_clients_are_an_open_stream():
    """N clients who think for N / lambda are a Poisson stream in the limit; the difference is of order 1 / N."""
    whole = sm.CentralQueue(800.0, 10).latency.icdf(0.99)
    gaps = [ClosedLoop(n, n / 800.0 - 0.012, 10).latency.icdf(0.99) / whole - 1 for n in (1000, 10_000)]
    assert abs(gaps[1]) < 2e-3
    assert abs(gaps[1]) < 0.2 * abs(gaps[0])


def test_a_load_test_flatters():
    loop = ClosedLoop(200)
    assert loop.open_latency.icdf(0.99) > 1.3 * loop.latency.icdf(0.99)
    opened = sm.CentralQueue(loop.throughput, 10).latency
    np.testing.assert_allclose(loop.open_latency.percentiles(), opened.percentiles(), rtol=1e-9)
    assert ClosedLoop(5000).open_latency == sm.Never()
    lines = ClosedLoop().timeline(seed=2).lines
    assert lines["closed loop"].max() <= 170
    assert lines["open stream"].max() > 400


def test_a_slot_for_each_client_is_exact_for_any_service():
    loop = ClosedLoop(8, 0.2, 10, sm.LogNormal(0.01, 4.0))
    assert loop.latency == loop.service
    assert loop.throughput == pytest.approx(8 / 0.21)
    assert loop.accuracy("latency").label == "exact"
    busy = loop.replace(clients=50)
    for name in ("throughput", "latency", "wait", "open_latency"):
        with pytest.raises(sm.NoClosedForm, match="simulate"):
            getattr(busy, name)
    assert (busy.accuracy("throughput").label, busy.accuracy("throughput_bound").label) == ("simulated", "bound")


@pytest.mark.parametrize(
    "think", [sm.LogNormal(0.2, 4.0), E(0.2), sm.Uniform(0.1, 0.3)], ids=lambda d: type(d).__name__
)
def test_what_is_left_of_thinking_has_the_mean_of_renewal_theory(think):
    """E[Z^2] / 2 E[Z]; a hundred thousand draws tell it to 2%."""
    left = residual(think, (1000, 100), np.random.default_rng(1))
    assert left.mean() == pytest.approx(think.mean() * (1 + think.scv) / 2, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [ClosedLoop(300), ClosedLoop(170, sm.LogNormal(0.2, 4.0)), ClosedLoop(170, 0.2), ClosedLoop(30, 0.0)],
    ids=["beyond saturation", "lognormal thinking", "constant thinking", "no thinking"],
)
def test_the_twin_agrees_whatever_the_distribution_of_thinking(model):
    """At 1e-6 of false alarms a verification; 3% on the mean latency is seen."""
    table = sm.verify(model, requests=2_000_000, seed=5).set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.03


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ClosedLoop(0), r"ClosedLoop.clients must be a whole number in \[1, 10000\] clients; got 0"),
        (lambda: ClosedLoop(think=sm.Never()), "ClosedLoop.think must have a finite mean"),
        (lambda: ClosedLoop(service=0.0), "ClosedLoop.service must have a mean above 0 s"),
        (lambda: machine_repairman(-1, 2, 1.0), r"clients must lie in \[0, inf\) clients; got -1.0"),
        (lambda: machine_repairman(3, 0, 1.0), r"servers must lie in \[1, inf\) servers; got 0.0"),
        (lambda: closed_throughput(3, 1, 1.0, 0.0), r"service must lie in \(0, inf\) s; got 0.0"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
