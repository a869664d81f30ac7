"""Tiers in sequence: the kernel path by path, the closed forms by other routes, and by simulation.

False-alarm rate of one verification 1e-6; seeds are fixed.
"""

import collections
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.tandem import Line, tandem_times
from scaling_models.montecarlo.kernels.tiers import Tiers
from scaling_models.pools import BalancedPool, CentralQueue, Tandem, Tier, erlang_c
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.formulas.deterministic_queue import deterministic_wait_pdf
from scaling_models.pools.times.constant_wait import ConstantServiceWait
from scaling_models.pools.times.phase_times import PhaseResponse

E = sm.Exponential


def line_of(*slots_and_means):
    return tuple(Tier(slots, 1, E(mean)) for slots, mean in slots_and_means)


def played(services, gaps, chances, line):
    """One lane from empty by a plain loop: (latencies by row, stays by tier and row)."""
    tiers, now, coming = len(line.slots), 0.0, 0.0
    inside = [[] for _ in range(tiers)]  # [end, slot, born, entered]
    queues = [collections.deque() for _ in range(tiers)]
    latencies, stays = {}, [{} for _ in range(tiers)]
    for row in range(len(gaps)):
        ends = [(each[0], tier, each) for tier in range(tiers) for each in inside[tier]]
        first = min(ends, key=lambda end: end[0], default=None)
        if first is not None and first[0] <= coming:
            now, tier, each = first
            inside[tier].remove(each)
            stays[tier][row] = now - each[2]
            born, here = each[1], tier
        else:
            now, born, here = coming, coming, -1
            coming += gaps[row]
        target = tiers
        if here >= 0 and chances[row][here] < line.again[here]:
            target = here
        else:
            for tier in range(here + 1, tiers):
                if chances[row][tier] < line.entered[tier]:
                    target = tier
                    break
        if target == tiers:
            latencies[row] = now - born
        elif len(inside[target]) < line.slots[target] and not queues[target]:
            inside[target].append([now + services[row][target], born, now])
        else:
            queues[target].append((born, now))
        if here >= 0 and queues[here] and len(inside[here]) < line.slots[here]:
            born, entered = queues[here].popleft()
            inside[here].append([now + services[row][here], born, entered])
    return latencies, stays


@pytest.mark.parametrize(
    "line",
    [
        Line((1, 1), (1.0, 1.0), (0.0, 0.0)),
        Line((2, 3, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
        Line((1, 2, 2), (1.0, 0.4, 1.0), (0.5, 0.0, 0.3)),
        Line((1, 2), (0.7, 0.2), (0.0, 0.0)),
    ],
    ids=repr,
)
def test_paths_are_those_of_a_plain_loop_whatever_the_blocks(line):
    rng = np.random.default_rng(7)
    kinds, steps, lanes = len(line.slots), 500, 3
    gaps = rng.standard_exponential((steps, lanes)) * 1.2
    services = rng.standard_exponential((steps, kinds, lanes)) * np.array(line.slots)[:, None]
    chances = rng.random((steps, kinds, lanes))
    slots = sum(line.slots)
    state = Tiers(
        np.zeros(lanes),
        np.full((lanes, slots), np.inf),
        np.zeros((lanes, slots, 3)),
        np.zeros((lanes, kinds, 2, 3)),
        np.zeros((lanes, kinds), dtype=np.intp),
        np.zeros((lanes, kinds), dtype=np.intp),
    )
    found = []
    for rows in (slice(0, 200), slice(200, 201), slice(201, steps)):
        times, _, state = tandem_times(services[rows], gaps[rows], chances[rows], None, state, line)
        found.append(times)
    for lane in range(lanes):
        latencies, stays = played(services[..., lane], gaps[:, lane], chances[..., lane], line)
        expected = {"latency": latencies, **{f"tier_{tier}": stay for tier, stay in enumerate(stays)}}
        for name, told in expected.items():
            column = np.concatenate([times[name][:, lane] for times in found])
            assert np.flatnonzero(np.isfinite(column)).tolist() == sorted(told)
            np.testing.assert_allclose(column[np.isfinite(column)], [told[row] for row in sorted(told)], atol=1e-9)


@given(st.floats(0.05, 0.95), st.integers(1, 30))
def test_one_tier_is_one_queue(load, slots):
    rate = load * slots / 0.01
    one, plain = Tandem(rate, (Tier(slots, 1, E(0.01)),)), CentralQueue(rate, slots, E(0.01))
    assert one.latency == plain.latency
    assert one.utilization == pytest.approx(plain.utilization)
    assert one.in_flight == pytest.approx(plain.in_flight)


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=5))
def test_single_servers_in_sequence_are_a_sum_of_exponentials(loads):
    """Reich 1957: the sojourns in M/M/1 are independent and exponential with rate mu - lambda."""
    tiers = tuple(Tier(1, 1, E(load)) for load in loads)
    model = Tandem(1.0, tiers)
    means = [load / (1.0 - load) for load in loads]
    assert model.latency.mean() == pytest.approx(sum(means), rel=1e-6)
    assert model.latency.variance() == pytest.approx(sum(mean**2 for mean in means), rel=1e-5)
    assert model.accuracy("latency", 0.99).label == "exact"


