"""Commands on FIFO streams: the kernel against a plain loop over a heap, an exact chain, the closed forms, and etcd.

False-alarm rate of this file 1e-6: a dozen comparisons at 1e-7 or less, those of `verify` at 1e-8 each.
"""

import heapq

import numpy as np
import pytest
from lanes import assert_mean

import scaling_models as sm
from scaling_models import figures
from scaling_models.montecarlo.kernels.command_streams import Draws, Pattern, Streams, stream_commands
from scaling_models.quorums import Link, Raft, RaftStream

E = sm.Exponential


class Pipe:
    """A stream: delivers in order, each message no earlier than its own delay."""

    def __init__(self):
        self.last = -np.inf

    def deliver(self, sent, takes):
        self.last = max(self.last, sent + takes)
        return self.last


def plain(draw, pattern):
    """One lane, event by event from a heap: replies counted as they come, everything else found where it happens."""
    commands, followers = draw.out.shape
    pipes, replies = [Pipe() for _ in range(followers)], [Pipe() for _ in range(followers)]
    busy, leader_busy = [-np.inf] * followers, -np.inf
    commits, answers = [], []
    answered, begun_last = 0.0, -np.inf
    for k in range(commands):
        begun_last = max(answered, begun_last + pattern.interval)
        received = begun_last + draw.there[k]
        if pattern.at_follower:
            received = replies[0].deliver(begun_last, draw.there[k])
        at = received + draw.work[k]
        if pattern.leader_write != "counted":
            at = max(at, leader_busy)
        leader_busy = max(at, leader_busy) + draw.fsync[k]
        heap = [(leader_busy, -1, "written")]
        sent = leader_busy if pattern.leader_write == "before_send" else at
        for i in range(followers):
            heapq.heappush(heap, (pipes[i].deliver(sent, draw.out[k, i]), i, "there"))
        acks, own, commit = 0, False, None
        while commit is None or heap:
            now, i, what = heapq.heappop(heap)
            if what == "there":
                busy[i] = max(now, busy[i]) + draw.write[k, i]
                heapq.heappush(heap, (replies[i].deliver(busy[i], draw.back[k, i]), i, "acknowledged"))
            else:
                acks += what == "acknowledged"
                own |= what == "written"
                enough = {
                    "counted": acks + own > pattern.acknowledgements,
                    "required": own and acks >= pattern.acknowledgements,
                    "before_send": acks >= pattern.acknowledgements and own,
                }[pattern.leader_write]
                if enough and commit is None:
                    commit = now
        told = range(followers) if pattern.notices else range(1 if pattern.at_follower else 0)
        for i in told:
            busy[i] = max(busy[i], pipes[i].deliver(commit, draw.notice[k, i]))
            replies[i].deliver(busy[i], draw.reply[k, i])
        answered = (busy[0] if pattern.at_follower else commit) + draw.home[k]
        commits.append(commit - received)
        answers.append(answered - begun_last)
    return np.array(commits), np.array(answers)


def drawn(commands, lanes, followers, seed=1):
    rng = np.random.default_rng(seed)
    many, one = (commands, lanes, followers), (commands, lanes)
    return Draws(*(rng.exponential(1.0, many) for _ in range(5)), *(rng.exponential(0.5, one) for _ in range(4)))


