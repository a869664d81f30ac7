"""EPaxos's dependencies: the kernel against a plain run over a heap of messages, limits by hand, and the formula.

False-alarm rate of this file 1e-6: each verification has 1e-8, each other comparison 1e-7.
"""

import heapq
import itertools

import numpy as np
import pytest
from lanes import assert_mean

import scaling_models as sm
from scaling_models.montecarlo.kernels.dependencies import Sent, executed, play, poisson_streams
from scaling_models.quorums import RegionalEPaxos
from scaling_models.quorums.formulas.conflicts import discord_window, meeting_probability, nearest_quorums
from scaling_models.quorums.formulas.dependencies import Execution
from scaling_models.quorums.formulas.varying_conflicts import varying_conflict


def sent_by(replicas, commands, needed, seed):
    """Random commands: close to each other, so that they disturb each other in all ways."""
    rng = np.random.default_rng(seed)
    drawn = []
    for leader in range(replicas):
        starts = np.sort(rng.uniform(0.0, 0.4 * commands, commands))
        out, told = rng.uniform(0.3, 1.0, (2, commands, replicas))
        out[:, leader] = 0.0
        order = np.argsort(out, axis=1)
        asked = np.zeros((commands, replicas), bool)
        np.put_along_axis(asked, order[:, 1 : needed + 1], True, axis=1)
        first = 2.0 * np.sort(out, axis=1)[:, needed]
        drawn.append(Sent(starts, starts[:, None] + out, asked, first, rng.uniform(1.0, 2.0, commands), told))
    return drawn


def plain(sent):
    """Message after message from a heap: what each replica has heard of, what it replies, and whom one waits for."""
    replicas, order = len(sent), itertools.count()
    heap, lists, answers = [], {}, {}
    for leader, each in enumerate(sent):
        for k, start in enumerate(each.starts):
            heapq.heappush(heap, (start, next(order), leader, leader, k))
            for replica in range(replicas):
                if replica != leader:
                    heapq.heappush(heap, (each.arrive[k, replica], next(order), replica, leader, k))
    heard = [[0] * replicas for _ in range(replicas)]
    while heap:
        _, _, here, leader, k = heapq.heappop(heap)
        known = [0 if b == leader else heard[here][b] for b in range(replicas)]
        if here == leader:
            lists[leader, k] = known
        answers[leader, k, here] = [max(a, b) for a, b in zip(known, lists[leader, k], strict=True)]
        heard[here][leader] = max(heard[here][leader], k + 1)
    late, commits, needs = {}, {}, {}
    for leader, each in enumerate(sent):
        for k in range(len(each.starts)):
            given = [answers[leader, k, r] for r in range(replicas) if each.asked[k, r]]
            late[leader, k] = any(reply != given[0] for reply in given)
            commits[leader, k] = each.starts[k] + each.first[k] + (each.second[k] if late[leader, k] else 0.0)
            named = [max(column) for column in zip(*given, lists[leader, k], strict=True)]
            named[leader] = k
            needs[leader, k] = {(b, i) for b in range(replicas) for i in range(named[b])}
    done = []
    for k in range(len(sent[0].starts)):
        closure, left = set(), [(0, k)]
        while left:
            one = left.pop()
            if one not in closure:
                closure.add(one)
                left += needs[one]
        done.append(max(commits[b, i] + (sent[b].told[i, 0] if b else 0.0) for b, i in closure))
    return late, commits, done


