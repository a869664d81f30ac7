"""Protocols: sizes and limits by hand, shared delays and clients away, conflicts by enumeration, duels event by event.

False-alarm rate of this file 1e-6: each verification has 1e-8, each other comparison 1e-7.
"""

import heapq
import itertools

import numpy as np
import pytest
from lanes import assert_mean
from scipy import integrate, stats

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels import conflicts as played
from scaling_models.montecarlo.kernels.duels import duels
from scaling_models.quorums import (
    BasicPaxos,
    EPaxos,
    FastPaxos,
    FlexiblePaxos,
    GridPaxos,
    Raft,
    RegionalEPaxos,
    beside,
    leaders,
    next_region,
    region_sets,
)
from scaling_models.quorums.formulas.conflicts import collision_window, discord_window, meeting_probability

E = sm.Exponential
FOUR = tuple(E(mean) for mean in (0.004, 0.004, 0.006, 0.010))
WAYS = ("counted", "required", "before_send")
LED = (Raft, FlexiblePaxos, GridPaxos, BasicPaxos, EPaxos, FastPaxos)


def agrees(model, requests=60_000):
    table = sm.verify(model, requests=requests, seed=1, false_alarm=1e-8)
    assert (table.verdict == "agrees").all(), (model, table.to_string())


@pytest.mark.slow
@pytest.mark.parametrize("kind", LED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("delay", "delays"), [(0.003, "replies"), (E(0.003), "replies"), (E(0.003), "all")], ids=str)
def test_delays_that_replies_share(kind, way, delay, delays):
    agrees(kind.example().replace(leader_write=way, shared_delays=(delay,), delays=delays), 30_000)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_grids_of_every_shape(way, rows):
    agrees(GridPaxos.example().replace(leader_write=way, commit_quorum=rows), 20_000)


def test_a_shared_delay_by_a_second_route():
    """Counted, behind a random delay of the replies: the integral over it, done by scipy."""
    raft = Raft((E(0.004),) * 4, E(0.002), "counted", shared_delays=(E(0.003),))
    for t in (0.002, 0.006, 0.02):

        def late(g, t=t):
            here, own = stats.expon.cdf(max(t - g, 0.0), scale=0.004), stats.expon.cdf(t, scale=0.002)
            three = stats.binom.sf(2, 4, here)
            done = own * stats.binom.sf(1, 4, here) + (1.0 - own) * three
            return (1.0 - done) * stats.expon.pdf(g, scale=0.003)

        inside = integrate.quad(late, 0.0, t, epsabs=1e-12)[0] + integrate.quad(late, t, 0.2, epsabs=1e-12)[0]
        assert float(raft.commit_latency.ccdf(t)) == pytest.approx(inside, rel=1e-6)
    assert raft.accuracy("completes").label == "simulated"
    assert raft.replace(delays="all").accuracy("completes").label == "exact"
    assert raft.replace(shared_delays=(), client_legs=(0.01, 0.02)).write_latency.mean() == pytest.approx(
        raft.replace(shared_delays=()).commit_latency.mean() + 0.03
    )


def test_a_shared_delay_is_no_worse_on_average_and_worse_where_all_must_answer_in_time():
    """Shared or each its own, every reply has the same law; the quorum cannot dodge a delay that all share."""
    pause = sm.mixture((0.9, 0.1), (sm.Deterministic(0.0), sm.Deterministic(0.05)))
    alone = Raft((E(0.004) + pause,) * 4, 0.001)
    together = Raft((E(0.004),) * 4, 0.001, shared_delays=(pause,))
    assert alone.commit_latency.icdf(0.95) < 0.5 * together.commit_latency.icdf(0.95)


def test_flexible_paxos_by_hand():
    five = FlexiblePaxos((0.010, 0.020, 0.030, 0.040), 0.001, commit_quorum=2)
    assert (five.election_quorum, five.commit_latency.mean(), five.election_latency.mean()) == (4, 0.010, 0.030)
    assert FlexiblePaxos(FOUR, commit_quorum=3).commit_latency == Raft(FOUR).commit_latency
    assert five.replace(commit_quorum=1).commit_latency.mean() == 0.001
    risky = five.replace(availability=0.9)
    assert risky.quorum_availability == pytest.approx(stats.binom.sf(1, 5, 0.9))
    assert risky.election_availability == pytest.approx(stats.binom.sf(3, 5, 0.9))
    with pytest.raises(ValueError, match=r"FlexiblePaxos.commit_quorum must lie in \[1, 5\]"):
        FlexiblePaxos(commit_quorum=6)


