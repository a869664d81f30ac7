"""Elections: the simulator against a plain loop over a heap of events, the closed forms against both, and etcd.

Comparisons with chance in them have false alarms of 1e-8 each, so below 1e-6 in this file; seeds are fixed.
"""

import heapq
import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

import scaling_models as sm
from scaling_models import figures
from scaling_models.montecarlo.estimates import student
from scaling_models.montecarlo.kernels.clusters import Draws, Rules
from scaling_models.montecarlo.kernels.disruptions import disruptions
from scaling_models.montecarlo.kernels.elections import elections
from scaling_models.montecarlo.streams import stream
from scaling_models.quorums import Election
from scaling_models.quorums.formulas.elections import (
    beats_to_false_election,
    mean_time_to_majority,
    misses_allowed,
    split_probability,
)

FALSE_ALARM = 1e-8


def one_by_one(rules, heard, phase, draws):
    """One lane as a heap of events, members as dictionaries; the same numbers, no shared code.

    An event is (time, kind, first, second, stamp); a stamp that is not the newest of its kind is void.
    """
    count = len(heard)
    events, newest, serial = [], {}, itertools.count(1)

    def put(time, *what):
        newest[what] = next(serial)
        heapq.heappush(events, (time, *what, newest[what], contents.get(what)))

    def due(now, i, timeout):
        if not rules.tick:
            return now + timeout
        ticks = 0
        at = phase[i] + rules.tick * (math.floor((now - phase[i]) / rules.tick) - 1)
        while at <= now + 1e-9 * rules.tick:  # the last tick that is past
            at, last = at + rules.tick, at
        while ticks < timeout:
            last, ticks = last + rules.tick, ticks + 1
        return last

    def restart(now, i):
        put(due(now, i, draws.timeouts[members[i]["restarts"], 0, i]), 0, i, 0)
        members[i]["restarts"] += 1

    def ask(now, i, real):
        me = members[i]
        me |= {"votes": 1, "calm": -math.inf}
        row, me["rounds"] = me["rounds"], me["rounds"] + 1
        for j in range(count):
            if j != i:
                own, other = (draws.writes[row, 0, i, k] if real else 0.0 for k in (i, j))
                me["back"][j] = other + draws.back[row, 0, i, j]
                put(now + own + draws.out[row, 0, i, j], 1, i, j)
        restart(now, i)

    def stand(now, i):
        me = members[i]
        me |= {"term": me["term"] + 1, "for": i, "state": "candidate", "asked": (me["term"] + 1, True)}
        told["campaigns"] += 1
        ask(now, i, True)

    def follow(i, term):
        members[i] |= {"term": term, "for": None, "state": "follower", "calm": -math.inf}

    contents, told = {}, {"campaigns": 0, "first": None}
    members = [
        {"term": 0, "for": None, "state": "follower", "restarts": 0, "rounds": 0, "back": {}, "calm": -math.inf}
        for _ in range(count)
    ]
    for i in range(count):
        restart(heard[i], i)
        if rules.quiet:
            members[i]["calm"] = due(heard[i], i, rules.quiet)
    while True:
        now, kind, i, j, stamp, content = heapq.heappop(events)
        if newest[kind, i, j] != stamp:
            continue
        me, other = members[i], members[j]
        if kind == 0:
            told["first"] = now if told["first"] is None else told["first"]
            if rules.pre_vote:
                me |= {"state": "asking", "asked": (me["term"] + 1, False)}
                ask(now, i, False)
            else:
                stand(now, i)
        elif kind == 1:
            term, real = me["asked"]
            if now < other["calm"]:
                continue
            if real and term > other["term"]:
                follow(j, term)
            fresh = rules.logs[i] >= rules.logs[j]
            if real and fresh and term == other["term"] and other["for"] is None:
                other["for"] = i
                restart(now, j)
                answer = (term, "vote")
            elif not real and fresh and term > other["term"]:
                answer = (term, "promise")
            elif term < other["term"] or (not real and term == other["term"]):
                answer = (other["term"], "behind")
            else:
                continue
            contents[2, i, j] = answer
            put(now + me["back"][j], 2, i, j)
        else:
            term, answer = content
            if answer == "behind" and term > me["term"]:
                follow(i, term)
            elif (answer, me["state"], me["term"]) in [("vote", "candidate", term), ("promise", "asking", term - 1)]:
                me["votes"] += 1
                if me["votes"] >= rules.majority:
                    if answer == "vote":
                        return told["first"], now, me["term"], told["campaigns"], i
                    stand(now, i)


