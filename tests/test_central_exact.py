"""One queue before several slots, where it is exact: constant service, and service in phases, by other routes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

import scaling_models as sm
from scaling_models.latency.phase_type import PhaseType, Uniformised
from scaling_models.latency.quadrature import moments
from scaling_models.pools import CentralQueue
from scaling_models.pools.formulas.deterministic_queue import deterministic_waiting
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.phase_queue import phase_queue, phases_together

AT = np.array([0.0, 0.01, 0.3, 1.0, 4.0, 20.0])


def waiting_by_iteration(slots, offered_load, most=3000, times=4000):
    """How many wait one service later, over and over: (Q + Poisson(a) - c)^+."""
    arrivals = stats.poisson.pmf(np.arange(most), offered_load)
    law = np.eye(most)[0]
    for _ in range(times):
        after = np.convolve(law, arrivals)[: most + slots]
        new = np.append(after[: slots + 1].sum(), after[slots + 1 :])[:most]
        if np.abs(new - law[: len(new)]).max() < 1e-17:
            break
        law = np.pad(new, (0, most - len(new)))
    return law


@pytest.mark.parametrize(("slots", "load"), [(1, 0.6), (2, 0.8), (7, 0.3), (12, 0.9)])
def test_the_waiting_of_m_d_c_by_iteration(slots, load):
    law = waiting_by_iteration(slots, load * slots, most=400)
    found = deterministic_waiting(slots, load * slots)
    count = min(60, len(found.ccdf))
    np.testing.assert_allclose(found.ccdf[:count], law[::-1].cumsum()[::-1][:count], rtol=1e-8, atol=1e-14)
    number = np.arange(len(law))
    assert found.mean == pytest.approx(law @ number, rel=1e-9)
    assert found.variance == pytest.approx(law @ number**2 - found.mean**2, rel=1e-8)


def m_d_1_wait_cdf(t, load):
    """Erlang 1909: (1 - rho) sum_k (-rho (t - k))^k / k! e^{rho (t - k)}."""
    k = np.arange(0, math.floor(t) + 1)
    return (1 - load) * math.fsum(
        (-load * (t - k)) ** k / np.array([math.factorial(n) for n in k]) * np.exp(load * (t - k))
    )


@pytest.mark.parametrize("t", [0.0, 0.5, 1.0, 2.9, 7.5])
def test_one_slot_is_m_d_1(t):
    wait = CentralQueue(0.7, 1, sm.Deterministic(1.0)).wait
    assert wait.cdf(t) == pytest.approx(m_d_1_wait_cdf(t, 0.7), rel=1e-11)


@given(st.integers(1, 300), st.floats(0.2, 0.97), st.floats(1e-3, 10.0))
@settings(max_examples=20, deadline=None)
def test_the_wait_of_m_d_c_is_one_distribution_by_all_faces(slots, load, service):
    pool = CentralQueue(load * slots / service, slots, sm.Deterministic(service))
    wait = pool.wait
    if pool.probability_of_wait < 1e-6:
        return
    assert wait.mean() == pytest.approx(moments(wait)[0], rel=1e-7)
    assert wait.variance() == pytest.approx(moments(wait)[1], rel=1e-6)
    q = 1.0 - pool.probability_of_wait * np.array([0.9, 0.1, 1e-4])
    t = wait.icdf(q)
    np.testing.assert_allclose(wait.cdf(t), q, rtol=1e-9)
    np.testing.assert_allclose(pool.latency.icdf(q), t + service, rtol=1e-9)
    step = 1e-5 * service / slots
    slope = (wait.ccdf(t - step) - wait.ccdf(t + step)) / (2 * step)
    np.testing.assert_allclose(wait.pdf(t), slope, rtol=1e-4)


def test_m_d_c_goes_to_a_thousand_slots_and_to_the_far_tail():
    wait = CentralQueue(990.0, 1000, sm.Deterministic(1.0)).wait
    found = deterministic_waiting(1000, 990.0)
    assert wait.mean() == pytest.approx(moments(wait)[0], rel=1e-8)
    far = wait.ccdf(np.array([6.0, 7.0]))
    assert far[1] / far[0] == pytest.approx(math.exp(-990.0 * (found.decay - 1.0)), rel=1e-6)
    assert deterministic_waiting(1000, 300.0).mean < 1e-100


def chain(slots, service, rate, most):
    """The states (number, slots in the first phase) of M/PH/c with two phases, and its generator, written out."""
    states = [(n, i) for n in range(most + 1) for i in range(min(n, slots) + 1)]
    index = {state: k for k, state in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    ends, start = service.ends, service.start
    for (n, i), k in index.items():
        busy = min(n, slots)
        moves = []
        if n < most:
            moves += (
                [((n + 1, i + 1), rate * start[0]), ((n + 1, i), rate * start[1])]
                if n < slots
                else [((n + 1, i), rate)]
            )
        for phase, count in ((0, i), (1, busy - i)):
            left = i - (phase == 0)
            out = count * ends[phase]
            if n > slots:
                moves += [((n - 1, left + 1), out * start[0]), ((n - 1, left), out * start[1])]
            elif n:
                moves.append(((n - 1, left), out))
        moves.append(((n, i - 1), i * service.generator[0, 1]))
        moves.append(((n, i + 1), (busy - i) * service.generator[1, 0]))
        for state, each in moves:
            if each > 0:
                generator[k, index[state]] += each
                generator[k, k] -= each
    return states, index, generator


def tagged_wait(states, index, generator, law, slots, rate, t):
    """P(W > t): the customer sees the law, and waits while as many as it found, or more, are not yet one fewer than c.

    No arrivals after it count, so that the chain is the same without them.
    """
    quiet = generator.copy()
    for (n, i), k in index.items():
        for up in ((n + 1, i), (n + 1, i + 1)):
            if up in index and quiet[k, index[up]] > 0:
                quiet[k, k] += quiet[k, index[up]]
                quiet[k, index[up]] = 0.0
    waits = np.array([n >= slots for n, _ in states])
    late = linalg.expm(quiet[np.ix_(waits, waits)] * t).sum(axis=1)
    return float(law[waits] @ late)


@pytest.mark.parametrize(
    "service", [sm.Hyperexponential(1.0, 4.0), sm.Hyperexponential(1.0, 10.0), sm.Erlang(1.0, 2)], ids=repr
)
def test_m_ph_c_by_the_chain_written_out(service):
    slots, rate, most = 3, 1.1, 110
    phases = service.phases
    states, index, generator = chain(slots, phases, rate, most)
    system = generator.T.copy()
    system[0] = 1.0
    law = np.linalg.solve(system, np.eye(len(states))[0])
    found = phase_queue(rate, slots, phases)
    waits = np.array([n >= slots for n, _ in states])
    assert found.probability_of_wait == pytest.approx(law[waits].sum(), rel=1e-8)
    queue = np.array([max(0, n - slots) for n, _ in states])
    assert found.wait.moment(1) * found.probability_of_wait == pytest.approx(law @ queue / rate, rel=1e-7)
    wait = CentralQueue(rate, slots, service).wait
    for t in AT:
        assert wait.ccdf(t) == pytest.approx(tagged_wait(states, index, generator, law, slots, rate, t), rel=1e-5)


@pytest.mark.parametrize("load", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("slots", [1, 2, 10, 100])
def test_m_ph_c_of_one_phase_is_m_m_c(slots, load):
    service = sm.Exponential(1.0)
    pool = CentralQueue(load * slots, slots, service)
    found = phase_queue(load * slots, slots, service.phases)
    assert found.probability_of_wait == pytest.approx(erlang_c(slots, load * slots), rel=1e-9)
    t = pool.latency.icdf([0.1, 0.9, 0.9999, 1 - 1e-9])
    np.testing.assert_allclose(Uniformised(found.response(service.phases))(t), pool.latency.ccdf(t), rtol=1e-9)


@given(st.integers(1, 40), st.floats(0.1, 0.97), st.floats(1.0, 15.0), st.floats(1e-3, 10.0))
@settings(max_examples=15, deadline=None)
def test_response_is_wait_plus_service_by_two_routes(slots, load, scv, mean):
    service = sm.Hyperexponential(mean, scv)
    pool = CentralQueue(load * slots / mean, slots, service)
    t = pool.latency.icdf([0.01, 0.5, 0.99, 0.99999])
    np.testing.assert_allclose(pool.latency.ccdf(t), (pool.wait + service).ccdf(t), rtol=1e-6)
    assert pool.latency.mean() == pytest.approx(pool.wait.mean() + mean, rel=1e-10)
    assert pool.latency.variance() == pytest.approx(pool.wait.variance() + service.variance(), rel=1e-8)
    if slots == 1:
        assert pool.wait.mean() == pytest.approx(load * mean * (1 + scv) / 2 / (1 - load), rel=1e-9)


@pytest.mark.parametrize(
    ("service", "count"),
    [
        (sm.Erlang(1.0, 3), 3),
        (sm.mixture((0.3, 0.7), (sm.Exponential(1.0), sm.Erlang(0.5, 2) * 3)), 3),
        (sm.Hyperexponential(1.0, 4.0) * 0.5, 2),
    ],
)
def test_phases_are_the_distribution_that_declares_them(service, count):
    assert len(service.phases.start) == count
    t = service.icdf([0.01, 0.5, 0.999])
    np.testing.assert_allclose(Uniformised(service.phases)(t), service.ccdf(t), rtol=1e-10)
    assert service.phases.moment(1) == pytest.approx(service.mean())
    assert service.phases.moment(2) - service.mean() ** 2 == pytest.approx(service.variance())


def test_what_has_no_phases_says_so():
    for service in (sm.LogNormal(1.0, 2.0), sm.Deterministic(1.0), sm.mixture((0.5, 0.5), (1.0, sm.Exponential(1.0)))):
        assert service.phases is None
    assert phases_together(10, 3) == 66
    assert issubclass(type(CentralQueue(5.0, 10, sm.Erlang(1.0, 2)).latency), PhaseType)


@pytest.mark.parametrize(
    "service", [sm.Deterministic(0.01), sm.Hyperexponential(0.01, 4.0), sm.Erlang(0.01, 2)], ids=repr
)
def test_samples_are_of_the_distribution(service):
    """Kolmogorov's bound at one in ten million: sqrt(log(2e7) / 2n)."""
    for latency in (CentralQueue(850.0, 10, service).wait, CentralQueue(850.0, 10, service).latency):
        drawn = np.sort(latency.sample(20_000, rng=1))
        steps = np.arange(1, 20_001) / 20_000
        assert np.abs(latency.cdf(drawn) - steps)[drawn > drawn[0]].max() < math.sqrt(math.log(2e7) / 4e4)
        assert type(latency)(**latency.values()) == latency
