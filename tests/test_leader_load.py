"""A leader under load: what a command costs by hand, the events one by one, and waits beside the simulation.

False-alarm rate of the comparisons with simulation 1e-6 each verification; seeds are fixed, so a pass stays one.
"""

import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, mean, ratio, run

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency import Never
from scaling_models.latency.quadrature import moments
from scaling_models.montecarlo.kernels.leader_load import Desk, Rounds, Server, leader_steps
from scaling_models.montecarlo.kernels.leader_loops import loop_throughput
from scaling_models.montecarlo.streams import stream
from scaling_models.quorums import LeaderLoad
from scaling_models.quorums.acked_round import AckedRound, acked_round
from scaling_models.quorums.formulas import leader_load as formulas
from scaling_models.quorums.formulas.elections import heartbeat_messages
from scaling_models.quorums.leader_waits import two_waits

E, D = sm.Exponential, sm.Deterministic
CALM = LeaderLoad(arrival_rate=3000.0)


def empty(lanes, followers, first):
    """An idle desk whose first commands come at these times."""
    rounds = Rounds(
        np.zeros((lanes, 1, followers)),
        np.zeros((lanes, 1)),
        np.zeros((lanes, 1), dtype=int),
        np.full((lanes, 1), np.inf),
    )
    return Desk(np.zeros(lanes), first, rounds)


def by_events(rules, gaps, trips, first):
    """Latencies in the order in which work is taken up, by a calendar; draws belong to steps, as in the kernel."""
    calendar, free, found, acks, began, serial = [(first, 1, 0, None)], 0.0, [], {}, {}, itertools.count(1)
    for gap, trip in zip(gaps, trips, strict=True):
        now, kind, _, command = heapq.heappop(calendar)
        free = max(free, now) + (rules.request if kind else rules.acknowledgement)
        if kind:
            command = next(serial)
            began[command], acks[command] = now, 0
            for number, wait in enumerate(trip):
                heapq.heappush(calendar, (free + wait, 0, number, command))
            heapq.heappush(calendar, (now + gap, 1, 0, None))
        else:
            acks[command] += 1
        answered = rules.needed == 0 if kind else acks[command] == rules.needed
        if answered:
            free += rules.reply
        found.append(free - began[command] if answered else math.nan)
    return found


@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([0.5, 2.0, 30.0]))
@settings(max_examples=80, deadline=None)
def test_every_path_is_that_of_the_events(seed, followers, trip):
    rng = np.random.default_rng(seed)
    rules = Server(E(1.0), E(trip), followers, int(rng.integers(1, followers + 1)), 0.4, 0.1, 0.05)
    gaps, trips = rng.exponential(1.0, (90, 3)), np.sort(rng.exponential(trip, (90, 3, followers)), axis=2)
    first = rng.exponential(1.0, 3)
    one, middle = leader_steps(rules, gaps[:40], trips[:40], empty(3, followers, first))
    two, _ = leader_steps(rules, gaps[40:], trips[40:], middle)
    latency = np.concatenate([one.latency, two.latency])
    for lane in range(3):
        expected = by_events(rules, gaps[:, lane], trips[:, lane], first[lane])
        np.testing.assert_allclose(latency[:, lane], expected, rtol=0, atol=1e-9)


def test_a_leader_alone_is_one_queue():
    """Without followers M/D/1: by Pollaczek and Khinchine, and by the share of time that it is busy."""
    sums = run(Server(E(1.0), D(1.0), 0, 0, 0.5, 0.0, 0.2), 6000, warm_up=1000)
    assert_agrees(ratio(sums["busy"], sums["time"]), 0.7)
    assert_agrees(mean(sums, "latency"), 0.7 + 0.7**2 / (2.0 * 0.3))


def test_an_idle_leader_is_the_round_with_its_acknowledgements():
    """Commands far apart: the exact law of the round."""
    server = Server(D(1000.0), E(3.0), 4, 2, 0.5, 0.7, 0.2)
    sums = run(server, 6000, warm_up=500)
    assert_agrees(mean(sums, "latency"), 0.7 + AckedRound(E(3.0), 4, 2, 0.7).mean())