CASES = [
    # members, alive, least and largest timeout, flights, writes, tick, quiet, pre-vote, logs
    (3, 2, (1.0, 2.0), (0.05, 0.15), (0.0, 0.0), 0.0, 0.0, False, None),
    (5, 4, (1.0, 1.5), (0.02, 0.2), (0.0, 0.1), 0.0, 1.0, False, None),
    (5, 3, (1.0, 2.0), (0.1, 0.1), (0.02, 0.02), 0.0, 0.0, True, None),
    (9, 6, (1.0, 1.4), (0.0, 0.3), (0.0, 0.1), 0.0, 1.0, True, None),
    (5, 4, (1.0, 2.0), (0.05, 0.15), (0.0, 0.02), 0.0, 0.0, False, (0, 1, 1, 0)),
    (5, 4, (0.3, 0.6), (0.0, 0.29), (0.0, 0.0), 0.0, 0.0, False, None),
    (3, 2, (10, 20), (0.01, 0.06), (0.0, 0.02), 0.1, 10, False, None),
    (5, 4, (10, 20), (0.01, 0.06), (0.0, 0.02), 0.1, 10, True, (1, 1, 0, 0)),
    (5, 4, (3, 6), (0.01, 0.3), (0.0, 0.02), 0.1, 3, False, None),
]


