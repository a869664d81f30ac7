"""A rolling deploy: its fluid by small steps, the transient by the exact chain, and its answers by the twin.

False-alarm rate of each simulated comparison 1e-6; seeds are fixed, so a pass stays one.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

import scaling_models as sm
from scaling_models.montecarlo.estimates import student
from scaling_models.pools import RollingDeploy
from scaling_models.pools.formulas.deploys import relaxation_time, rollout

E = sm.Exponential
ROLLOUTS = [  # slots of each batch, all slots, load (erlangs), speed, away, pause
    ((2, 2, 2, 2, 2), 10, 7.0, 10.0, 60.0, 30.0),
    ((4, 4, 2), 10, 7.0, 1.0, 60.0, 90.0),
    ((4, 4, 2), 10, 7.0, 1.0, 60.0, 5.0),
    ((5, 5), 10, 9.5, 2.0, 20.0, 0.0),
    ((3,), 3, 2.0, 1.0, 30.0, 10.0),  # all at once
]


@pytest.mark.parametrize(("batches", "slots", "load", "speed", "away", "pause"), ROLLOUTS)
def test_the_fluid_is_the_integral_of_its_equation(batches, slots, load, speed, away, pause):
    way = rollout(batches, slots, load, speed, away, pause)
    step, level, now, waiting = 2e-3 / speed, load, 0.0, []

    def flow(level, there, lasts):
        for _ in range(round(lasts / step)):
            level += step * speed * (load - min(level, there))
        return level

    for number, gone in enumerate(batches):
        level = flow(level, slots, pause) if number else level
        level -= gone if level > slots else gone * level / slots
        level = flow(level, slots - gone, away)
        waiting.append(max(level - slots + gone, 0.0))
    assert way.waiting == pytest.approx(waiting, rel=1e-2, abs=2e-2)
    while level > slots:
        level += step * speed * (load - slots)
        now += step
    assert way.drain == pytest.approx(now, abs=0.02 / speed + 0.02 * now)
    assert way.times[-1] == pytest.approx(len(batches) * (away + pause) - pause)


def chain(slots, load, most):
    """The symmetric form of M/M/c's generator (unit speed) and the square roots of its stationary law."""
    n = np.arange(most + 1)
    up, down = np.where(n < most, load, 0.0), np.minimum(n, slots).astype(float)
    logs = np.append(0.0, np.cumsum(np.log(load) - np.log(down[1:])))
    root = np.exp((logs - np.logaddexp.reduce(logs)) / 2.0)
    return -(up + down), np.sqrt(up[:-1] * down[1:]), root


def spectral_gap(slots, load, most):
    """The least rate but 0 at which the chain with room for `most` forgets."""
    diagonal, beside, _ = chain(slots, load, most)
    return float(-linalg.eigh_tridiagonal(diagonal, beside, True, "i", (most - 1, most - 1))[0])


@pytest.mark.parametrize("slots", [1, 2, 8, 40])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.9])
def test_the_relaxation_time_is_one_over_the_spectral_gap(slots, share):
    """A room twice as large errs a fourth as much, so that the two differ by three fourths of the smaller one's error;
    beside that nothing but 1e-4 of an isolated eigenvalue is left, save for 2 slots at a tenth of their capacity."""
    load, most = share * slots, int(slots + 300 / (1 - share))
    rough, gap = (spectral_gap(slots, load, each) for each in (most, 2 * most))
    assert abs(rough - gap) < 1e-3 * gap
    if (slots, share) != (2, 0.1):
        assert relaxation_time(slots, load, 1.0) * gap == pytest.approx(1.0, rel=1e-4 + (rough - gap) / gap)


@pytest.mark.parametrize(
    ("slots", "share", "short"), [(2, 0.1, 0.012), (4, 0.25, 0.059), (8, 0.4, 0.044), (40, 0.7, 0.050)]
)
def test_where_both_of_its_rates_are_alike_the_relaxation_time_is_short(slots, share, short):
    load = share * slots
    told = relaxation_time(slots, load, 1.0) * spectral_gap(slots, load, int(slots + 600 / (1 - share)))
    assert 1.0 - told == pytest.approx(short, abs=1e-3)