def test_the_round_against_draws():
    """Shares of 400,000 draws at 5.5 binomial standard errors (4e-8), for few and many acknowledgements at a time."""
    rng = np.random.default_rng(5)
    for law, k, m, work in (
        (sm.LogNormal(1.0, 0.3), 4, 2, 0.2),
        (E(1.0), 8, 5, 0.3),
        (sm.Uniform(0.5, 1.0), 3, 3, 0.4),
    ):
        found = AckedRound(law, k, m, work)
        drawn = np.sort(law.sample((400_000, k), rng=rng), axis=1)[:, :m]
        over = np.max(drawn + work * np.arange(m, 0, -1), axis=1)
        for t in np.quantile(over, [0.1, 0.5, 0.9, 0.99]):
            p = float(found.ccdf(t))
            assert abs(np.mean(over > t) - p) < 5.5 * math.sqrt(p * (1.0 - p) / len(over))
        assert found.mean() == pytest.approx(moments(found)[0])
        assert over.mean() == pytest.approx(found.mean(), abs=5.5 * over.std() / math.sqrt(len(over)))


def test_the_round_in_its_limits():
    t = np.array([0.3, 0.8, 2.0, 9.0])
    plain = sm.k_of_n(2, [E(1.0)] * 4)
    np.testing.assert_allclose(AckedRound(E(1.0), 4, 2, 1e-12).ccdf(t), plain.ccdf(t), rtol=1e-7)
    np.testing.assert_allclose(AckedRound(E(1.0), 3, 1, 0.25).ccdf(t), np.exp(-3.0 * (t - 0.25)), rtol=1e-7)
    assert acked_round(E(1.0), 4, 2, 0.0) == plain
    assert acked_round(D(1.0), 4, 3, 0.1) == D(1.3)
    # Two of two: both by t - A, the first by t - 2A; the second order statistic by hand.
    both, late = (1.0 - math.exp(-0.9)) ** 2, (math.exp(-0.8) - math.exp(-0.9)) ** 2
    assert AckedRound(E(1.0), 2, 2, 0.1).cdf(1.0) == pytest.approx(both - late, rel=1e-8)
    with pytest.raises(ValueError, match=r"AckedRound.needed must lie in \[1, 2\], the followers; got 3"):
        AckedRound(E(1.0), 2, 3)


def test_what_a_command_costs():
    model = LeaderLoad(5, 1000.0, 50e-6, 10e-6, 5e-6, command_bytes=1000.0, bandwidth=1e9)
    assert model.work == pytest.approx(50e-6 + 5 * 10e-6 + 5 * 5e-6 + 4e-6)  # n in, n out, and the wire
    assert model.messages == 10.0
    assert model.traffic == 5000.0
    assert model.network_bound == pytest.approx(250_000.0)
    assert model.processor_bound == pytest.approx(1.0 / 125e-6)
    assert model.throughput_bound == pytest.approx(1.0 / model.work)
    assert model.replace(broadcast="serialised once").work == pytest.approx(model.work - 3 * 5e-6)
    thrifty = model.replace(broadcast="thrifty")
    assert thrifty.messages == 6.0  # 2q
    assert thrifty.work == pytest.approx(50e-6 + 3 * 15e-6 + 2e-6)
    assert thrifty.follower_utilization == pytest.approx(model.follower_utilization / 2.0)


def test_what_binds():
    assert CALM.binds == "processor"
    assert CALM.replace(command_bytes=1e6).binds == "network"
    assert CALM.replace(fsync=0.01, flush_size=1).binds == "disk"
    assert CALM.replace(fsync=0.01, flush_size=1).throughput_bound == pytest.approx(100.0)


def test_serialised_once_is_the_published_count():
    model = LeaderLoad(5, 100.0, 0.0, 25e-6, 1e-6, "serialised once", 0.0)
    assert 1.0 / model.work == pytest.approx(float(formulas.round_throughput(5, 25e-6, 1e-6)))


def test_many_groups():
    model = LeaderLoad(leader_share=1.0)
    assert model.groups_bound == pytest.approx(1.0 / model.work)
    spread = model.replace(leader_share=0.2)
    assert spread.groups_bound == pytest.approx(5.0 / (model.work + 4.0 * 15e-6))  # all five nodes' time
    beats = [LeaderLoad(groups=1000, leader_share=share, heartbeat=0.5).heartbeats for share in (0.2, 1.0)]
    sent = float(heartbeat_messages(1000, 5, 0.5))
    assert beats == pytest.approx([2.0 * sent * 2.0 / 5.0, 2.0 * sent])  # each message is one node's out, another's in


def constant_wait(rate, job):
    """Mean wait of an M/D/1 (Pollaczek and Khinchine)."""
    return rate * job**2 / (2.0 * (1.0 - rate * job))