def random_numbers(case, lanes, rows, rng):
    members, alive, (low, high), flights, writes, tick, quiet, pre_vote, logs = case
    each, pairs = (rows, lanes, alive), (rows, lanes, alive, alive)
    timeouts = rng.integers(low, high, each).astype(float) if tick else rng.uniform(low, high, each)
    rules = Rules(members // 2 + 1, logs or (0,) * alive, tick, quiet, pre_vote)
    return rules, Draws(timeouts, *(rng.uniform(*flights, pairs) for _ in range(2)), rng.uniform(*writes, pairs))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_lane_equals_the_plain_loop(case):
    lanes, rng = 40, stream(11)
    rules, draws = random_numbers(case, lanes, 200, rng)
    heard = rng.uniform(0.0, 0.3, (lanes, case[1]))
    phase = rng.random((lanes, case[1])) * rules.tick
    found = elections(rules, heard, phase, lambda _: draws)
    for lane in range(lanes):
        one = Draws(*(part[:, lane : lane + 1] for part in draws))
        told = one_by_one(rules, heard[lane], phase[lane], one)
        mine = [part[lane] for part in found]
        np.testing.assert_allclose(mine, told, rtol=0, atol=1e-9, err_msg=f"lane {lane}")
    assert found.campaigns.max() > 1  # it was not too easy


def test_random_numbers_that_come_in_pieces_change_nothing():
    """Timers of 1.2 and 1.25 s drift apart by 50 ms a term, until a request comes in time: in the fourth, or second."""
    lanes, pieces = 50, []

    def numbers(rows, left):
        pieces.append(left)
        timeouts = np.broadcast_to([1.2, 1.25], (rows, left, 2))
        return Draws(timeouts, *(np.full((rows, left, 2, 2), 0.1) for _ in range(3)))

    rules, heard = Rules(2, (0, 0)), np.zeros((lanes, 2))
    heard[: lanes // 2, 1] = 0.101  # apart from the start
    whole = elections(rules, heard, heard, lambda left: numbers(50, left))
    assert pieces == [50]
    again = elections(rules, heard, heard, lambda left: numbers(2, left))
    assert set(pieces[1:]) == {50, 25}
    assert set(whole.terms) == {whole.terms[0], whole.terms[-1]} == {2, 4}
    for mine, told in zip(again, whole, strict=True):
        np.testing.assert_array_equal(mine, told)


def test_members_who_never_agree_are_told_of():
    rules = Rules(2, (0, 0))
    same = Draws(np.ones((200, 1, 2)), *(np.full((200, 1, 2, 2), 0.1) for _ in range(3)))
    with pytest.raises(ValueError, match="no leader emerges in 1,000 campaigns"):
        elections(rules, np.zeros((1, 2)), np.zeros((1, 2)), lambda _: same)


# ---------------------------------------------------------------------------------------------- closed forms


def plain(**more):
    """Continuous timers of which nothing is lost or refused."""
    given = {"timers": "continuous", "check_quorum": "no", "loss": 0.0, "fsync": 0.0, "until": "elected"}
    given |= {"pauses": 0.0, "rediscovery": 0.0} | more
    return Election(**given)


def test_the_first_timeout_is_a_beta():
    for members in (3, 5, 9):
        group = plain(members=members, timeout=0.5, spread=2.0)
        law = stats.beta(1, members - 1, loc=0.5, scale=1.0)
        levels = np.array([1e-6, 0.1, 0.5, 0.9, 0.999])
        np.testing.assert_allclose(group.first_timeout.icdf(levels), law.ppf(levels), rtol=1e-9)
        assert group.first_timeout.mean() == pytest.approx(0.5 + 1.0 / members)


@pytest.mark.parametrize(("members", "alive"), [(3, 2), (5, 4), (5, 3), (9, 5), (4, 3)])
def test_split_votes_by_two_exact_routes(members, alive):
    """The closed form against the integral of its joint law with the first timeout, and its definition by counting."""
    for share in (0.01, 0.1, 0.3, 0.7):
        wanted = alive - members // 2
        by_counting = stats.binom.sf(wanted - 1, alive, share)
        joint = integrate.quad(
            lambda u, least, x: (
                alive * (1 - u) ** (alive - 1) * stats.binom.sf(least - 1, alive - 1, min(1.0, x / (1 - u)))
            ),
            0.0,
            1.0,
            args=(wanted, share),
            points=[1.0 - share],
            epsabs=1e-12,
        )[0]
        assert float(split_probability(members, alive, share)) == pytest.approx(by_counting, rel=1e-10)
        assert joint == pytest.approx(by_counting, rel=1e-7)


def test_without_flight_there_is_no_split_and_the_law_is_exact():
    group = plain(one_way=0.0, heartbeat=0.1)
    assert group.terms == pytest.approx(1.0, abs=1e-12)
    assert group.downtime.mean() == pytest.approx(1.0 + 1.0 / 3.0 - 0.05, rel=1e-6)
    assert group.downtime.variance() == pytest.approx(1.0 / 18.0 + 0.01 / 12.0, rel=1e-4)
    u = np.array([0.2, 0.5, 0.8])
    np.testing.assert_allclose(group.time_to_majority.icdf(1.0 - (1.0 - u) ** 2), 1.0 + u, rtol=1e-5)


def test_the_least_share_of_time_is_where_the_lease_ends():
    group = Election(lease=5.0, until="elected")
    assert group.downtime.support[0] == pytest.approx(4.9)
    assert group.downtime.mean() == pytest.approx(4.95, abs=1e-3)
    assert group.replace(lease=0.0).downtime.mean() == pytest.approx(Election(until="elected").downtime.mean())
    found = Election(lease=1.5).simulate(64_000, 1)
    low, high = found.downtime.mean_estimate().interval(1 - 1e-8)
    assert low * 0.99 < Election(lease=1.5).downtime.mean() < high * 1.01


GRID = [  # the model, and the largest errors of mean and p99 that were measured there
    (plain(one_way=0.1), 0.01, 0.03),
    (plain(one_way=0.3), 0.01, 0.03),
    (plain(members=5, one_way=0.2, spread=0.7, timeout=1.5), 0.01, 0.03),
    (plain(members=5, failed=1, one_way=0.05), 0.01, 0.03),
    (plain(members=5, one_way=0.1, pre_vote="yes"), 0.01, 0.03),
    (plain(members=5, one_way=0.02, fsync=0.1, own_vote="meanwhile"), 0.01, 0.03),
    (plain(members=5, failed=1, one_way=0.05, fsync=0.05, pre_vote="yes"), 0.01, 0.03),
    (Election(), 0.01, 0.03),
    (Election(one_way=0.02), 0.01, 0.03),
    (Election(members=5, heartbeat=0.02, timeout=0.2), 0.01, 0.03),
    (Election(members=5, failed=1, one_way=0.01), 0.015, 0.15),
    (Election(members=5, pre_vote="yes", one_way=0.01), 0.015, 0.15),
]


@pytest.mark.parametrize(("group", "mean", "tail"), GRID, ids=lambda value: str(value)[:30])
def test_the_closed_form_errs_by_what_it_says(group, mean, tail):
    """Errors allowed on top of an interval of 1e-8; a formula off by three per cent more must fail."""
    found = group.simulate(96_000 if group.members == 3 else 32_000, 5)
    estimate = found.downtime.mean_estimate()
    reach = student(1.0 - FALSE_ALARM, estimate.freedom) * estimate.error
    assert abs(group.downtime.mean() - estimate.value) < reach + mean * estimate.value
    assert reach + mean * estimate.value < 0.03 * estimate.value
    low, high = found.downtime.interval(0.99, 1.0 - FALSE_ALARM)
    assert low * (1.0 - tail) < float(group.downtime.icdf(0.99)) < high * (1.0 + tail)
    assert mean <= group.accuracy("downtime").error
    assert tail <= group.accuracy("downtime", 0.99).error


def test_the_renewal_formula_is_pessimistic_by_what_it_says():
    """Each term as if its timers started together: 6% too long for three at l/R = 0.2, less for four of five."""
    for members, alive, low, high in ((3, 2, 0.03, 0.06), (5, 4, 0.00, 0.03)):
        failed = members - 1 - alive
        found = plain(members=members, failed=failed, one_way=0.2).simulate(32_000, 2).time_to_majority.mean()
        told = float(mean_time_to_majority(members, alive, 1.0, 1.0, 0.2))
        assert low < told / found - 1.0 < high


def test_false_elections_by_a_chain():
    """The mean beats to m misses in a row by solving the chain, and where m is drawn anew by enumeration of trials."""
    for p, m in ((0.1, 1), (0.3, 3), (0.5, 4)):
        moves = np.zeros((m, m))
        for k in range(m):
            moves[k, 0] += 1 - p
            if k + 1 < m:
                moves[k, k + 1] += p
        beats = np.linalg.solve(np.eye(m) - moves, np.ones(m))[0]
        assert float(beats_to_false_election(p, m)) == pytest.approx(beats, rel=1e-12)
    two, four = (float(beats_to_false_election(0.2, m)) for m in (2, 4))
    mixed = float(beats_to_false_election(0.2, [2.0, 4.0], [0.5, 0.5]))
    assert two < mixed < four
    f = (0.2**2 + 0.2**4) / 2
    lasts = sum(0.5 * sum(0.2**k for k in range(m)) for m in (2, 4))
    assert mixed == pytest.approx(lasts / f, rel=1e-12)
    assert misses_allowed(0.3, 0.3, 0.1)[0].tolist() == [3, 4, 5]
    np.testing.assert_allclose(misses_allowed(0.25, 0.1, 0.1)[1], [0.5, 0.5])
    assert Election(loss=0.0, pauses=0.0).false_elections == 0.0


def test_false_elections_agree_with_runs_of_lost_heartbeats():
    group = plain(heartbeat=0.3, timeout=0.9, loss=0.02)
    found = group.simulate(64_000, 1).false_elections
    low, high = found.interval(1.0 - FALSE_ALARM)
    assert low < group.false_elections < high
    assert high - low < 0.12 * group.false_elections


def test_the_best_timeout_lies_in_the_flat_of_the_u():
    """The right arm of a U: 506 and 391 ms at shortest timeouts of 300 and 150 ms; the best is near the least."""

    def group(timeout):
        return plain(members=5, one_way=0.040, timeout=timeout, heartbeat=timeout / 3.0, loss=0.001, until="announced")

    for timeout, mean in ((0.3, 0.506), (0.15, 0.391)):
        found = group(timeout).simulate(2000, 1).downtime.mean_estimate()
        assert abs(found.value - mean) < student(1.0 - FALSE_ALARM, found.freedom) * found.error
    best = group(0.15).best_timeout
    assert best == pytest.approx(group(0.3).best_timeout, rel=0.03)
    means = [group(timeout).downtime.mean() for timeout in np.linspace(0.101, 0.25, 12)]
    assert group(best).downtime.mean() < 1.02 * min(means)


def test_where_there_is_no_formula_it_says_so():
    for group, says in (
        (plain(one_way=0.5), "0.5 of the timeouts' range"),
        (plain(timeout=0.05, heartbeat=0.01, spread=3.0, one_way=0.03), "longer than the shortest timeout"),
        (plain(one_way=sm.Exponential(0.05)), "vary by more than a tenth"),
        (Election(loss=0.03), "1% of the heartbeats are lost"),
        (Election(heartbeat=0.3), "3 numbers of ticks"),
    ):
        with pytest.raises(sm.NoClosedForm, match=says):
            group.downtime.mean()
        assert group.accuracy("downtime").error is None
        assert group.simulate(640, 0).downtime.mean() > 0
    lossy = plain(loss=0.3)  # simulated, ten times as many terms split as the formula had
    with pytest.raises(sm.NoClosedForm, match="heartbeats are lost"):
        lossy.probability_of_split  # noqa: B018
    assert math.isinf(Election(failed=1).downtime.mean())
    assert Election(failed=1).unavailability == 1.0
    assert math.isinf(Election(members=1).terms)
    with pytest.raises(ValueError, match="0 of 1 members left"):
        Election(members=1).simulate(640)
    with pytest.raises(ValueError, match=r"Election.heartbeat must lie in \(0, 1\] s"):
        Election(heartbeat=1.5)


def test_what_the_assumptions_hide():
    """A log that is behind costs time; with ticks in step nobody refuses."""
    group = Election(members=5, loss=0.0)
    plainly = group.simulate(12_000, 1).probability_of_split.value
    together = group.simulate(12_000, 1, violating="ticks in step").probability_of_split.value
    assert together < plainly - 0.02
    three = Election(members=5, check_quorum="no", loss=0.0)
    behind = three.simulate(12_000, 1, violating="a follower's log is behind").downtime.mean()
    assert behind > 1.02 * three.downtime.mean()


# ------------------------------------------------------------------------------------------------- etcd, and figures


def test_etcd_as_measured():
    """43 kills of one of three members: mean within the joint interval, Kolmogorov-Smirnov p over 0.001."""
    seconds = sm.data.etcd_elections().seconds_to_new_leader.to_numpy()
    group = Election(heartbeat=0.100, timeout=1.000, one_way=0.001, until="elected")
    error = math.hypot(seconds.std(ddof=1) / math.sqrt(len(seconds)), 0.01 * group.downtime.mean())
    assert abs(group.downtime.mean() - seconds.mean()) < 1.96 * error
    assert stats.kstest(seconds, group.downtime.cdf).pvalue > 0.001
    longer = Election(heartbeat=0.120, timeout=1.200, one_way=0.001, until="elected")
    assert stats.kstest(seconds, longer.downtime.cdf).pvalue < 0.001  # a fifth more would be seen


def test_a_failover_as_swim_lanes():
    group = Election(members=5, timeout=0.15, heartbeat=0.05, timers="continuous", one_way=0.02, fsync=0.005)
    for seed in range(3):
        record = group.swim_lanes(seed)
        assert record.lanes == ("old leader", "member 2", "member 3", "member 4", "member 5")
        assert {kind for kind, *_ in record.arrows} <= set(record.arrow_kinds)
        assert all(got - sent == pytest.approx(0.02) for _, _, sent, _, got in record.arrows)
        assert all(end >= begin for _, _, begin, end in record.bars)
        said = [text for _, _, text in record.marks]
        assert said[0] == "crash"
        assert said[-2:] == ["elected", "first write"]
        votes = [a for a in record.arrows if a[0] == "votes" and a[3] == record.marks[-1][0]]
        assert len({voter for _, voter, *_ in votes}) >= 2
        figure = figures.swim_lanes(record)
        names = [*record.bar_kinds, *record.arrow_kinds, "marks"]
        assert [trace.name for trace in figure.data] == names
        assert figure.to_json() == figures.swim_lanes(group.swim_lanes(seed)).to_json()
    with pytest.raises(ValueError, match="no failover"):
        Election(failed=1).swim_lanes()


def test_no_failover_is_quicker_than_the_quickest():
    """Under a long lease the law is hardly more than a heartbeat wide, and a step of its lattice shows."""
    downtime = Election(members=3, spread=3.0, check_quorum="no", lease=4.4).downtime
    least = downtime.support[0]
    assert least == pytest.approx(4.3)
    assert downtime.icdf([0.0, 0.001, 0.01]).min() >= least
    assert downtime.iccdf(0.99) >= least
    assert downtime.sample(1000, rng=1).min() >= least


def test_elections_without_need_may_be_too_rare_to_count():
    group = Election(members=3, timeout=10.5, one_way=sm.Deterministic(0.001), loss=0.001, pauses=0.0)
    assert group.false_elections == 0.0
    assert math.isfinite(group.unavailability)


def test_no_timeout_helps_where_requests_never_come():
    assert Election(one_way=sm.Never()).best_timeout == math.inf


@pytest.mark.parametrize("members", [3, 4, 5])
@pytest.mark.parametrize("scv", [0.2, 1.0])
def test_all_members_vote_where_nobody_checks_the_quorum(members, scv):
    """The old leader has a vote too: without it, as after a crash, three members would wait up to 47% longer."""
    model = Election(members, heartbeat=0.1, timeout=1.0, one_way=sm.LogNormal(0.001, scv), check_quorum="no")
    drawn = disruptions(model.crashes(), 20_000, stream(2, members))
    standard = drawn.std() / math.sqrt(len(drawn))
    assert abs(model.disruption - drawn.mean()) < 5.5 * standard  # 4e-8
    assert standard < 0.007 * drawn.mean()
