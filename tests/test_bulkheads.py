"""Bulkheads: the product form against enumeration and chains with phases, its limits, and its simulated twin.

Fixed seeds; a verification raises a false alarm once in a million.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.pools import Bulkheads, CentralQueue, class_blocking, erlang_b

E = sm.Exponential


def enumerated(slots, loads, limits):
    """Every state added up."""
    ends = [min(slots, limit) for limit in limits]
    states = [n for n in itertools.product(*(range(end + 1) for end in ends)) if sum(n) <= slots]
    weights = [math.prod(a**k / math.factorial(k) for a, k in zip(loads, n, strict=True)) for n in states]
    return [
        sum(w for n, w in zip(states, weights, strict=True) if sum(n) == slots or n[k] == ends[k]) / sum(weights)
        for k in range(len(loads))
    ]


@given(st.integers(1, 9), st.lists(st.tuples(st.floats(0.01, 20.0), st.integers(1, 12)), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_product_form_is_its_states_added_up(slots, classes):
    loads, limits = zip(*classes, strict=True)
    np.testing.assert_allclose(class_blocking(slots, loads, limits), enumerated(slots, loads, limits), rtol=1e-11)


def phased_chain(slots, rates, phases, limits):
    """Blocking of two classes, each of services exponential with either of two rates: the whole chain solved.

    `phases`, a class: the chance of the first phase, and the rates of both.
    """
    states = [
        n
        for n in itertools.product(range(slots + 1), repeat=4)
        if sum(n) <= slots and n[0] + n[1] <= limits[0] and n[2] + n[3] <= limits[1]
    ]
    at = {n: i for i, n in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    refused = np.zeros((2, len(states)))
    for n, i in at.items():
        for k in range(2):
            chance, *mu = phases[k]
            for j, share in enumerate((chance, 1.0 - chance)):
                more = tuple(value + (place == 2 * k + j) for place, value in enumerate(n))
                if more in at:
                    flow[i, at[more]] += rates[k] * share
                less = tuple(value - (place == 2 * k + j) for place, value in enumerate(n))
                if less in at:
                    flow[i, at[less]] += n[2 * k + j] * mu[j]
            refused[k, i] = sum(n) == slots or n[2 * k] + n[2 * k + 1] == limits[k]
    flow -= np.diag(flow.sum(axis=1))
    balance = np.vstack([flow.T, np.ones(len(states))])
    p = np.linalg.lstsq(balance, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return refused @ p


@pytest.mark.parametrize("limits", [(4, 4), (3, 2), (2, 2), (4, 1)])
def test_only_the_means_of_the_services_count(limits):
    """Services of scv 3 and more, state by state with their phases."""
    rates, phases = (3.0, 0.7), ((0.9, 4.0, 0.5), (0.2, 0.1, 2.0))
    loads = [rate * (p / fast + (1 - p) / slow) for rate, (p, fast, slow) in zip(rates, phases, strict=True)]
    np.testing.assert_allclose(
        phased_chain(4, rates, phases, limits), class_blocking(4, loads, limits), rtol=1e-9, atol=1e-12
    )


@given(st.integers(2, 200), st.floats(0.1, 2.0), st.floats(0.1, 2.0), st.floats(0.1, 0.9))
@settings(max_examples=40, deadline=None)
def test_shared_is_erlang_b_of_the_sum_and_parted_of_each(slots, one, two, part):
    loads, first = (slots * one, slots * two), min(max(1, int(part * slots)), slots - 1)
    np.testing.assert_allclose(class_blocking(slots, loads, (slots, slots)), erlang_b(slots, sum(loads)), rtol=1e-10)
    parted = class_blocking(slots, loads, (first, slots - first))
    np.testing.assert_allclose(parted, erlang_b([first, slots - first], loads), rtol=1e-10)


def test_a_bulkhead_protects_the_others_and_costs_its_own_class():
    found = np.array([class_blocking(20, (6.4, 30.0), (20, limit)) for limit in range(1, 21)])
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 1]) < 0).all()


def test_the_slow_dependency_of_the_default():
    """It takes ten times as long: shared, half of the others are lost; behind the bulkhead one in a hundred."""
    slow = Bulkheads(dependent_service=E(0.200))
    assert slow.shared().other_blocking > 0.45
    assert slow.other_blocking < 0.02
    usual = Bulkheads()
    assert usual.shared().blocking_probability < usual.blocking_probability < 0.005  # what isolation costs
    assert usual.dependent_limit < usual.shared().dependent_limit == 20
    kept, fell = slow.timeline(seed=1).lines.values()
    assert kept.sum() > fell.sum()


def test_littles_law_and_the_balance_of_all():
    pool = Bulkheads(2000.0, dependent_share=0.4)
    served = pool.other_busy + pool.dependent_busy
    assert pool.in_flight == pytest.approx(served, rel=1e-12)
    assert pool.throughput * pool.latency.mean() == pytest.approx(served, rel=1e-12)
    assert pool.unloaded_latency.mean() == pytest.approx(0.6 * 0.01 + 0.4 * 0.02)


def test_a_million_slots_and_hopeless_overload():
    assert class_blocking(10**6, (9e5, 1e5), (10**6, 10**6)) == pytest.approx([erlang_b(10**6, 1e6)] * 2, rel=1e-8)
    heavy = class_blocking(20, (1e300, 5.0), (20, 20))
    assert heavy == pytest.approx([1.0, 1.0])
    assert class_blocking(20, (1e300, 5.0), (12, 20)) == pytest.approx([1.0, erlang_b(8, 5.0)], rel=1e-12)
    assert class_blocking(20, (0.0, 5.0), (20, 20))[1] == pytest.approx(erlang_b(20, 5.0), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Bulkheads(dependent_limit=0), r"Bulkheads.dependent_limit must be a whole number in \[1, 1000000\]"),
        (lambda: Bulkheads(dependent_service=0.0), r"dependent_service must have a mean in \[1e-09, 1e\+09\] s"),
        (lambda: Bulkheads(service=stats.pareto(0.9)), r"Bulkheads.service must have a mean in \(0, inf\) s"),
        (lambda: Bulkheads(servers=10**4, workers=10**3), r"must lie in \[1, 1,000,000\] slots; got 10,000,000"),
        (lambda: class_blocking(5, (1.0, -1.0), (5, 5)), r"offered_loads must lie in \[0, inf\) erlangs"),
        (lambda: class_blocking(5, (1.0, 1.0), (5, 0)), "a limit of 1 at least"),
        (lambda: class_blocking(5, (1.0, 1.0), (5,)), "given per class"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()


BUSY = Bulkheads(
    2500.0, 10, sm.LogNormal(0.005, 4.0), dependent_share=0.3, dependent_service=sm.Erlang(0.02, 3), dependent_limit=12
)


@pytest.mark.slow
@pytest.mark.parametrize("model", [BUSY, BUSY.replace(dependent_limit=8, other_limit=12)], ids=["capped", "parted"])
def test_the_twin_agrees_whatever_the_services(model):
    table = sm.verify(model, requests=2_000_000, seed=1).set_index("quantity")
    assert (table.verdict == "agrees").sum() > 12, table.to_string()
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["other_blocking", "smallest_error"] < 0.08


class Wrong(Bulkheads):
    """Blocking three per cent high."""

    @answer("", "a share that is wrong")
    def dependent_blocking(self):
        """Off by three per cent."""
        return 1.03 * Bulkheads.dependent_blocking.compute(self)


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(**BUSY.values()), requests=4_000_000, seed=2).set_index("quantity")
    assert table.loc["dependent_blocking", "verdict"] == "disagrees", table.to_string()


def test_with_a_queue_each_part_is_a_pool_of_its_own():
    """What the docstring sends to `CentralQueue`: parting two equal classes costs wait, as sharing's economy tells."""
    whole, part = CentralQueue(1600.0, 20), CentralQueue(800.0, 10)
    assert part.wait.mean() > 2.0 * whole.wait.mean()
    assert special.pdtrc(20, 5.0) < class_blocking(20, (5.0,), (20,))[0]  # an infinite pool would seldom hold so many