@pytest.mark.parametrize(
    ("slots", "gone", "load"), [(10, 2, 7.0), (10, 1, 8.0), (4, 1, 2.0), (20, 5, 13.0), (3, 1, 1.7)]
)
def test_the_transient_is_less_than_the_label_says(slots, gone, load):
    """From the pool's stationary state thinned by the batch: the mean latency averaged over the absence, exactly."""
    left, most = slots - gone, 400
    diagonal, beside, root = chain(left, load, most)
    values, vectors = linalg.eigh_tridiagonal(diagonal, beside)
    n = np.arange(most + 1)
    before = chain(slots, load, most)[2] ** 2
    first = np.zeros(most + 1)
    for m, p in enumerate(before):
        if m > slots:
            first[m - gone] += p
        else:
            kept = np.arange(max(0, m - gone), min(m, left) + 1)
            first[kept] += p * stats.hypergeom.pmf(kept, slots, left, m)
    assert first.sum() == pytest.approx(1.0)
    delay = np.maximum(n - left + 1, 0) / left
    stationary = 1.0 + delay @ root**2
    for away in [20.0, 60.0, 200.0]:
        safe = np.where(values < -1e-9, values, -1.0)
        decay = np.where(values < -1e-9, np.expm1(values * away) / (safe * away), 1.0)
        mean = 1.0 + (delay * root) @ (vectors @ (decay * (vectors.T @ (first / root))))
        model = RollingDeploy(load, slots, gone, 1.0, away - 1.0, service=E(1.0))
        off = 1.0 - mean / stationary
        stated = (1.0 - 1.0 / stationary) * min(1.0, model.relaxation_time / away)
        assert 0 < off < stated
        assert (model.accuracy("latency_during").error or 1.0) >= off
        if stated < 0.15:
            assert model.latency_during.mean() == pytest.approx(stationary, rel=1e-9)