def test_equal_single_servers_are_erlang():
    model = Tandem(0.7, tuple(Tier(1, 1, E(1.0)) for _ in range(4)))
    levels = [0.01, 0.5, 0.99, 0.9999]
    np.testing.assert_allclose(model.latency.icdf(levels), sm.Erlang(4 / 0.3, 4).icdf(levels), rtol=1e-6)


def test_serial_stage_after_a_pool_adds_one_exponential_time():
    """Amdahl: a shared stage of demand s after M/M/c adds 1/(1/s - lambda), and no load above 1/s is carried."""
    for rate in (50.0, 300.0, 499.0):
        model = Tandem(rate, line_of((10, 0.01), (1, 0.002)))
        a = rate * 0.01
        pool = 0.01 + erlang_c(10, a) / (1000.0 - rate)
        assert model.latency.mean() == pytest.approx(pool + 1.0 / (500.0 - rate), rel=1e-6)
    assert model.most_load == pytest.approx(500.0)
    assert model.bottleneck == 2


def test_visits_multiply_the_load_and_the_time():
    model = Tandem(100.0, (Tier(4, 1, E(0.01), 3.0), Tier(1, 1, E(0.004), 0.5)))
    assert model.utilizations == pytest.approx((0.75, 0.2))
    assert model.most_load == pytest.approx(133.3333333)
    first, second = CentralQueue(300.0, 4, E(0.01)), CentralQueue(50.0, 1, E(0.004))
    assert model.tier_times == pytest.approx((3 * first.latency.mean(), 0.5 * second.latency.mean()))
    assert model.latency.mean() == pytest.approx(sum(model.tier_times))
    assert not model.latency.spread_known
    assert model.accuracy("latency").label == "exact"
    assert model.accuracy("latency", 0.99).label == "simulated"


def test_last_tier_may_have_any_known_service():
    model = Tandem(80.0, (Tier(2, 1, E(0.01)), Tier(1, 1, sm.Deterministic(0.01))))
    pool, last = CentralQueue(80.0, 2, E(0.01)), CentralQueue(80.0, 1, sm.Deterministic(0.01))
    assert model.latency.mean() == pytest.approx(pool.latency.mean() + last.latency.mean(), rel=1e-6)
    assert model.accuracy("latency", 0.99).label == "exact"
    for tiers in [
        (Tier(1, 1, sm.Deterministic(0.01)), Tier(1, 1, E(0.01))),
        (Tier(1, 1, E(0.01)), Tier(1, 1, sm.Deterministic(0.001), 2.0)),
        (Tier(1, 1, E(0.01)), Tier(3, 1, sm.LogNormal(0.01, 2.0))),
    ]:
        other = Tandem(80.0, tiers)
        with pytest.raises(sm.NoClosedForm, match="for exponential services"):
            other.latency  # noqa: B018
        assert other.accuracy("latency").label == other.accuracy("in_flight").label == "simulated"
        assert other.accuracy("utilization").label == "exact"


def test_overload_is_an_answer():
    model = Tandem(1000.0)
    assert model.utilization > 1
    assert model.latency.mean() == model.in_flight == math.inf
    assert math.inf in model.tier_times
    with pytest.raises(sm.montecarlo.estimates.NotSettled, match="at or over capacity"):
        model.simulate(1000)


def test_illegal_tiers_are_refused():
    with pytest.raises(ValueError, match=r"Tier\.service must have a finite mean above 0 s"):
        Tier(1, 1, sm.Deterministic(0.0))
    with pytest.raises(ValueError, match=r"Tier.visits must lie in \(0, 1000\) visits; got 0"):
        Tier(visits=0.0)
    with pytest.raises(ValueError, match=r"Tandem.tiers must have 1 to 20 items"):
        Tandem(1.0, ())
    assert Tandem(1.0, [Tier()]).tiers == (Tier(),)


class WrongTandem(Tandem):
    """Three per cent off."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Three per cent low."""
        return Tandem.latency.compute(self) * 0.97


@pytest.mark.slow
def test_what_is_three_per_cent_wrong_fails():
    table = sm.verify(WrongTandem(), seed=3).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees", table.to_string()


