"""Elections: the simulator against a plain loop over a heap of events, the closed forms against both, and etcd.

Comparisons with chance in them have false alarms of 1e-8 each, so below 1e-6 in this file; seeds are fixed.
"""

import heapq
import itertools
import math

import numpy as np
import pytest

from scaling_models.montecarlo.kernels.elections import Draws, Rules, elections
from scaling_models.montecarlo.streams import stream


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