TWINS = [
    RollingDeploy(pause=0.0, drain=0.1, restart=40.0),
    RollingDeploy(
        arrival_rate=200.0, servers=6, batch=2, workers=8, drain=0.3, restart=20.0, pause=5.0, service=E(0.15)
    ),
    RollingDeploy(batch=4, pause=5.0),
    RollingDeploy(batch=5, service=sm.LogNormal(0.1, 3.0), restart=40.0, pause=90.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", TWINS, ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 40 * model.requests_in_deploy, seed=4).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    wanted = {"backlog", "longest_wait"} if model.utilization_during > 1 else {"latency_during p99", "requests_cut"}
    assert wanted <= set(table.index)
    assert table.loc[list(wanted), "smallest_error"].max() < 0.9


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_is_seen():
    swamped = RollingDeploy(arrival_rate=90.0, batch=8, pause=60.0, service=E(0.08))
    found = swamped.simulate(60 * swamped.requests_in_deploy, seed=3)
    for closed, estimate in [(swamped.backlog, found.backlog), (swamped.longest_wait, found.longest_wait)]:
        low, high = estimate.interval(1 - 1e-6 / 2)
        assert low < closed < high
        assert not low < 1.03 * closed < high
        assert not low < 0.97 * closed < high


@pytest.mark.slow
def test_how_many_are_cut_with_and_without_a_pause():
    """Without one the servers that leave next have all the load; with one it has evened out."""
    busy = RollingDeploy(7.0, 10, 2, 0.5, 19.5, 0.0, E(1.0))
    for model in [busy, busy.replace(pause=0.2), busy.replace(pause=10.0)]:
        found = model.simulate(400 * model.requests_in_deploy, seed=6).requests_cut
        reach = student(1 - 1e-6 / 3, found.freedom) * found.error
        assert abs(found.value - model.requests_cut) < reach < 0.2 * found.value
    assert busy.requests_cut == pytest.approx(math.exp(-0.5) * (2 * 0.7 + 8 * 7 / 8))
    assert busy.replace(pause=10.0).requests_cut == pytest.approx(7 * math.exp(-0.5), rel=1e-6)
    assert RollingDeploy(drain=0.03, service=sm.Deterministic(0.1)).probability_cut == pytest.approx(0.7, rel=1e-3)
    assert RollingDeploy(drain=0.2, service=sm.Deterministic(0.1)).probability_cut == pytest.approx(0.0, abs=1e-12)


def test_numbers_that_can_be_counted():
    model = RollingDeploy(servers=7, batch=3, drain=5.0, restart=55.0, pause=30.0, arrival_rate=35.0)
    assert model.duration == 3 * 60 + 2 * 30
    assert model.capacity_left == pytest.approx(40.0)
    assert (model.utilization, model.utilization_during) == pytest.approx((0.5, 0.875))
    assert model.largest_batch == 3
    assert RollingDeploy().largest_batch == 2  # ten servers for seven erlangs: seven of them would be full
    assert RollingDeploy(arrival_rate=95.0).largest_batch == 0
    assert RollingDeploy(batch=20).utilization_during == math.inf


@pytest.mark.parametrize(("rate", "workers"), [(30.0, 1), (70.0, 1), (95.0, 1), (300.0, 8)])
@pytest.mark.parametrize("latency", [0.3, 0.47, 0.5, 0.7, 2.0])
def test_the_largest_batch_that_holds_is_found_by_trying(rate, workers, latency):
    model = RollingDeploy(rate, workers=workers)
    holds = [sm.CentralQueue(rate, 10 - b, E(0.1), workers).latency.icdf(0.99) <= latency for b in range(10)]
    expected = max([b for b in range(10) if all(holds[: b + 1])], default=0)
    assert model.largest_batch_holding(latency) == expected


def test_overload_and_what_is_refused():
    over = RollingDeploy(arrival_rate=120.0)
    assert over.latency == over.latency_during == sm.Never()
    assert (over.backlog, over.longest_wait, over.drain_time) == (math.inf,) * 3
    with pytest.raises(sm.NotSettled, match="at or over capacity"):
        over.simulate(10)
    for model, metric in [
        (RollingDeploy(batch=4), "latency_during"),
        (RollingDeploy(batch=4), "requests_cut"),
        (RollingDeploy(), "backlog"),
        (RollingDeploy(restart=1.0), "latency_during"),
        (RollingDeploy(service=sm.LogNormal(0.1, 3.0)), "relaxation_time"),
    ]:
        assert model.accuracy(metric).label == "simulated"
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            getattr(model, metric)
    with pytest.raises(sm.NoClosedForm, match="exponential service only"):
        RollingDeploy(service=sm.Deterministic(0.1)).largest_batch_holding(1.0)
    with pytest.raises(ValueError, match="are too many to simulate"):
        RollingDeploy(arrival_rate=90.0, servers=10, restart=1e6).simulate(10)
    with pytest.raises(ValueError, match=r"RollingDeploy\.service must have a mean in"):
        RollingDeploy(service=sm.Deterministic(0.0))


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        RollingDeploy,
        arrival_rate=st.floats(1.0, 200.0),
        servers=st.integers(1, 30),
        batch=st.integers(1, 30),
        drain=st.floats(0.0, 30.0),
        restart=st.floats(0.1, 300.0),
        pause=st.floats(0.0, 100.0),
        workers=st.integers(1, 8),
        service=st.floats(0.005, 1.0).map(E),
    )
)
def test_what_is_refused_is_not_labelled_and_the_rest_keeps_its_order(model):
    for name in model.answers():
        if model.accuracy(name).error is None:
            with pytest.raises(sm.NoClosedForm):
                getattr(model, name)
        else:
            assert getattr(model, name) is not None
    assert model.utilization_during > model.utilization
    assert 0 <= model.probability_cut <= 1
    assert len(model.course(np.linspace(0.0, 2 * model.duration, 7))) == 7
    if 0 < model.largest_batch < model.servers:
        assert model.replace(batch=model.largest_batch).utilization_during < 1
        assert model.replace(batch=model.largest_batch + 1).utilization_during >= 1


def test_no_batch_may_leave_where_services_have_no_end():
    assert RollingDeploy(service=sm.Never()).largest_batch == 0


def test_hardly_anybody_waits_for_many_workers():
    """So few that their share has no float: the latency is the service all the same."""
    deploy = RollingDeploy(70.0, 10, 2, service=sm.Uniform(0.005, 0.020), workers=23)
    assert deploy.latency.mean() == pytest.approx(0.0125)
    assert deploy.latency_during.icdf(0.5) == pytest.approx(0.0125)


def test_no_drain_is_told_where_the_batch_takes_about_as_many_at_once_as_wait():
    model = RollingDeploy(11_000.0, 2, 1, 0.0, 1.0, 30.0, E(0.1), 1000)
    assert model.accuracy("backlog").label == "within 3%"
    assert model.accuracy("drain_time").label == "simulated"
    assert model.replace(restart=5.0).accuracy("drain_time").label == "within 3%"
