"""Two classes in closed form: the overtaken wait against its chain, Cobham, conservation, overload, refusals, twins."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

import scaling_models as sm
from scaling_models.latency import quadrature
from scaling_models.pools import Priorities
from scaling_models.pools.formulas.priorities import cobham, overtaken, preemptive_resume
from scaling_models.pools.times.overtaken import OvertakenWait

E = sm.Exponential


@pytest.mark.parametrize(
    ("ahead", "load"),
    [(0.1, 0.8), (0.64, 0.8), (0.63, 0.8), (0.65, 0.8), (0.01, 0.5), (0.249, 0.5), (0.4, 0.5), (1e-6, 0.7)],
)
def test_the_overtaken_wait_is_a_first_passage(ahead, load):
    """Of a walk up at `ahead` and down at 1, from 1 + a geometric number, to 0: by the matrix exponential."""
    states = 150
    walk = np.diag(np.full(states, -(1 + ahead)))
    walk += np.diag(np.full(states - 1, ahead), 1) + np.diag(np.ones(states - 1), -1)
    begin = (1 - load) * load ** np.arange(states)
    rates, weights = overtaken(ahead, load)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)
    for t in (0.5, 5.0, 50.0):
        expected = (begin @ linalg.expm(walk * t)).sum()
        assert weights @ np.exp(-rates * t) == pytest.approx(expected, rel=1e-10)


@given(st.floats(1e-4, 0.9999), st.floats(0.01, 0.995), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_means_are_cobhams_and_work_is_conserved(share, load, slots):
    """Both classes together wait as without priorities: one mean service, so work is requests."""
    pool = Priorities(load * slots / 0.01, slots, urgent_share=share)
    fifo = sm.CentralQueue(load * slots / 0.01, slots)
    chance, capacity = fifo.probability_of_wait, slots / 0.01
    ahead = share * load
    assert pool.urgent_wait.mean() == pytest.approx(chance / capacity / (1 - ahead), rel=1e-9)
    assert pool.other_wait.mean() == pytest.approx(chance / capacity / (1 - ahead) / (1 - load), rel=1e-9)
    assert pool.wait.mean() == pytest.approx(fifo.wait.mean(), rel=1e-9)
    assert pool.in_flight == pytest.approx(fifo.in_flight, rel=1e-9)
    preempted = pool.replace(order="preemptive")
    assert preempted.latency.mean() == pytest.approx(fifo.latency.mean(), rel=1e-9)
    assert preempted.urgent_latency.mean() <= pool.urgent_latency.mean() * (1 + 1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.05, 0.97), st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_faces_of_the_overtaken_agree(share, load, slots):
    pool = Priorities(load * slots, slots, E(1.0), urgent_share=share)
    algebra = pool.other_wait + pool.service
    t = pool.other_latency.icdf([0.01, 0.5, 0.99, 0.99999])
    np.testing.assert_allclose(pool.other_latency.ccdf(t), algebra.ccdf(t), rtol=1e-6)
    np.testing.assert_allclose(pool.other_latency.pdf(t), algebra.pdf(t), rtol=1e-5)
    for each in (pool.other_wait, pool.other_latency):
        assert quadrature.moments(each) == pytest.approx((each.mean(), each.variance()), rel=1e-6)


def test_hardly_any_urgent_is_fifo():
    few, fifo = Priorities(urgent_share=1e-9), sm.CentralQueue()
    np.testing.assert_allclose(few.other_latency.percentiles(50, 99, 99.9), fifo.latency.percentiles(50, 99, 99.9))
    alone = Priorities(urgent_share=0.3, order="preemptive").urgent_latency
    np.testing.assert_allclose(alone.percentiles(), sm.CentralQueue(240.0).latency.percentiles())


def test_one_server_by_the_mean_value_formulas():
    """The model against the formulas for any service, and these by hand, with a class that overloads."""
    one = Priorities(70.0, 1, urgent_share=0.5)
    other = one.replace(service=sm.Erlang(0.01, 1)).replace(order="preemptive")
    rates, second = [35.0, 35.0], 2e-4
    np.testing.assert_allclose([one.urgent_wait.mean(), one.other_wait.mean()], cobham(rates, 0.01, second))
    found = [other.urgent_latency.mean() - 0.01, other.other_latency.mean() - 0.01]
    np.testing.assert_allclose(found, preemptive_resume(rates, 0.01, second))
    # s = 0.2, 0.4, 0.7 and work 0.2 + 0.056 + 0.675 = 0.931, as by hand.
    waits = cobham([0.2, 0.4, 0.1], [1.0, 0.5, 3.0], [2.0, 0.28, 13.5])
    np.testing.assert_allclose(waits, [0.931 / 0.8, 0.931 / 0.8 / 0.6, 0.931 / 0.6 / 0.3])
    np.testing.assert_allclose(cobham([0.5, 0.6, 0.1], 1.0, 2.0), [2.0, math.inf, math.inf])
    np.testing.assert_allclose(preemptive_resume([0.5, 0.6], 1.0, 2.0), [1.0, math.inf])
    assert cobham(np.ones((4, 2)) * 0.1, 1.0, 2.0).shape == (4, 2)


@pytest.mark.parametrize("order", ["non-preemptive", "preemptive"])
@pytest.mark.parametrize("slots", [1, 10])
def test_the_urgent_survive_an_overload(order, slots):
    pool = Priorities(120.0 * slots, slots, urgent_share=0.4, order=order)
    assert pool.other_latency == pool.latency == pool.wait == sm.Never()
    expected = pool.urgent_latency.mean()
    assert 0.01 < expected < 0.05
    if order == "non-preemptive":  # all slots are busy: one over what is left
        assert expected == pytest.approx(0.01 + 1 / (100.0 * slots - 48.0 * slots))
    assert pool.replace(urgent_share=0.9).urgent_latency == sm.Never()


def test_what_only_has_a_mean_refuses_percentiles():
    several = Priorities(order="preemptive")
    one = Priorities(70.0, 1, sm.LogNormal(0.01, 4.0))
    for pool, name in ((several, "other_latency"), (several, "latency"), (one, "latency"), (one, "urgent_wait")):
        assert getattr(pool, name).mean() > 0
        assert (pool.accuracy(name).label, pool.accuracy(name, 0.99).label) == ("exact", "simulated")
        with pytest.raises(sm.NoClosedForm):
            getattr(pool, name).percentiles()
    assert several.accuracy("urgent_latency", 0.99).label == "exact"
    many = Priorities(service=sm.LogNormal(0.01, 4.0))
    for name in ("latency", "urgent_wait", "other_latency", "probability_of_wait"):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            getattr(many, name)
    with pytest.raises(sm.NoClosedForm, match="infinite variance"):
        _ = Priorities(70.0, 1, sm.Pareto(0.01, 1.5)).urgent_latency


@pytest.mark.slow
@pytest.mark.parametrize(
    "pool",
    [
        Priorities(700.0, 10),
        Priorities(70.0, 1, urgent_share=0.5, order="preemptive"),
        Priorities(70.0, 1, sm.LogNormal(0.01, 2.0), urgent_share=0.5),
    ],
    ids=["M/M/10", "preemptive", "M/G/1"],
)
def test_the_twin_agrees(pool):
    """At 1e-6 of false alarms a verification; 12% on every mean latency is seen."""
    table = sm.verify(pool, requests=1_500_000, seed=1).set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    means = [name for name in table.index if name.endswith("latency mean")]
    assert len(means) == 3
    assert (table.loc[means, "smallest_error"] < 0.12).all(), table.to_string()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Priorities(urgent_share=0.0), r"Priorities.urgent_share must lie in \(0, 1\); got 0.0"),
        (
            lambda: Priorities(order="rude"),
            "Priorities.order must be one of 'non-preemptive', 'preemptive'; got 'rude'",
        ),
        (lambda: Priorities(order="preemptive").simulate(1000), "before one slot only; got 10 slots"),
        (lambda: OvertakenWait(1.0, 2.0, 3.0), "urgent_rate < arrival_rate < capacity"),
        (lambda: cobham([-1.0], 1.0, 1.0), r"rates must lie in \[0, inf\) requests/s; got -1.0"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
