"""Hedging and redundancy in closed form: limits, published means, overload, refusals, and the twin by `verify`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.pools import HedgedRequests, RedundantRequests
from scaling_models.pools.formulas.redundancy import hedged_fixed_point, hedged_utilization, redundancy_mean
from scaling_models.pools.times.redundant_response import RedundantResponse


@given(st.floats(0.01, 0.49), st.floats(0.0, 30.0))
@settings(max_examples=60, deadline=None)
def test_the_utilization_solves_its_equation(load, delay):
    u = hedged_utilization(load, delay)
    assert load <= u <= 2 * load + 1e-9
    assert u == pytest.approx(load * (1 + math.exp(-(1 - u) * delay)), rel=1e-9)


@pytest.mark.parametrize(("delay", "largest"), [(2.0, 0.5), (4.0, 0.55), (8.0, 0.67), (16.0, 0.78)])
def test_the_largest_load_with_a_fixed_point(delay, largest):
    """max u / (1 + e^{-(1-u) d}), to the two digits at which it was worked out beside."""
    grid = np.linspace(0.01, 0.9999, 5000)
    most = (grid / (1 + np.exp(-(1 - grid) * delay))).max()
    assert round(most, 2) == pytest.approx(largest, abs=0.0101)
    assert math.isfinite(hedged_utilization(most * 0.98, delay))
    assert math.isinf(hedged_utilization(most * 1.02, delay))


def test_limits_of_hedging():
    assert HedgedRequests(delay=10.0).latency.icdf(0.99) == pytest.approx(sm.RandomSplit(800, 20).latency.icdf(0.99))
    at_once = HedgedRequests(delay=0.0)
    assert at_once.utilization == pytest.approx(0.8)
    assert at_once.latency.mean() == pytest.approx(0.010 / 0.2 / 2)
    assert HedgedRequests(arrival_rate=2000).latency == sm.Never()
    assert HedgedRequests(cancel="anywhere").utilization == pytest.approx(0.4)
    gains = HedgedRequests(arrival_rate=400)
    assert gains.p99_ratio < 1.0
    assert 0 < gains.helps_up_to < 0.6 * 2000
    assert HedgedRequests(arrival_rate=1000).can_collapse
    assert not HedgedRequests(arrival_rate=999).can_collapse
    assert not HedgedRequests(arrival_rate=1000, cancel="anywhere").can_collapse


@pytest.mark.parametrize(
    "model",
    [
        HedgedRequests(arrival_rate=1000),
        HedgedRequests(servers=4, arrival_rate=100),
        HedgedRequests(copies_redraw="no"),
        HedgedRequests(cancel="waiting"),
        HedgedRequests(300.0, 10, service=sm.LogNormal(0.01, 4)),
        RedundantRequests(service=sm.LogNormal(0.01, 4)),
    ],
    ids=repr,
)
def test_what_no_formula_tells(model):
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        _ = model.latency
    for level in (None, 0.5, 0.99):
        assert model.accuracy("latency", level).label == "simulated"


@pytest.mark.parametrize(("load", "delay"), [(0.1, 1.5), (0.4, 4.0), (0.3, 0.0), (0.45, 2.0)])
def test_the_fixed_point_by_iteration_is_the_one_in_closed_form(load, delay):
    found = hedged_fixed_point(load, lambda u: math.exp(-(1.0 - u) * delay))
    assert found == pytest.approx(hedged_utilization(load, delay), rel=1e-5)
    assert hedged_fixed_point(0.7, lambda u: math.exp(-(1.0 - u))) == math.inf == hedged_utilization(0.7, 1.0)


def test_other_services_are_hedged_by_the_response_of_a_server_alone():
    constant = HedgedRequests(800.0, 20, sm.Deterministic(0.010), delay=0.015)
    late = float(sm.RandomSplit(constant.utilization / 0.010, 1, sm.Deterministic(0.010)).latency.ccdf(0.015))
    assert constant.copies == pytest.approx(1.0 + late, rel=1e-4)  # to which the iteration goes
    assert constant.p99_ratio > 1.0  # all copies are as long: there is nothing to gain but queues to pay for
    assert constant.replace(service=sm.LogNormal(0.010, 4.0), arrival_rate=600.0).p99_ratio < 0.8
    assert constant.accuracy("latency").label == "within 15%"
    assert constant.replace(arrival_rate=600.0).accuracy("latency").label == "within 3%"


def test_redundancy_by_hand():
    assert redundancy_mean(7, 1, 0.6) == pytest.approx(1 / 0.4)
    assert redundancy_mean(4, 4, 0.6) == pytest.approx(1 / 4 / 0.4)  # all servers as one, four times as fast
    assert redundancy_mean(5, 2, 1.0) == math.inf
    with pytest.raises(ValueError, match=r"copies must lie in \[1, 5\]"):
        redundancy_mean(5, 6, 0.5)
    with pytest.raises(ValueError, match=r"sent_to must lie in \[1, 3\]"):
        RedundantRequests(servers=3, sent_to=4)
    with pytest.raises(sm.NoClosedForm):
        RedundantRequests().latency.icdf(0.5)
    assert RedundantRequests(sent_to=1).latency.icdf(0.99) == pytest.approx(math.log(100) * 0.010 / 0.6)


@given(st.floats(1e-3, 10.0), st.floats(0.01, 0.98), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_the_limit_has_equal_faces(scale, load, copies):
    latency = RedundantResponse(scale, load, copies)
    q = np.array([1e-4, 0.1, 0.5, 0.99, 1 - 1e-9])
    t = latency.icdf(q)
    np.testing.assert_allclose(latency.cdf(t), q, rtol=1e-7)
    np.testing.assert_allclose(latency.ccdf(t), 1 - q, rtol=1e-6)
    step = 1e-5 * t[1:4]
    slope = (latency.cdf(t[1:4] + step) - latency.cdf(t[1:4] - step)) / 2 / step
    np.testing.assert_allclose(latency.pdf(t[1:4]), slope, rtol=1e-5)
    many = redundancy_mean(200_000, copies, load)
    assert latency.mean() == pytest.approx(many * scale, rel=2e-3)


SHAPES = [  # servers, copies, load; then mean, p50, p99, p99.9 and their standard errors: an event-driven simulation
    (50, 5, 0.8, (0.46068, 0.0022), (0.404693, 0.0021), (1.43016, 0.0083), (1.92784, 0.0174)),
    (50, 4, 0.9, (0.811259, 0.0076), (0.749187, 0.007), (2.23093, 0.026), (2.8868, 0.03)),
    (50, 3, 0.9, (1.10701, 0.0083), (1.02752, 0.0076), (2.99493, 0.027), (3.87172, 0.033)),
    (50, 2, 0.95, (2.39468, 0.0321), (2.31323, 0.0336), (5.72373, 0.0587), (7.03853, 0.0631)),
    (100, 3, 0.95, (1.37638, 0.0147), (1.33163, 0.0154), (3.2733, 0.0248), (4.07532, 0.0251)),
    (200, 3, 0.97, (1.58273, 0.0212), (1.55906, 0.0221), (3.46889, 0.0325), (4.274, 0.0354)),
    (50, 10, 0.9, (0.36826, 0.0043), (0.321292, 0.003), (1.16830, 0.0267), (1.55971, 0.0327)),
]


@pytest.mark.parametrize(("servers", "copies", "load", "mean", "half", "late", "last"), SHAPES)
def test_the_shape_of_redundancy_holds_where_it_is_told(servers, copies, load, mean, half, late, last):
    """32 runs each: of the 28 numbers one in ten million beyond 9 errors (Student's t, 31 degrees of freedom)."""
    model = RedundantRequests(load * servers, servers, sm.Exponential(1.0), copies)
    assert abs(model.latency.mean() - mean[0]) <= 9.0 * mean[1]
    for level, (value, error) in ((0.5, half), (0.99, late), (0.999, last)):
        told = model.accuracy("latency", level)
        if copies == 10:
            assert told.label == "simulated"
        else:
            assert abs(model.latency.icdf(level) - value) <= told.error * value + 9.0 * error


def test_a_copy_to_all_servers_is_no_limit():
    model = RedundantRequests(40.0, 50, sm.Exponential(1.0), 50)  # one M/M/1 of all: exponential
    assert model.latency.mean() == pytest.approx(0.1)
    assert model.accuracy("latency", 0.99).label == "simulated"
    with pytest.raises(sm.NoClosedForm):
        model.latency.icdf(0.99)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (HedgedRequests(arrival_rate=600, delay=0.020), ("copies", "latency mean", "latency p99")),
        (HedgedRequests(300.0, 10, delay=0.050), ("copies", "latency mean", "latency p99")),
        (HedgedRequests(600.0, 20, sm.LogNormal(0.010, 4.0), delay=0.015), ("copies", "latency mean")),
        (HedgedRequests(800.0, 20, sm.Deterministic(0.010), delay=0.015), ("copies", "latency mean", "latency p99")),
        (RedundantRequests(400.0, 10, sent_to=3), ("latency mean",)),
        (RedundantRequests(2500.0, 50), ("latency mean", "latency p99")),
    ],
    ids=["hedged", "ten servers", "lognormal", "constant", "redundant", "fifty servers"],
)
def test_the_twin_agrees(model, rows):
    table = sm.verify(model, seed=3)
    assert (table.verdict != "disagrees").all(), table.to_string()
    seen = table.set_index("quantity")
    for row in rows:
        assert seen.loc[row, "smallest_error"] < 0.17  # the 11% that the roughest label allows, and 6% that are seen


class Wrong(RedundantRequests):
    """Three per cent too long."""

    @answer("s", "wrong")
    def latency(self):
        """Too long."""
        return sm.MeanOnly(1.03 * RedundantRequests.latency.compute(self).mean())


@pytest.mark.slow
def test_a_mean_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(400.0, 10), requests=1_500_000, seed=3).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees", table.to_string()