def test_heavy_and_light_load_in_their_limits():
    work, trip = formulas.Work(40e-6, 10e-6, 4, 0.0), sm.LogNormal(0.01, 1.0)
    job, rate = work.whole, 1.0
    poisson = work.request**2 + 4 * work.acknowledgement**2
    assert formulas.leader_wait(rate, work, trip) == pytest.approx(rate * poisson / 2.0, rel=0.001)
    rate = 0.9999999 / job  # of what waits, the acknowledgements to come are not there yet
    whole = constant_wait(rate, job) / (1.0 + 40e-6 / job)
    assert formulas.leader_wait(rate, work, trip) == pytest.approx(whole, rel=0.001)
    assert math.isinf(formulas.leader_wait(1.001 / job, work, trip))
    alone = formulas.Work(1e-4, 0.0, 0, 0.0)
    assert formulas.leader_wait(5000.0, alone, trip) == pytest.approx(constant_wait(5000.0, 1e-4))


@pytest.mark.parametrize("load", [0.1, 0.5, 0.65, 0.8, 0.9])
def test_two_waits_have_their_mean(load):
    law = two_waits(load, 0.003)
    assert law.mean() == pytest.approx(0.006)
    never = (1.0 - load) ** 2 if load <= 0.5 else None
    assert never is None or law.cdf(0.0) == pytest.approx(never)
    assert two_waits(load, 0.0) == D(0.0)


def test_overload_is_an_answer():
    over = LeaderLoad(arrival_rate=50_000.0)
    assert over.latency.lost == 1.0
    assert over.utilization > 1.0
    assert over.accuracy("latency").label == "exact"
    with pytest.raises(ValueError, match="it has no steady state"):
        over.simulate(1000)
    busy = LeaderLoad(arrival_rate=0.95 * LeaderLoad().throughput_bound)
    with pytest.raises(sm.NoClosedForm, match=r"the load is 0.95, more than 0.9: simulate it"):
        busy.latency  # noqa: B018
    assert busy.accuracy("latency").label == "simulated"
    slow = LeaderLoad(fsync=0.1, flush_size=1)
    assert slow.flush_time.lost == 1.0
    full = LeaderLoad(fsync=0.01, flush_size=60)
    with pytest.raises(sm.NoClosedForm, match="a flush takes all that wait"):
        full.flush_time  # noqa: B018


def test_full_flushes_wait_for_the_next():
    """Simulated where no formula is: one command a flush is M/D/1, its mean by Pollaczek and Khinchine."""
    model = LeaderLoad(arrival_rate=500.0, fsync=0.001, flush_size=1, round_trip=D(0.002))
    found = model.simulate(400_000, 2)
    low, high = found.flush_time.mean_interval(1.0 - 1e-6)
    assert low < 0.001 * (1.0 + 0.5 / (2.0 * 0.5)) < high
    assert found.flushed_together.value == pytest.approx(1.0)


def test_closed_loops():
    assert formulas.closed_bound(1000, 0.0226, 1e-5) == pytest.approx(1000 / 0.0226)
    assert formulas.closed_bound([1, 10_000], 0.01, 1e-4) == pytest.approx([100.0, 10_000.0])
    assert formulas.closed_throughput(3, lambda rate: 1.0 / (100.0 - rate), 100.0) == pytest.approx(75.0)  # M/M/1
    assert formulas.closed_throughput(3, lambda rate: 0.01, 100.0) == pytest.approx(100.0)
    assert CALM.closed_bound == pytest.approx(min(100 / CALM._idle.mean(), 1.0 / CALM.work))


CASES = [
    CALM,
    LeaderLoad(arrival_rate=6000.0),
    LeaderLoad.example(),
    LeaderLoad(3, 6000.0, broadcast="thrifty", round_trip=E(0.003)),
    LeaderLoad(9, 3500.0, broadcast="serialised once", round_trip=sm.LogNormal(0.002, 0.01)),
    LeaderLoad(arrival_rate=2000.0, round_trip=D(0.002)),
]


@pytest.mark.parametrize("model", CASES, ids=lambda model: f"{model.members} {model.broadcast} {model.arrival_rate:g}")
def test_waits_are_within_what_is_stated(model):
    # Of a leader so busy, 600,000 steps hold only a dozen independent visits beyond p99, and nothing is said of it.
    table = sm.verify(model, requests=1_500_000 if model.utilization > 0.85 else 600_000, seed=3)
    assert (table.verdict == "agrees").all(), table.to_string()