@pytest.mark.parametrize(("replicas", "needed"), [(3, 1), (5, 2), (7, 4)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dependencies_message_by_message(replicas, needed, seed):
    sent = sent_by(replicas, 12, needed, seed)
    played = play(sent)
    late, commits, done = plain(sent)
    for leader, each in enumerate(played):
        assert list(each.slow) == [late[leader, k] for k in range(12)]
        np.testing.assert_allclose(each.committed, [commits[leader, k] for k in range(12)], rtol=0, atol=1e-12)
    np.testing.assert_allclose(executed(played, sent), done, rtol=0, atol=1e-12)
    assert needed == 1 or any(late.values())
    assert any(t > c + 1e-9 for t, c in zip(done, played[0].committed, strict=True))


def test_streams_are_poisson_and_end_before_their_tail():
    streams = poisson_streams(np.array([3.0, 6.0]), 4000, 32, 1.0, 2.0, np.random.default_rng(4))
    own, other = streams.starts
    assert streams.counted.sum() == 32 * 4000
    assert_mean(np.diff(own.reshape(32, -1), axis=1)[:, streams.before :].mean(axis=1), 1.0 / 3.0, seen=0.05)
    assert (own[streams.counted].reshape(32, 4000)[:, -1] < streams.ends - 2.0).all()
    lengths = np.diff(np.append(0.0, streams.ends + 2.0))[:, None] - 2.0
    inside = [((other > end - length) & (other < end)).sum() for end, length in zip(streams.ends, lengths, strict=True)]
    assert sum(inside) == len(other)
    assert_mean(np.array(inside) / lengths[:, 0], 6.0, seen=0.05)
    closure = np.zeros((len(own), 2), int)
    closure[0] = [streams.before + streams.size + streams.after, 0]  # the first lane's last
    assert list(np.flatnonzero(streams.run_on(closure))) == [0]


def execution(rate, far=1.0):
    """Three replicas, `far` apart: a round of one follower, nobody ever slow."""
    delays = far * (1.0 - np.eye(3))
    return Execution(delays, np.full(3, 2.0 * far), np.full(3, 2.0 * far), 1, rate)


def test_execution_by_hand():
    """A command of another, known from -1 (or up to 1 later, where its replica is asked) until 3 after its start."""
    found = execution(0.01)
    # The follower that is asked is 1: its own commands up to its reply, 2's that are there; or 2, as near, likewise.
    assert found.reach[:, 0, 1:].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    # Known to be committed 3 after the start: those of 1 in (t - 3, 1), of 2 in (t - 3, 0), its own in (t - 2, 0).
    times = np.array([1.9, 2.0, 2.5, 3.5, 4.5])
    lengths = np.array([[2.0, 1.0, 0.0], [1.5, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]).sum(axis=1)
    np.testing.assert_allclose(found.ccdf(times), [1.0, *(1.0 - np.exp(-0.01 * lengths))], rtol=1e-12)
    t = np.linspace(2.0, 5.0, 300_001)
    assert found.mean == pytest.approx(2.0 + np.trapezoid(found.ccdf(t), t), rel=1e-9)
    assert execution(0.0).mean == 2.0


def test_the_mean_is_the_integral_where_rounds_are_slow():
    rng = np.random.default_rng(5)
    for n, asked in ((5, 2), (7, 4), (9, 5)):
        delays = rng.uniform(0.2, 1.0, (n, n)) * (1.0 - np.eye(n))
        found = Execution(delays, rng.uniform(1.0, 2.0, n), rng.uniform(1.0, 2.0, n), asked, 0.2)
        t = np.linspace(0.0, 8.0, 400_001)
        assert found.mean == pytest.approx(np.trapezoid(found.ccdf(t), t), rel=1e-5)


SPREAD = RegionalEPaxos("us-west-2", ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1"), conflict_rate=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("model", [RegionalEPaxos(conflict_rate=0.1, client="sa-east-1"), SPREAD], ids=repr)
def test_commands_are_executed_as_the_formula_says(model):
    table = sm.verify(model, requests=200_000, seed=1, false_alarm=1e-8)
    assert (table.verdict == "agrees").all(), table.to_string()


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_three_per_cent_wrong_fails(factor):
    """At so low a rate that what is left out is less than a thousandth."""
    model = RegionalEPaxos(conflict_rate=0.1)
    found = model.simulate(200_000, 2).execution_latency
    low, high = found.mean_interval(1.0 - 1e-7)
    right = model.execution_latency.mean()
    assert low / 1.001 < right < high * 1.001
    assert not low / 1.001 < factor * right < high * 1.001
    assert right > model.commit_latency.mean() * 1.01


def test_what_commands_wait_for_and_what_is_refused():
    model = RegionalEPaxos()
    assert model.accuracy("execution_latency").label == "within 3%"
    assert model.replace(conflict_rate=3.0).accuracy("execution_latency").label == "within 15%"
    assert model.execution_latency.mean() > 1.15 * model.commit_latency.mean()
    away = model.replace(client="sa-east-1")
    assert away.write_latency.mean() == pytest.approx(model.commit_latency.mean() + away._journey.mean())
    assert away.result_latency.mean() == pytest.approx(model.execution_latency.mean() + away._journey.mean())
    assert away.led_nearest().leader == "us-east-1"
    west = model.replace(client="us-west-2").led_nearest()
    assert (west.leader, west.write_latency) == ("us-west-2", west.commit_latency)
    assert sorted((west.leader, *west.others)) == sorted((model.leader, *model.others))
    alone = model.replace(conflict_rate=0.0, jitter=0.1)
    assert alone.execution_latency == alone.commit_latency
    for refused in (model.replace(jitter=0.1), model.replace(conflict_rate=50.0)):
        assert refused.accuracy("execution_latency").label == "simulated"
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            _ = refused.execution_latency


@pytest.mark.slow
def test_chains_grow_until_they_do_not_end():
    """Tollman, Park and Ousterhout's observation: commits are bounded, executions are not."""
    rates = (1.0, 10.0, 40.0)
    found = [RegionalEPaxos(conflict_rate=rate).simulate(20_000, 1) for rate in rates]
    waits = [each.execution_latency.mean() / each.commit_latency.mean() for each in found]
    assert waits[0] < 1.3
    assert 2.0 < waits[1] < waits[2]
    seven = RegionalEPaxos("us-west-2", ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1"), conflict_rate=200.0)
    endless = seven.simulate(3_000, 1)
    assert "execution_latency" not in endless.answers
    assert endless.commit_latency.mean() < 0.5


def test_of_two_that_are_equally_far_either_replies_first():
    """Their order in the list changes nothing, and hardly varying delays have that limit: a mean of two."""
    delays = np.array(
        [[0, 1, 2, 2, 5], [1, 0, 1, 3, 5], [2, 1, 0, 4, 5], [2, 3, 4, 0, 5], [5, 5, 5, 5, 0]], dtype=float
    )
    swapped = delays[np.ix_([0, 1, 3, 2, 4], [0, 1, 3, 2, 4])]
    each = [discord_window(delays[1:, 0], delays[1:][:, near], delays[0, near]) for near in ([1, 2], [1, 3])]
    split = meeting_probability(0.05, np.array(each))
    assert split[1] > 1.5 * split[0]
    for rows in (delays, swapped):
        assert nearest_quorums(rows[0, 1:], 2).tolist() == [[0, 1], [0, 2]]
        assert varying_conflict(rows, 2, 0.05, 1e-6) == pytest.approx(split.mean(), rel=0.02)  # as `VARIED` states
        found = Execution(rows, np.full(5, 4.0), np.full(5, 4.0), 2, 0.05)
        t = np.linspace(0.0, 20.0, 400_001)
        assert found.mean == pytest.approx(np.trapezoid(found.ccdf(t), t), rel=1e-5)
    assert nearest_quorums(np.array([1.0, 1.0, 1.0]), 2).tolist() == [[0, 1], [0, 2], [1, 2]]
    model = RegionalEPaxos("us-west-2", ("us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1"), 1.0)
    other = model.replace(others=("us-east-1", "ap-southeast-2", "eu-central-1", "sa-east-1"))
    assert other.conflict_probability == pytest.approx(model.conflict_probability, rel=1e-12)
    assert other.execution_latency.mean() == pytest.approx(model.execution_latency.mean(), rel=1e-12)
    assert other.replace(jitter=0.1).conflict_probability == model.replace(jitter=0.1).conflict_probability


@pytest.mark.slow
def test_commands_of_two_that_are_equally_far():
    model = RegionalEPaxos("us-west-2", ("us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1"), 1.0)
    table = sm.verify(model, requests=60_000, seed=5, false_alarm=1e-8)
    assert (table.verdict == "agrees").all(), table.to_string()
    assert (table.smallest_error < 0.15).all(), table.to_string()


def test_varying_delays_by_brute_force():
    """The window of one replica by drawing delays of both sides; and hardly varying delays are constant ones."""
    rng = np.random.default_rng(6)
    delays = rng.uniform(0.2, 1.0, (5, 5)) * (1.0 - np.eye(5))
    size = 1_600_000
    own = delays[0, 1:] * (0.6 + 0.4 * rng.standard_exponential((size, 4)))
    first = np.argsort(own, axis=1)[:, :2]
    arrive, windows = np.take_along_axis(own, first, axis=1), []
    for other in range(1, 5):
        theirs = delays[other] * (0.6 + 0.4 * rng.standard_exponential((size, 5)))
        begin = rng.uniform(-6.0, 3.0, size)
        known = begin[:, None] + np.take_along_axis(theirs, 1 + first, axis=1) < arrive
        windows.append(9.0 * ((known[:, 0] != known[:, 1]) & (begin + theirs[:, 0] > 0.0)))
    total = np.sum(windows, axis=0).reshape(64, -1).mean(axis=1)
    assert_mean(total, varying_conflict(delays, 2, 1e-6, 0.4) / 1e-6)
    model = RegionalEPaxos(conflict_rate=5.0)
    assert model.replace(jitter=1e-4).conflict_probability == pytest.approx(model.conflict_probability, rel=0.02)
    assert model.replace(others=("us-east-2", "us-west-2"), jitter=0.3).conflict_probability == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("jitter", [0.1, 0.5, 1.0])
def test_conflicts_and_commits_of_delays_that_vary(jitter):
    others = ("us-east-1", "us-east-2", "us-west-2", "ap-south-1")
    table = sm.verify(
        RegionalEPaxos("eu-west-1", others, 3.0, jitter=jitter), requests=60_000, seed=3, false_alarm=1e-8
    )
    assert (table.verdict == "agrees").all(), table.to_string()
    assert (table.smallest_error < 0.2).all(), table.to_string()
