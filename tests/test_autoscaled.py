"""An autoscaler after a step of load: its fluid by small steps, its answers by the twin, and where they are refused.

False-alarm rate of each simulated comparison 1e-6; seeds are fixed, so a pass stays one.
"""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.pools import Autoscaler
from scaling_models.pools.formulas.autoscaling import Rule, climb, pieces, scale_out

RULES = [  # rule, first servers, load before and after (erlangs), speed
    (Rule(0.6, 15.0, 15.0, 300.0, 0.1, 1, 100), 10, 5.5, 18.0, 20.0),
    (Rule(0.6, 15.0, 40.0, 60.0, 0.1, 1, 100), 10, 5.5, 18.0, 1.0),  # servers come within a period
    (Rule(0.5, 10.0, 25.0, 0.0, 0.0, 1, 40), 8, 4.0, 37.5, 2.0),  # up to the most, and down at once
    (Rule(0.8, 5.0, 0.0, 30.0, 0.05, 1, 500), 20, 15.0, 100.0, 1.0),
    (Rule(0.6, 15.0, 15.0, 60.0, 0.1, 1, 100), 30, 18.0, 6.0, 20.0),  # the load falls
    (Rule(0.7, 10.0, 120.0, 20.0, 0.1, 1, 1000), 10, 6.5, 60.0, 10.0),  # twelve ticks a round
]


def by_small_steps(rule, servers, before, after, speed, until, step):
    """(times, servers, level, ordered) of the same rule and fluid by Euler, each tick asked, each order kept."""
    level, work, ordered, orders, wants, told = before, 0.0, servers, [], [servers], []
    ticks = round(rule.period / step)
    for i in range(1, round(until / step) + 1):
        work += min(level, servers) * step
        level += step * speed * (after - min(level, servers))
        now = i * step
        if i % ticks == 0:
            busy, work = work / rule.period, 0.0
            within = abs(busy / rule.target / ordered - 1.0) <= rule.tolerance
            enough = min(max(math.ceil(busy / rule.target - 1e-6), rule.least), rule.most)
            wants.append(ordered if within else enough)
            calm = max(wants[-int(rule.stabilization / rule.period + 1e-9) - 1 :])
            ordered = max(wants[-1], min(ordered, calm))
            orders.append((now + rule.provisioning, ordered))
            servers = min(servers, ordered)
        for at, count in [order for order in orders if order[0] <= now + 1e-9]:
            orders.remove((at, count))
            servers = max(servers, min([count, *(later for _, later in orders)]))
        told.append((now, servers, level, ordered))
    return np.array(told).T


@pytest.mark.parametrize(("rule", "servers", "before", "after", "speed"), RULES)
def test_the_climb_is_the_integral_of_its_equation(rule, servers, before, after, speed):
    found = climb(rule, servers, before, after, speed)
    until = max(found.times[-1], found.drained) + 5 * rule.period
    step = rule.period / 5000
    times, slots, levels, ordered = by_small_steps(rule, servers, before, after, speed, until, step)
    place = np.searchsorted(found.times, times - 1.5 * step, side="right") - 1
    apart = np.array(found.servers)[place] != slots
    assert apart.sum() <= 3 * len(found.times)  # the changes are where they should be, but for the grid
    at = np.searchsorted(times, np.array(found.times[1:]) - 1.5 * step)
    assert levels[at] == pytest.approx(found.levels[1:], rel=2e-3)
    assert ordered.max() == found.peak
    assert ordered[-1] == found.settled
    waiting = times[levels > slots * (1 + 1e-6) + 1e-3]
    last = waiting.max() if waiting.size else 0.0
    assert found.drained == pytest.approx(last, rel=2e-3, abs=2 * rule.period / 5000 + 0.02 / speed)
    enough = times[(slots > after) & (times > 0)]
    assert found.relief == pytest.approx(enough.min() if servers <= after else 0.0, abs=2 * step)


def test_pieces_cross_the_servers_once():
    up = pieces(5.0, 10, 20.0, 2.0, 3.0)
    assert [round(lasts, 9) for lasts, _, _ in up] == [round(math.log(15 / 10) / 2, 9), round(3 - math.log(1.5) / 2, 9)]
    assert up[-1][1] == pytest.approx(10 + 20 * (3 - math.log(1.5) / 2))
    down = pieces(30.0, 10, 5.0, 2.0, 3.0)
    assert [end for _, end, _ in down] == pytest.approx([10.0, 5 + 5 * math.exp(-2.0)])
    for level, servers, load in [(5.0, 10, 20.0), (30.0, 10, 5.0), (4.0, 10, 7.0), (10.0, 10, 10.0), (10.0, 10, 9.0)]:
        moves = pieces(level, servers, load, 2.0, 3.0)
        assert sum(lasts for lasts, _, _ in moves) == pytest.approx(3.0)
        gained = 2.0 * sum((load - busy) * lasts for lasts, _, busy in moves)  # m' = speed (load - busy)
        assert moves[-1][1] - level == pytest.approx(gained, abs=1e-9)


def test_the_rounds_are_those_of_the_rule_without_a_clock():
    """Until they suffice; from there on the queue keeps all servers busy, and the rule orders more than is needed."""
    model = Autoscaler(after=1800.0, most=1000)
    rounds = scale_out(10, 90.0, 0.6)
    enough = next(i for i, n in enumerate(rounds) if n > 90)
    assert model.servers_by_round == rounds[: enough + 1] == (17, 29, 49, 82, 137)
    assert model.rounds == 5
    assert model.relief_time == 5 * (15 + 15)
    assert model.peak_servers > model.servers_after == math.ceil(90 / 0.6)