@pytest.mark.parametrize("way", ["counted", "required", "before_send"])
@pytest.mark.parametrize(("notices", "at_follower"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("interval", [0.0, 4.0])
def test_streams_path_by_path(way, notices, at_follower, interval):
    draws, pattern = drawn(40, 3, 4), Pattern(2, way, interval, notices, at_follower)
    commits, answers, streams = stream_commands(draws, Streams.empty(3, 4), pattern)
    for lane in range(3):
        own = plain(Draws(*(each[:, lane] for each in draws)), pattern)
        np.testing.assert_allclose((commits[:, lane], answers[:, lane]), own, rtol=0, atol=1e-9)
    first, _, between = stream_commands(Draws(*(each[:15] for each in draws)), Streams.empty(3, 4), pattern)
    later, _, end = stream_commands(Draws(*(each[15:] for each in draws)), between, pattern)
    np.testing.assert_array_equal(np.concatenate([first, later]), commits)
    np.testing.assert_array_equal(end.back, streams.back)


def chain_mean(states=60):
    """Two followers whose replies take Exp(1), one acknowledgement, back to back: exact by the chain of the slower one.

    When a command is committed the other follower still owes j replies (the maximum of j exponentials is left): j + 1
    with the next. The next commit comes from the first of: the faster one's reply; the end of all j + 1 of the other.
    """
    moves, lasts = np.zeros((states + 1, states + 1)), np.zeros(states + 1)
    for j in range(states + 1):
        at, chance, passed = j + 1, 1.0, 0.0
        while at:
            passed += chance / (at + 1)
            moves[j, min(at, states)] += chance / (at + 1)
            chance *= at / (at + 1)
            at -= 1
        moves[j, 1] += chance
        lasts[j] = passed
    left = np.linalg.solve(
        np.vstack([(moves.T - np.eye(states + 1))[:-1], np.ones(states + 1)]), np.eye(states + 1)[-1]
    )
    return float(left @ lasts)


def test_exponential_replies_back_to_back_are_the_chain():
    zero, one = sm.Deterministic(0.0), E(1.0)
    model = RaftStream((Link(zero, one, zero),) * 2, 0.0, notices="no")
    found = model.simulate(400_000, seed=3)
    exact = chain_mean()
    assert exact > 1.02 * model.alone_latency.mean()  # what stands behind a late reply waits
    assert model.alone_latency.mean() == pytest.approx(0.5)
    assert_mean(found.commit_latency.means, exact)
    assert_mean(found.alone_latency.means, 0.5)
    overtaking = model.simulate(400_000, seed=3, violating="messages overtake each other")
    assert_mean(overtaking.commit_latency.means, 0.5)


CLOSED = [
    RaftStream((Link(0.010, 0.010, 0.001), Link(0.020, 0.010, 0.001)), E(0.02), client="at the first follower"),
    RaftStream(interval=0.2, work=(E(0.001),), client_legs=(E(0.002),)),
    RaftStream(interval=0.2, client="at the first follower"),
    RaftStream((Link(),) * 4, E(0.004), "counted", 0.2, "no"),
    RaftStream((Link(E(0.004), E(0.004)),), notices="no"),
    RaftStream((), E(0.004), "counted"),
]


@pytest.mark.parametrize("model", CLOSED, ids=repr)
def test_commands_that_do_not_meet_are_alone(model):
    table = sm.verify(model, requests=100_000, seed=1, false_alarm=1e-7)
    assert {"commit_latency mean", "write_latency mean"} <= set(table.quantity)
    assert set(table.verdict) <= {"agrees", "unseen"}, table.to_string()  # unseen: constants, of which all is known
    means = table[table.quantity.str.endswith(" mean")]
    assert (means.smallest_error < 0.03).all(), table.to_string()


def test_constant_links_back_to_back_are_constant():
    model = RaftStream((Link(0.010, 0.010, 0.001), Link(0.020, 0.010, 0.001)), work=(0.002,), client_legs=(0.005,))
    assert model.write_latency.mean() == pytest.approx(0.010 + 0.010 + 0.001 + 0.002 + 0.005)
    times = model.simulate(1000).write_latency.batches
    np.testing.assert_allclose(times, model.write_latency.mean(), rtol=1e-9)


def test_commands_that_meet_have_no_closed_form():
    model = RaftStream()
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        _ = model.write_latency
    assert model.accuracy("write_latency").label == "simulated"
    assert model.accuracy("alone_latency").label == "exact"
    with pytest.raises(sm.NoClosedForm, match="while it writes"):
        _ = RaftStream((Link(0.01, 0.01, 0.1), Link(0.01, 0.01)), client="at the first follower").write_latency
    with pytest.raises(ValueError, match=r"RaftStream\.client must be 'beside the leader'"):
        RaftStream((), client="at the first follower")


def test_a_message_that_is_late_for_long_is_met_by_many_commands():
    """One in ten thousand takes 1000 s: either follower is held up for about half of the time, and the other, though
    ten times as slow, decides. (Only the last command's messages counted, 6 in ten thousand.)
    """
    rare = sm.mixture((0.9999, 0.0001), (sm.Uniform(0.005, 0.015), sm.Deterministic(1000.0)))
    with pytest.raises(sm.NoClosedForm, match="behind the last one's messages"):
        RaftStream((Link(rare, 0.01, 0.001), Link(0.1, 0.1, 0.001)), interval=0.5).commit_latency  # noqa: B018
    late = sm.mixture((0.9999, 0.0001), (sm.Deterministic(0.01), sm.Deterministic(1000.0)))
    with pytest.raises(sm.NoClosedForm, match="behind the last one's messages"):  # 0.1 of 0.22 s
        RaftStream((Link(late, 0.01, 0.001),), interval=2000.0 / 3.0).commit_latency  # noqa: B018
    calm = sm.Exponential(0.005)
    model = RaftStream((Link(calm, calm, 0.001),), interval=0.2)
    assert model.commit_latency == model.alone_latency


def test_streams_and_notices_only_delay():
    """On the same draws each kind of message more can only hold up the rest; datagrams cannot."""
    both, streams, none = (
        RaftStream(notices=notices).simulate(100_000, 2, violating=violating).write_latency.mean()
        for notices, violating in (("yes", None), ("no", None), ("no", "messages overtake each other"))
    )
    assert both > 1.1 * none
    assert streams > none
    assert none == pytest.approx(RaftStream().alone_latency.mean(), rel=0.005)  # 0.0035 standard deviations of a mean


SERIES = sm.data.etcd_latency()


@pytest.mark.parametrize("links", ["const", "normal"])
@pytest.mark.parametrize("operation", ["put", "read"])
def test_etcd_paced_is_within_five_per_cent(links, operation):
    """One every 30 ms, so that some find a notice under way: from the measured round trips, 10 ms of them one way."""
    work = sm.Empirical(tuple(SERIES[f"zero_{operation}_paced"]))
    back = [sm.Empirical(tuple(np.maximum(SERIES[f"{links}_rtt_{member}"] - 0.010, 0.0))) for member in (2, 3)]
    followers, notices = tuple(Link(0.010, each, 0.0) for each in back), "yes" if operation == "put" else "no"
    model = RaftStream(followers, 0.0, interval=0.030, notices=notices, work=(work,))
    measured = SERIES[f"{links}_{operation}_paced"].mean()
    assert abs(model.simulate(100_000, 1).write_latency.mean() / measured - 1.0) < 0.05


def test_one_command_as_lanes_and_what_a_lost_packet_does():
    model = RaftStream(client_legs=(0.004,))
    record = model.swim_lanes(1)
    assert record.lanes == ("client", "leader", "follower 1", "follower 2")
    assert sum(kind == "the reply that decides" for kind, *_ in record.arrows) == 1
    assert sum(kind == "writes to disk" for kind, *_ in record.bars) == 3
    drawn_figure = figures.swim_lanes(record)
    assert [trace.name for trace in drawn_figure.data] == [*record.bar_kinds, *record.arrow_kinds, "marks"]
    elsewhere = figures.swim_lanes(model.replace(client="at the first follower").swim_lanes(7))
    assert [trace.name for trace in elsewhere.data] == [trace.name for trace in drawn_figure.data]
    assert "sent again" in model.timeline().says
    alone = Raft(tuple(link.round_trip for link in model.followers), model.fsync)
    assert model.alone_latency == alone.commit_latency