def test_grids_by_hand():
    """Columns (leader, 10, 20), (30, 40, 50) ms; rows (leader, 30), (10, 40), (20, 50)."""
    trips = tuple(ms / 1000.0 for ms in (10, 20, 30, 40, 50))
    grid = GridPaxos(trips, 0.001, commit_quorum=3)
    assert grid.election_quorum == 2
    assert grid.commit_quorum + grid.election_quorum < grid.replicas + 1
    assert grid.commit_latency.mean() == 0.020
    assert grid.election_latency.mean() == 0.030
    assert grid.completes == pytest.approx((0, 0, 1, 0, 0, 0))
    up = grid.replace(availability=0.9)
    assert up.quorum_availability == pytest.approx(1.0 - (1.0 - 0.9**3) ** 2)
    assert up.election_availability == pytest.approx(1.0 - (1.0 - 0.9**2) ** 3)
    with pytest.raises(ValueError, match=r"GridPaxos.commit_quorum must divide the 6 replicas"):
        grid.replace(commit_quorum=4)


def test_fixed_round_trips_by_hand():
    trips, near = (0.010, 0.020, 0.030, 0.040), 0.001
    assert BasicPaxos(trips, near).commit_latency.mean() == pytest.approx(0.040)
    fast = FastPaxos(trips, near, client_rtts=(0.005, *trips), collision=0.25, client_legs=(0.006,))
    assert fast.fast_quorum == 4
    assert fast.fast_latency.mean() == pytest.approx(0.030)
    assert fast.write_latency.mean() == pytest.approx(0.030 + 0.25 * (0.006 + 0.020))
    egalitarian = EPaxos(trips, near, conflict=0.25)
    assert egalitarian.commit_latency.mean() == pytest.approx(0.020 + 0.25 * 0.020)
    assert EPaxos((*trips, 0.050, 0.060), near, conflict=0.0).fast_latency.mean() == pytest.approx(0.040)
    with pytest.raises(ValueError, match="replicas must be odd"):
        EPaxos(trips[:3])
    with pytest.raises(ValueError, match="client_rtts must be one a replica, 5"):
        FastPaxos(trips, near, client_rtts=trips)
    for classic in (2, 6):  # two of two may have nobody in common
        with pytest.raises(ValueError, match=r"classic_quorum must lie in \[3, 5\], a majority"):
            FastPaxos(classic_quorum=classic)


WRONG = [(kind, factor) for kind in (FlexiblePaxos, EPaxos, FastPaxos, BasicPaxos) for factor in (0.97, 1.03)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "factor"), WRONG, ids=str)
def test_three_per_cent_wrong_fails(kind, factor):
    name = kind.headline

    @answer("s", "a latency that is wrong")
    def off(self):
        return getattr(kind, name).compute(self) * factor

    wrong = type(f"Wrong{kind.__name__}", (kind,), {name: off, "__doc__": "Off by a factor."})
    table = sm.verify(wrong.example(), requests=400_000, seed=2).set_index("quantity")
    assert table.verdict[f"{name} mean"] == "disagrees"


# Conflicts.
def replies(start, starter, delays, quorum):
    """Which followers of replica 0 name the command that `starter` began: by arrival, message by message."""
    if start + delays[starter][0] < 0:
        return {True}
    return {start + delays[starter][j] < delays[0][j] for j in quorum}