def test_the_longest_wait_is_the_backlog_over_the_new_load():
    model = Autoscaler()
    waits = 360 * 60 - 200 * 30 - 340 * 30 - 7 - (10 - 5.5)  # arrived, served by ten and by seventeen, taken at once
    assert model.backlog == pytest.approx(waits, rel=2e-3)
    assert model.worst_wait.mean() == pytest.approx(model.backlog / 360, rel=5e-3)
    assert model.course([60.0 - 1e-9])["requests that wait"][0] == pytest.approx(model.backlog, rel=1e-3)


TWINS = [
    Autoscaler(before=55.0, after=250.0, service=sm.Exponential(0.1), provisioning=35.0, period=30.0),
    Autoscaler(before=110.0, after=300.0, provisioning=10.0, service=sm.LogNormal(0.05, 2.0)),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", TWINS, ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 32 * model.requests_in_surge, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert {"worst_wait mean", "backlog", "recovery_time", "latency_before p99"} <= set(table.index)
    assert table.loc[["worst_wait mean", "backlog"], "smallest_error"].max() < 0.3


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_is_seen():
    model = Autoscaler()
    found = model.simulate(120 * model.requests_in_surge, seed=3)
    for name, closed, estimate in [
        ("backlog", model.backlog, found.backlog),
        ("worst_wait", model.worst_wait.mean(), found.worst_wait.mean_estimate()),
        ("recovery_time", model.recovery_time, found.recovery_time),
    ]:
        low, high = estimate.interval(1 - 1e-6 / 3)
        assert low < closed < high, name
        assert not low < 1.03 * closed < high, name
        assert not low < 0.97 * closed < high, name
    spread = np.sqrt(found.worst_wait.variance() / model.worst_wait.variance())
    assert abs(spread - 1.0) < 5.0 / math.sqrt(2 * 120)


def test_too_few_servers_never_suffice():
    short = Autoscaler(most=18)
    assert short.worst_wait == sm.Never()
    assert (short.backlog, short.recovery_time, short.relief_time, short.rounds) == (math.inf,) * 4
    assert short.servers_by_round == (17, 18)
    assert short.utilization_after == 1.0
    with pytest.raises(sm.NotSettled, match="no end"):
        short.simulate(10)
    assert Autoscaler(most=5).utilization_before > 1
    assert Autoscaler(most=5).worst_wait == sm.Never()
    assert Autoscaler(most=5).latency_before == sm.Never()


def test_a_target_too_near_one_is_within_the_tolerance_of_all_busy():
    """100% over 95% is 1.05: nothing is wrong, says a tolerance of a tenth, however long the queue."""
    assert Autoscaler(target=0.95).relief_time == math.inf
    assert Autoscaler(target=0.95, tolerance=0.0).climb().relief < math.inf


def test_where_the_rule_hunts_or_no_queue_stands_it_is_simulated():
    hunting = Autoscaler(before=8.0, after=30.0, service=sm.Exponential(0.5))
    calm = Autoscaler(after=150.0)
    for model, metric in [(hunting, "servers_before"), (hunting, "worst_wait"), (calm, "worst_wait")]:
        assert model.accuracy(metric).label == "simulated"
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            getattr(model, metric)
    assert hunting.simulate(1000, seed=1).servers_before.value > 0
    assert calm.servers_after == 13
    assert calm.simulate(1000, seed=1).relief_time.value == 0.0
    with pytest.raises(ValueError, match="too many to simulate"):
        Autoscaler(before=6000.0, after=36_000.0, service=sm.Exponential(0.001), provisioning=300.0).simulate(10)
    with pytest.raises(ValueError, match=r"least must lie in \[1, 5\] servers"):
        Autoscaler(least=6, most=5)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Autoscaler,
        before=st.floats(1.0, 600.0),
        after=st.floats(1.0, 1200.0),
        target=st.floats(0.2, 0.98),
        period=st.floats(2.0, 60.0),
        provisioning=st.floats(0.0, 300.0),
        stabilization=st.floats(0.0, 600.0),
        tolerance=st.floats(0.0, 0.3),
        most=st.integers(2, 200),
        service=st.floats(0.005, 0.5).map(sm.Exponential),
    )
)
def test_what_is_refused_is_not_labelled_and_the_rest_keeps_its_order(model):
    for name in model.answers():
        refused = model.accuracy(name).error is None
        if refused:
            with pytest.raises(sm.NoClosedForm):
                getattr(model, name)
        else:
            assert getattr(model, name) is not None
    found = model.climb()
    growth = [a / b for a, b in zip(found.servers[1:], found.servers[:-1], strict=True)]
    assert all(rise <= 1 / model.target + 1.0 / min(found.servers) + 1e-9 for rise in growth)
    assert found.relief <= found.drained or found.drained == 0.0
    assert found.peak >= found.settled
    assert max(found.servers) <= model.most


def test_services_need_an_end():
    with pytest.raises(ValueError, match=r"Autoscaler.service must have a finite mean above 0 s; got Never"):
        Autoscaler(service=sm.Never())


def test_many_ticks_within_the_stabilization_cost_no_more_than_a_few():
    """A hundred thousand decisions, each by the most wanted in as many before it: seconds, if these were listed."""
    rule = Rule(0.6, 1e-6, 369.0, 840.0, 0.25, 1, 1)
    start = time.process_time()
    assert climb(rule, 1, 0.003, 0.2, 100.0).settled == 1
    assert time.process_time() - start < 3.0


def test_a_decision_every_millisecond_is_refused():
    with pytest.raises(ValueError, match="decisions"):
        Autoscaler(period=1e-3).simulate()