CASES = {
    "first and last overtake": Tandem(1.0, line_of((3, 2.0), (1, 0.6), (3, 2.0))),
    "overtaken in the middle": Tandem(1.0, line_of((1, 0.7), (12, 6.0), (1, 0.7))),
    "visits": Tandem(1.0, (Tier(3, 1, E(0.5), 3.0), Tier(1, 1, E(1.2), 0.5))),
    "constant at last": Tandem(1.0, (Tier(2, 1, E(1.2)), Tier(1, 1, sm.Deterministic(0.6)))),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", CASES.values(), ids=CASES)
def test_closed_forms_agree(model):
    table = sm.verify(model, requests=300_000, seed=5)
    assert (table.verdict == "agrees").all(), table.to_string()


@pytest.mark.slow
def test_large_requests_are_missed():
    table = sm.verify(Tandem(), requests=300_000, seed=3, violating="large requests are large everywhere").set_index(
        "quantity"
    )
    assert table.loc["latency p99", "verdict"] == "missed"
    assert table.loc["latency p99", "miss"] < -0.05


def test_exponential_work_makes_a_tandem():
    pool = BalancedPool(800.0, 1, E(0.0008), 10, E(0.010))
    pair = Tandem(800.0, (Tier(1, 1, E(0.0008)), Tier(10, 1, E(0.010))))
    np.testing.assert_allclose(pool.latency.icdf([0.5, 0.99]), pair.latency.icdf([0.5, 0.99]))
    assert pool.accuracy("latency", 0.99).label == "exact"
    assert pool.in_flight == pytest.approx(pair.in_flight)


def test_the_balancer_can_be_full_first():
    pool = BalancedPool(balancers=1, work=sm.Deterministic(0.002))
    assert pool.balancer_limit == pool.most_load == pytest.approx(500.0)
    assert pool.pool_limit == pytest.approx(1000.0)
    assert pool.utilization == pool.balancer_utilization > 1
    assert pool.latency.mean() == math.inf
    assert pool.replace(balancers=4).latency.mean() < 0.02
    with pytest.raises(ValueError, match=r"BalancedPool\.work must have a finite mean above 0 s"):
        BalancedPool(work=sm.Deterministic(0.0))


def test_busy_balancers_and_varied_work_are_not_answered():
    for pool in (BalancedPool(balancers=2), BalancedPool(balancers=1, work=sm.Hyperexponential(0.0003, 4.0))):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            pool.latency  # noqa: B018
        assert pool.accuracy("latency").label == "simulated"
        assert pool.balancer_time.mean() > 0.0002
        assert pool.accuracy("balancer_time").label == "exact"


@pytest.mark.slow
def test_even_work_makes_the_sum_a_little_too_long():
    """The worst of what is answered: one process, half busy, before one slot."""
    table = sm.verify(BalancedPool(1.0, 1, sm.Deterministic(0.5), 1, E(0.6)), requests=600_000, seed=2)
    table = table.set_index("quantity")
    assert (table.verdict == "agrees").all(), table.to_string()
    assert table.loc["latency mean", "closed_form"] > table.loc["latency mean", "low"]
    assert table.loc["balancer_time mean", "accuracy"] == "exact"


def test_several_overtaken_tiers_are_labelled_so():
    assert Tandem(1.0, line_of((1, 0.5), (4, 0.5), (1, 0.5))).accuracy("latency", 0.99).label == "within 3%"
    two = Tandem(1.0, line_of((1, 0.5), (4, 0.5), (1, 0.5), (4, 0.5), (1, 0.5)))
    assert two.accuracy("latency", 0.99).label == "within 15%"
    assert two.accuracy("latency").label == "exact"


def test_the_density_of_constant_waits_is_their_slope() -> None:
    for slots, load in ((1, 0.4), (4, 0.8), (30, 0.9)):
        wait = ConstantServiceWait(slots * load, slots, 1.0)
        t = np.linspace(0.011, 6.013, 200)
        direct = deterministic_wait_pdf(t, slots * load, slots, 1.0)
        alive = wait.ccdf(t) > 1e-10
        assert wait.pdf(t)[alive] == pytest.approx(direct[alive], rel=1e-7)  # 14 nodes on a slope of log ccdf to 1e-11


def test_a_sum_over_a_lattice_is_as_sharp_as_the_lattice() -> None:
    service, after = sm.Erlang(0.002, 3), sm.Exponential(0.010)
    lattice, phases = Station(300.0, 1, service, 1).latency, PhaseResponse(300.0, 1, service)
    levels = np.array([0.1, 0.5, 0.9, 0.99, 0.9999])
    assert (lattice + after).icdf(levels) == pytest.approx((phases + after).icdf(levels), rel=5e-6)
    assert lattice.icdf(levels) == pytest.approx(phases.icdf(levels), rel=5e-6)


@pytest.mark.parametrize("service", [sm.Deterministic(1.0), sm.Deterministic(0.5), sm.LogNormal(1.0, 0.1)])
def test_a_pool_of_even_services_is_told_only_where_it_hardly_adds(service):
    """Behind constant work constant services as long never wait: all wait is the balancer's, 0.5 s at half load."""
    pool = BalancedPool(0.5, 1, sm.Deterministic(1.0), 1, service)
    assert pool.accuracy("latency").label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        _ = pool.latency


def test_where_even_services_hardly_wait_the_sum_is_off_by_no_more_than_said():
    """Simulated at the seed: 2 million events tell the mean to 0.2% at a false-alarm rate of 1e-6."""
    pool = BalancedPool(2.0, 4, sm.Deterministic(1.0), 4, sm.Deterministic(1.0))
    said, found = pool.accuracy("latency"), pool.simulate(2_000_000, 1).latency.mean_estimate()
    assert said.label == "within 15%"
    assert abs(pool.latency.mean() - found.value) <= said.error * found.value + 5.0 * found.error