def test_the_window_of_conflicts_by_enumeration():
    """Starts on a fine comb: those whose replies differ fill the window."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        delays = rng.uniform(0.0, 1.0, (5, 5)) * (1 - np.eye(5))
        quorum, comb = (1, 2, 4), np.linspace(-3.0, 3.0, 6001)
        for starter in range(1, 5):
            differ = sum(len(replies(start, starter, delays, quorum)) > 1 for start in comb) * 0.001
            window = discord_window(delays[starter, 0], delays[starter, list(quorum)], delays[0, list(quorum)])
            assert abs(differ - window) < 0.0021  # both ends off by a tooth
    assert discord_window(0.3, [0.2], [0.5]) == 0.0  # one reply cannot differ
    assert meeting_probability([1.0, 2.0], [0.5, 0.25]) == pytest.approx(1.0 - np.exp(-1.0))


def test_the_window_of_collisions_by_enumeration():
    rng = np.random.default_rng(6)
    comb = np.linspace(-3.0, 3.0, 6001)
    for acceptors, quorum in ((3, 3), (5, 4), (7, 6), (7, 5)):
        own, other = rng.uniform(0.0, 1.0, (2, acceptors))
        first = (comb[:, None] + other > own).sum(axis=1)
        split = ((first < quorum) & (acceptors - first < quorum)).sum() * 0.001
        assert abs(split - collision_window(own, other, quorum)) < 0.0021
    with pytest.raises(ValueError, match="fast_quorum must be a majority of the 5 acceptors"):
        collision_window(np.zeros(5), np.zeros(5), 2)


def test_collisions_are_as_often_as_their_windows():
    rng = np.random.default_rng(7)
    own, other = rng.uniform(0.0, 0.1, (2, 5))
    starts, _ = played.poisson_starts(np.array([20.0]), 0.2, 0.2, 800_000, rng)
    found = played.without_fast_quorum(starts, own, np.broadcast_to(other, (*starts.shape, 5)), 4)
    assert_mean(found.reshape(64, -1).mean(axis=1), meeting_probability([20.0], [collision_window(own, other, 4)]))


@pytest.mark.slow
def test_egalitarian_regions():
    model = RegionalEPaxos()
    agrees(model, 100_000)
    assert RegionalEPaxos(others=("us-east-2", "us-west-2")).conflict_probability == 0.0  # three: never slow
    assert model.replace(conflict_rate=0.0).commit_latency.mean() == pytest.approx(0.064)
    with pytest.raises(sm.NoClosedForm, match="jitter"):
        model.commit_latency.percentiles(99)
    jittered = model.replace(jitter=0.2, conflict_rate=5.0)
    assert jittered.accuracy("conflict_probability").label == "within 3%"
    assert jittered.accuracy("commit_latency").label == "within 3%"
    assert jittered.replace(jitter=0.6).accuracy("commit_latency", 0.99).label == "within 15%"
    agrees(jittered, 100_000)


# Duels.
def duel(begins, acceptors, trips, waits, own_needed):
    """One duel over a heap of events, from tables of times: trips[p][round] (there, back), waits[p][try]."""
    proposers, order = len(begins), itertools.count()
    heap = [(t, next(order), "wake", p, None) for p, t in enumerate(begins)]
    heapq.heapify(heap)
    promised, seen = [-1] * acceptors, [-1] * proposers
    rounds, tries, current, ballots = [-1] * proposers, [0] * proposers, [None] * proposers, 0

    def send(p, now, ballot, accept):
        rounds[p] += 1
        current[p] = {"round": rounds[p], "ballot": ballot, "accept": accept, "votes": set()}
        for a, out in enumerate(trips[p][rounds[p]][0]):
            heapq.heappush(heap, (now + out, next(order), "asked", p, (dict(current[p]), a)))

    while True:
        now, _, what, p, body = heapq.heappop(heap)
        if what == "wake":
            ballots += 1
            send(p, now, next(b for b in itertools.count(p, proposers) if b > seen[p]), accept=False)
            continue
        message, a = body[0], body[1]
        if what == "asked":
            good = message["ballot"] >= promised[a] if message["accept"] else message["ballot"] > promised[a]
            promised[a] = message["ballot"] if good else promised[a]
            back = now + trips[p][message["round"]][1][a]
            heapq.heappush(heap, (back, next(order), "told", p, (message, a, good, promised[a])))
            continue
        seen[p] = max(seen[p], body[3], message["ballot"])
        if current[p] is None or current[p]["round"] != message["round"]:
            continue
        if not body[2]:
            current[p] = None
            heapq.heappush(heap, (now + waits[p][tries[p]], next(order), "wake", p, None))
            tries[p] += 1
            continue
        current[p]["votes"].add(a)
        if len(current[p]["votes"]) > acceptors // 2 and (p in current[p]["votes"] or not own_needed):
            if message["accept"]:
                return now, ballots, p
            send(p, now, message["ballot"], accept=True)


@pytest.mark.parametrize("own_needed", [True, False])
@pytest.mark.parametrize(("proposers", "acceptors"), [(1, 3), (2, 3), (3, 5)])
def test_duels_event_by_event(own_needed, proposers, acceptors):
    lanes, most, rng = 200, 60, np.random.default_rng(9)
    trips = rng.exponential(1.0, (lanes, proposers, most, 2, acceptors))
    waits, begins = rng.exponential(4.0, (lanes, proposers, most)), rng.exponential(1.0, (lanes, proposers))

    def send(lane, who, number):
        return trips[lane, who, number, 0], trips[lane, who, number, 1]

    found = duels(begins, acceptors, send, lambda lane, who, number: waits[lane, who, number], own_needed=own_needed)
    own = [duel(*each, own_needed) for each in zip(begins, [acceptors] * lanes, trips, waits, strict=True)]
    times, ballots, winners = zip(*own, strict=True)
    np.testing.assert_allclose(found.decided, times, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.ballots, ballots)
    np.testing.assert_array_equal(found.winner, winners)


@pytest.mark.parametrize("way", WAYS)
def test_a_proposer_alone_takes_two_rounds(way):
    agrees(BasicPaxos(FOUR, E(0.002), way, proposers=1), 60_000)


def test_rivals_cost_time_and_ballots(monkeypatch):
    model = BasicPaxos.example()
    with pytest.raises(sm.NoClosedForm, match="duel: simulate it"):
        _ = model.duel_latency
    alone, two, three = (model.replace(proposers=p).simulate(20_000, 1) for p in (1, 2, 3))
    assert alone.duel_ballots.value == 1.0
    assert 1.2 * two.duel_ballots.value < three.duel_ballots.value
    assert alone.duel_latency.mean() < two.duel_latency.mean() < three.duel_latency.mean()
    with pytest.raises(ValueError, match=r"BasicPaxos.proposers must lie in \[1, 5\]"):
        BasicPaxos(proposers=6)
    monkeypatch.setattr("scaling_models.montecarlo.kernels.duels.STEPS", 3)
    with pytest.raises(ValueError, match="let proposers wait longer"):
        model.simulate(64)


# Regions.
def test_the_best_sets_of_regions_are_those_of_leaders():
    table = sm.data.round_trips("aws")
    sets = region_sets(table, 3, disk=0.002)
    assert len(sets) == 120
    assert sets["write"].is_monotonic_increasing
    for row in (0, 50, 119):
        best = leaders(table, list(sets.regions[row]), disk=0.002).iloc[0]
        assert sets.write[row] == pytest.approx(best["mean over clients"])
        assert sets.commit[row] == pytest.approx(best["commit"]) or sets.leader[row] != best.name
    steps = next_region(table, 5, disk=0.002)
    assert list(steps.survives) == [0, 0, 1, 1, 2]
    np.testing.assert_allclose(steps["write"], [region_sets(table, k, disk=0.002)["write"][0] for k in range(1, 6)])
    asia = region_sets(table, 3, clients=["ap-northeast-1"])
    assert asia.leader[0] == "ap-northeast-1"
    with pytest.raises(ValueError, match=r"k must lie in \[1, 10\]"):
        region_sets(table, 11)
    with pytest.raises(ValueError, match="no round trips from 'mars'"):
        region_sets(table, 3, clients=["mars"])


# Pictures.
def test_protocols_beside_each_other_on_the_same_draws():
    law = tuple(sm.LogNormal(mean, 0.05) for mean in (0.013, 0.064, 0.070, 0.146))
    shared = {"client_legs": (0.03,), "availability": 0.99}
    raft, paxos = Raft(law, 0.004, **shared), BasicPaxos(law, 0.004, **shared)
    fast = FastPaxos(law, 0.004, client_rtts=(0.03, *law), collision=1.0, **shared)
    for seed in range(5):
        one, two, three = (model.swim_lanes(seed) for model in (raft, paxos, fast))
        assert {round(b - a, 9) for k, _, a, _, b in one.arrows if k == "sends"} <= {
            round(b - a, 9) for k, _, a, _, b in two.arrows if k == "sends"
        }
        both = beside(one, two, three)
        assert len(both.lanes) == 18
        drawn = figures.swim_lanes(both)
        assert [trace.name for trace in drawn.data] == [*both.bar_kinds, *both.arrow_kinds, "marks"]
        assert sum(kind == "the reply that decides" for kind, *_ in both.arrows) == 5
    with pytest.raises(ValueError, match="one record"):
        beside()


@pytest.mark.parametrize("kind", LED, ids=lambda kind: kind.__name__)
def test_the_lanes_of_one_command_take_as_long_as_the_model_says(kind):
    """Constant times: the picture's answer is the model's."""
    trips = (0.010, 0.020, 0.030, 0.040)
    for way, delays in itertools.product(WAYS, ("replies", "all")):
        fields = {"leader_write": way, "shared_delays": (0.007,), "delays": delays, "client_legs": (0.004, 0.004)}
        fields |= {"client_rtts": (0.005, *trips), "collision": 1.0} if kind is FastPaxos else {}
        fields |= {"conflict": 1.0} if kind is EPaxos else {}
        fields |= {"commit_quorum": 5} if kind is GridPaxos else {}
        model = kind(trips, 0.015, **fields)
        answered = next(t for lane, t, text in model.swim_lanes().marks if text == "answer")
        assert answered == pytest.approx(model.write_latency.mean())