class Wrong(LeaderLoad):
    """Two of the answers three per cent off, and the mean by more than it may be."""

    @answer("", "wrong")
    def utilization(self):
        """Three per cent high."""
        return LeaderLoad.utilization.compute(self) * 1.03

    @answer("s", "wrong")
    def flush_time(self):
        """Three per cent high."""
        return LeaderLoad.flush_time.compute(self) * 1.03

    @answer("s", "wrong")
    def latency(self):
        """Six per cent high where three are stated."""
        return LeaderLoad.latency.compute(self) * 1.06


def test_what_is_wrong_is_seen():
    table = sm.verify(Wrong(arrival_rate=3000.0), requests=2_000_000).set_index("quantity")
    wrong = ["utilization", "flush_time mean", "flush_time p99", "latency mean"]
    assert (table.loc[wrong, "verdict"] == "disagrees").all(), table.to_string()


def test_bursts_are_missed():
    table = sm.verify(CALM, requests=400_000, violating="commands in bursts").set_index("quantity")
    assert table.loc["latency p99", "miss"] < 0.0
    assert table.loc["flushed_together", "miss"] < -0.1


def test_a_rush_is_not_forgotten_at_once():
    seen = CALM.timeline(1)
    (begins, _), (ends, _) = seen.marks
    latency = seen.lines["latency"]
    assert np.median(latency[(seen.times > 0.8 * ends) & (seen.times < ends)]) > 2 * np.median(
        latency[seen.times < begins]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 1}, r"LeaderLoad.members must be a whole number in \[2, 31\]; got 1"),
        ({"round_trip": Never()}, "LeaderLoad.round_trip must have a finite mean"),
        ({"request_work": 0.0, "receive_work": 0.0, "send_work": 0.0, "command_bytes": 0.0}, "must lie above 0 s"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        LeaderLoad(**options)


def test_a_finite_source_by_its_recursion():
    """Mean value analysis, client by client: R = s (1 + Q), X = C / (Z + R), Q = X R."""
    for away, work in ((3.0, 1.0), (40.0, 0.7), (0.5, 2.0)):
        queue = 0.0
        for clients in range(1, 61):
            response = work * (1.0 + queue)
            rate = clients / (away + response)
            queue = rate * response
            found = formulas.finite_source_throughput(clients, away, work)
            assert found == pytest.approx(rate, rel=1e-10)
    assert formulas.finite_source_throughput(10**6, 1.0, 1e-4) == pytest.approx(1e4)
    assert formulas.finite_source_throughput(10, 1e3, 1e-4) == pytest.approx(0.01, rel=1e-5)


def closed_loop(rules, ready, trips):
    """Answers of clients who send again at once, by a calendar; draws belong to steps, as in the kernel."""
    calendar, free, answered, acks, serial = [(t, 1, 0, None) for t in ready], 0.0, [], {}, itertools.count(1)
    heapq.heapify(calendar)
    for trip in trips:
        now, kind, _, command = heapq.heappop(calendar)
        free = max(free, now) + (rules.request if kind else rules.acknowledgement)
        if kind:
            command = next(serial)
            acks[command] = 0
            for number, wait in enumerate(trip):
                heapq.heappush(calendar, (free + wait, 0, number, command))
        else:
            acks[command] += 1
        if not kind and acks[command] == rules.needed:
            free += rules.reply
            answered.append(free)
            heapq.heappush(calendar, (free, 1, 0, None))
    return len(answered), now


def test_clients_in_a_loop_are_those_of_the_events():
    lanes, steps, rules = 3, 512, Server(E(1.0), E(3.0), 3, 2, 0.4, 0.1, 0.05)
    ready = np.random.default_rng(1).random((lanes, 5))
    found = loop_throughput(rules, ready, steps, 0, 7)
    rng = stream(7, 2)
    trips = np.concatenate([np.sort(rules.round_trip._draw((256, lanes, 3), rng), axis=2) for _ in range(2)])
    for lane in range(lanes):
        answered, time = closed_loop(rules, ready[lane], trips[:, lane])
        assert found[lane] == pytest.approx(answered / time, rel=1e-9)


@pytest.mark.parametrize("clients", [1, 8, 13, 40])
def test_clients_in_a_loop_do_what_is_stated(clients):
    model = LeaderLoad(clients=clients, arrival_rate=100.0)
    found = model._looped(100_000, 1)
    assert found.value < model.closed_bound + 6.0 * found.error
    low, high = found.interval(1.0 - 1e-7)
    assert low * (1.0 - 0.08) < model.closed_throughput < high * (1.0 + 0.08)
    finite = formulas.finite_source_throughput(clients, model._idle.mean() - model.work, model.work)
    assert finite < found.value + 6.0 * found.error
