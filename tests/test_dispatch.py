"""Dispatch rules and servers against a simulation event by event, path by path, on the same random numbers."""

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.montecarlo.kernels import rules
from scaling_models.montecarlo.kernels.dispatch import dispatch
from scaling_models.montecarlo.kernels.servers import FifoServers, count, first_open, open_words
from scaling_models.montecarlo.kernels.sharing import SharingServers
from scaling_models.montecarlo.kernels.waves import waves

SERVERS, LANES, CUSTOMERS, SEED = 5, 3, 400, 11


def draws(load, workers, seed, heavy=False):
    rng = np.random.default_rng(seed)
    services = rng.pareto(1.6, (CUSTOMERS, LANES)) * 0.6 if heavy else rng.exponential(1.0, (CUSTOMERS, LANES))
    return services, rng.exponential(1.0 / (load * SERVERS * workers), (CUSTOMERS, LANES))


class Fifo:
    """One server as a textbook has it: who comes takes the worker that is free first."""

    def __init__(self, workers):
        self.free, self.departures = [0.0] * workers, []

    def there(self, now):
        return sum(each > now for each in self.departures)

    def idle(self, now):
        return min(self.free) <= now

    def work(self, now):
        return min(self.free)

    def take(self, now, service):
        end = max(now, heapq.heappop(self.free)) + service
        heapq.heappush(self.free, end)
        self.departures.append(end)
        return end


class Sharing:
    """One processor-sharing server, advanced from departure to departure."""

    def __init__(self, workers):
        self.workers, self.now, self.left, self.departures = workers, 0.0, {}, {}

    def advance(self, to):
        while self.left:
            pace = min(1.0, self.workers / len(self.left))
            first = min(self.left, key=self.left.get)
            if self.now + self.left[first] / pace > to:
                break
            step = self.left[first]
            self.now += step / pace
            self.left = {who: left - step for who, left in self.left.items()}
            del self.left[first]
            self.departures[first] = self.now
        pace = min(1.0, self.workers / len(self.left)) if self.left else 1.0
        self.left = {who: left - (to - self.now) * pace for who, left in self.left.items()}
        self.now = to

    def there(self, now):
        self.advance(now)
        return len(self.left)

    def idle(self, now):
        return self.there(now) < self.workers

    def work(self, now):
        self.advance(now)
        return sum(self.left.values())

    def take(self, now, service, who):
        self.advance(now)
        self.left[who] = service


def chosen(rule, drawn, servers, now, counts, used):
    """What the rule's words say, for one lane: `drawn` is what the rule drew for this customer and lane."""
    if isinstance(rule, rules.Random | rules.RoundRobin):
        return drawn
    if isinstance(rule, rules.PowerOf):
        return min(drawn, key=lambda server: (counts[server], list(drawn).index(server)))
    if isinstance(rule, rules.LeastConnections) and rule.ties == "random":
        return min(range(SERVERS), key=lambda server: (counts[server], -int(drawn[server])))
    if isinstance(rule, rules.LeastConnections) and rule.ties == "used":
        return min(range(SERVERS), key=lambda server: (counts[server], used[server]))
    if isinstance(rule, rules.LeastConnections):
        return in_turn([server for server in range(SERVERS) if counts[server] == min(counts)], used)
    if isinstance(rule, rules.JoinIdle):
        return max(range(SERVERS), key=lambda server: (servers[server].idle(now), drawn[server]))
    return min(range(SERVERS), key=lambda server: servers[server].work(now))


def in_turn(equals, credit):
    """As nginx takes turns: everybody gains one, the first of the richest pays for all."""
    for server in equals:
        credit[server] += 1
    chosen = max(equals, key=lambda server: (credit[server], -server))
    credit[chosen] -= len(equals)
    return chosen


def remember(rule, used, server, n):
    """Who was used last, where the rule asks that."""
    if getattr(rule, "ties", None) == "used":
        used[server] = n + 1


def reference(rule, services, gaps, drawn, lane, workers, dispatcher=None, speeds=None, fixed=None):
    servers = [Fifo(workers) for _ in range(SERVERS)]
    own = [[[] for _ in range(SERVERS)] for _ in range(3)]  # departures by dispatcher and server
    memories, now, latencies = [[0] * SERVERS for _ in range(3)], 0.0, []
    for n in range(len(gaps)):
        now += gaps[n, lane]
        whose = 0 if dispatcher is None else dispatcher[n, lane]
        mine, used = own[whose], memories[whose]
        counts = [sum(each > now for each in ends) for ends in mine]
        server = chosen(rule, picked(rule, drawn, n, lane), servers, now, counts, used)
        remember(rule, used, server, n)
        service = services[n, lane]
        if speeds is not None:
            service = service / speeds[server] if fixed[server] is None else fixed[server]
        end = servers[server].take(now, service)
        mine[server].append(end)
        latencies.append(end - now)
    return latencies


def picked(rule, drawn, n, lane):
    """The rule's draw for one customer of one lane, as server numbers."""
    if isinstance(rule, rules.LeastWork) or getattr(rule, "ties", "random") != "random":
        return None
    each = drawn[n][lane]
    return each if isinstance(rule, rules.LeastConnections | rules.JoinIdle) else each % SERVERS


RULES = [
    rules.Random(),
    rules.Random((1.0, 2.0, 3.0, 0.0, 1.0)),
    rules.RoundRobin(),
    rules.PowerOf(2),
    rules.PowerOf(2, replacement=True),
    rules.PowerOf(4),
    rules.LeastConnections(),
    rules.LeastConnections("used"),
    rules.LeastConnections("turns"),
    rules.JoinIdle(),
    rules.LeastWork(),
]
COUNTING = [rules.PowerOf(2), *(rules.LeastConnections(ties) for ties in ("random", "used", "turns"))]


def drawn_by(rule, offsets, seed):
    return rule.draw(np.random.default_rng(seed), offsets, SERVERS, 0)


@pytest.mark.parametrize("heavy", [False, True], ids=["exponential", "heavy"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fifo_servers_equal_the_textbook(rule, workers, heavy):
    """At overload too, so that the rings must grow."""
    for load in (0.8, 1.3):
        services, gaps = draws(load, workers, SEED, heavy)
        pool = FifoServers.begin(LANES, np.zeros((LANES * SERVERS, workers)), 1)
        told = dispatch(pool, rule, services, gaps, np.random.default_rng(SEED))
        offsets = np.broadcast_to(np.arange(LANES) * SERVERS, gaps.shape)
        drawn = drawn_by(rule, offsets, SEED)
        for lane in range(LANES):
            expected = reference(rule, services, gaps, drawn, lane, workers)
            np.testing.assert_allclose(told.latencies[:, lane], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", COUNTING, ids=repr)
def test_dispatchers_count_only_what_they_sent(rule):
    services, gaps = draws(0.9, 1, SEED)
    dispatcher = np.random.default_rng(5).integers(0, 3, gaps.shape)
    pool = FifoServers.begin(LANES, np.zeros((LANES * SERVERS, 1)), 3)
    rng = np.random.default_rng(SEED)
    told = dispatch(pool, rule, services, gaps, rng, dispatcher=dispatcher, dispatchers=3)
    offsets = np.arange(LANES) * SERVERS * 3 + dispatcher * SERVERS
    drawn = drawn_by(rule, offsets, SEED)
    for lane in range(LANES):
        expected = reference(rule, services, gaps, drawn, lane, 1, dispatcher)
        np.testing.assert_allclose(told.latencies[:, lane], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_slow_servers_and_those_that_fail_fast(rule, workers):
    services, gaps = draws(0.7, workers, SEED)
    speeds, fixed = (1.0, 0.5, 2.0, 1.0, 1.0), (None, None, None, 0.01, None)
    pool = FifoServers.begin(LANES, np.zeros((LANES * SERVERS, workers)), 1)
    scale = np.array([0.0 if f is not None else 1.0 / s for s, f in zip(speeds, fixed, strict=True)])
    rng = np.random.default_rng(SEED)
    told = dispatch(pool, rule, services, gaps, rng, scale=scale, fixed=np.array([f or 0.0 for f in fixed]))
    drawn = drawn_by(rule, np.broadcast_to(np.arange(LANES) * SERVERS, gaps.shape), SEED)
    for lane in range(LANES):
        expected = reference(rule, services, gaps, drawn, lane, workers, None, speeds, fixed)
        np.testing.assert_allclose(told.latencies[:, lane], expected, rtol=1e-9, atol=1e-9)


def sharing(workers, dispatchers=1):
    """Sharing servers that begin empty."""
    rng = np.random.default_rng(0)
    return SharingServers.begin(np.zeros((LANES, SERVERS), dtype=np.intp), np.zeros(0), workers, dispatchers, rng)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_sharing_servers_equal_the_textbook(rule, workers):
    """Latencies are told when somebody next looks at the server, so that they are compared as a set."""
    services, gaps = draws(0.9, workers, SEED)
    pool = sharing(workers)
    pool.log = []
    told = dispatch(pool, rule, services, gaps, np.random.default_rng(SEED))
    drawn = drawn_by(rule, np.broadcast_to(np.arange(LANES) * SERVERS, gaps.shape), SEED)
    everything = []
    for lane in range(LANES):
        servers, used, now = [Sharing(workers) for _ in range(SERVERS)], [0] * SERVERS, 0.0
        seen = [0.0] * SERVERS
        for n in range(CUSTOMERS):
            now += gaps[n, lane]
            counts = [server.there(now) for server in servers]
            server = chosen(rule, picked(rule, drawn, n, lane), servers, now, counts, used)
            remember(rule, used, server, n)
            seen[server] = now
            servers[server].take(now, services[n, lane], n)
        came = np.cumsum(gaps[:, lane])
        left = {
            who: end
            for server, last in zip(servers, seen, strict=True)
            for who, end in server.departures.items()
            if end <= last
        }
        expected = sorted(end - came[who] for who, end in left.items())
        found = told.latencies[:, lane]
        np.testing.assert_allclose(np.sort(found[np.isfinite(found)]), expected, rtol=1e-7, atol=1e-9)
        everything += left.values()
    np.testing.assert_allclose(
        np.sort(np.concatenate([each.ravel() for each in pool.log])), sorted(everything), rtol=1e-9
    )


@pytest.mark.parametrize("rule", COUNTING, ids=repr)
def test_dispatchers_of_sharing_servers_count_their_own_requests(rule):
    """Path by path; who counted everybody's was 37% low (least connections), or fell out of the arrays (power of)."""
    services, gaps = draws(0.9, 2, SEED)
    dispatcher = np.random.default_rng(9).integers(0, 3, gaps.shape)
    pool = sharing(2, 3)
    told = dispatch(
        pool, rule, services, gaps, np.random.default_rng(SEED), dispatcher=dispatcher.astype(np.uint16), dispatchers=3
    )
    offsets = np.arange(LANES) * SERVERS * 3 + dispatcher * SERVERS
    drawn = drawn_by(rule, offsets, SEED)
    for lane in range(LANES):
        servers, memories, now = [Sharing(2) for _ in range(SERVERS)], [[0] * SERVERS for _ in range(3)], 0.0
        whose, seen = {}, [0.0] * SERVERS
        for n in range(CUSTOMERS):
            now += gaps[n, lane]
            for each in servers:
                each.advance(now)
            counts = [sum(whose[who] == dispatcher[n, lane] for who in each.left) for each in servers]
            used = memories[dispatcher[n, lane]]
            server = chosen(rule, picked(rule, drawn, n, lane), servers, now, counts, used)
            remember(rule, used, server, n)
            seen[server], whose[n] = now, dispatcher[n, lane]
            servers[server].take(now, services[n, lane], n)
        came = np.cumsum(gaps[:, lane])
        expected = [
            end - came[who]
            for server, last in zip(servers, seen, strict=True)
            for who, end in server.departures.items()
            if end <= last
        ]
        found = told.latencies[:, lane]
        np.testing.assert_allclose(np.sort(found[np.isfinite(found)]), np.sort(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("ties", ["used", "turns"])
@pytest.mark.parametrize("servers", [FifoServers, SharingServers])
def test_blocks_and_copies_do_not_change_a_path(servers, ties):
    """Cut anywhere, with the lanes copied and their clocks set back in between, a path goes on as it would have."""
    services, gaps = draws(0.95, 2, 3)
    begin = (
        (lambda: FifoServers.begin(LANES, np.zeros((LANES * SERVERS, 2)), 1))
        if servers is FifoServers
        else (lambda: sharing(2))
    )
    rule = rules.LeastConnections(ties)
    whole = dispatch(begin(), rule, services, gaps, np.random.default_rng(0))
    pool, parts = begin(), []
    for low, high in itertools.pairwise((0, 1, 57, 300, CUSTOMERS)):
        parts.append(dispatch(pool, rule, services[low:high], gaps[low:high], np.random.default_rng(0)))
        pool = pool.pick(np.arange(LANES))
    found = [np.concatenate([part.latencies[:, lane] for part in parts]) for lane in range(LANES)]
    for lane in range(LANES):
        expected, cut = whole.latencies[:, lane], found[lane]
        np.testing.assert_allclose(cut[np.isfinite(cut)], expected[np.isfinite(expected)], rtol=1e-7, atol=1e-9)


def test_lanes_are_picked_with_repeats():
    services, gaps = draws(0.9, 1, 4)
    pool = FifoServers.begin(LANES, np.zeros((LANES * SERVERS, 1)), 1)
    dispatch(pool, rules.PowerOf(2), services, gaps, np.random.default_rng(0))
    twice = pool.pick(np.array([2, 2]))
    assert np.array_equal(twice.free[:SERVERS], twice.free[SERVERS:])
    np.testing.assert_allclose(twice.free[:SERVERS, 0], pool.free.reshape(LANES, SERVERS)[2] - pool.now[2])
    of_lane = lambda held, lane: count(held.all_open_places(np.zeros(0, dtype=np.intp))[lane])  # noqa: E731
    assert np.array_equal(of_lane(twice, 0), of_lane(pool, 2))
    assert np.array_equal(of_lane(twice, 1), of_lane(pool, 2))


@pytest.mark.parametrize("places", [8, 16])
def test_words_count_and_find_open_places(places):
    rng = np.random.default_rng(1)
    gone = rng.random((500, places)) < 0.3
    gone[:, -1] |= ~gone.any(axis=1)
    words = open_words(gone)
    assert np.array_equal(count(words), gone.sum(axis=1))
    assert np.array_equal(first_open(words), gone.argmax(axis=1))
    gone[7] = False
    assert first_open(open_words(gone)) is None


def test_draws_of_a_rule_are_uniform():
    """Chi-square at 1e-6 on the pairs that two choices draw, the keys of ties, and the weights."""
    rng, offsets = np.random.default_rng(2), np.zeros((4000, 20), dtype=np.intp)
    pairs = rules.PowerOf(2).draw(rng, offsets, SERVERS, 0).reshape(-1, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    table = np.bincount(pairs[:, 0] * SERVERS + pairs[:, 1], minlength=SERVERS**2)
    expected = len(pairs) / (SERVERS * (SERVERS - 1))
    assert (((table - expected) ** 2 / expected)[table > 0]).sum() < 73.0  # chi-square(19), 1 - 1e-7
    triples = rules.PowerOf(3).draw(rng, offsets, SERVERS, 0).reshape(-1, 3)
    assert all(len(set(each)) == 3 for each in triples[:500].tolist())
    single = np.bincount(triples.ravel(), minlength=SERVERS)
    assert (abs(single - triples.size / SERVERS) < 6.0 * np.sqrt(triples.size / SERVERS)).all()
    dealt = np.bincount(rules.Random((1.0, 3.0, 0.0)).draw(rng, offsets, 3, 0).ravel(), minlength=3) / offsets.size
    assert dealt[2] == 0.0
    assert abs(dealt[1] - 0.75) < 6.0 * np.sqrt(0.75 * 0.25 / offsets.size)
    keys = rules.tie_keys(rng, (1000, 100))
    assert abs(keys.mean() - 65535 / 2) < 6.0 * 65536 / np.sqrt(12 * keys.size)


@pytest.mark.parametrize("dispatchers", [1, 3])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rule", [each for each in RULES if each.looks], ids=repr)
def test_waves_change_no_bit(rule, workers, dispatchers):
    """Whoever comes with whom: waits, services, and what the servers are left with; lanes alone, and slow servers."""
    services, gaps = draws(0.9, workers, SEED)
    dispatcher = np.random.default_rng(5).integers(0, dispatchers, gaps.shape) if dispatchers > 1 else None
    apart = {"scale": np.array([1.0, 2.0, 0.5, 0.0, 1.0]), "fixed": np.array([0.0, 0.0, 0.0, 0.01, 0.0])}
    for some, extra in (("lanes", {}), ("lanes", apart), ("lane", {})):
        few = slice(None) if some == "lanes" else slice(1)
        found = []
        for in_waves in (False, True):
            lanes = len(services[0, few])
            pool = FifoServers.begin(lanes, np.zeros((lanes * SERVERS, workers)), dispatchers)
            rng = np.random.default_rng(SEED)
            for part in (slice(0, 300), slice(300, CUSTOMERS)):
                told = dispatch(
                    pool,
                    rule,
                    services[part, few],
                    gaps[part, few],
                    rng,
                    dispatcher=None if dispatcher is None else dispatcher[part, few],
                    dispatchers=dispatchers,
                    in_waves=in_waves,
                    **extra,
                )
                found += [*told, pool.now.copy(), pool.free.copy(), np.sort(pool.ring, axis=1)]
        half = len(found) // 2
        assert all(np.array_equal(*pair) for pair in zip(found[:half], found[half:], strict=True))


@given(st.integers(0, 10**6), st.integers(1, 700), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_waves_keep_who_share_a_row_in_order(seed, customers, lanes, some):
    """Every customer once; none with or before an earlier one of its lane that shares a row; few waves."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 20, (customers, lanes, some)) + 20 * np.arange(lanes)[:, None]
    order, steps = waves(rows, 20 * lanes)
    assert np.array_equal(np.sort(order), np.arange(customers * lanes))
    turn = np.empty(customers * lanes, dtype=int)
    for number, step in enumerate(steps):
        turn[order[step]] = number
    turn = turn.reshape(customers, lanes)
    for lane in range(lanes):
        last = {}
        for n in range(customers):
            mine = rows[n, lane].tolist()
            assert all(turn[n, lane] > last.get(row, -1) for row in mine)
            last.update(dict.fromkeys(mine, turn[n, lane]))
    assert [step.start for step in steps[1:]] == [step.stop for step in steps[:-1]]


def test_errors_are_told_by_their_server_not_by_their_duration():
    """A first server in ten that fails fast gets a tenth of what is split at random, however long services last."""
    for service in (sm.Deterministic(0.001), sm.Exponential(0.001)):
        pool = sm.RandomSplit(5000.0, 10, service, first_answers="errors in 1 ms")
        low, high = pool.simulate(40_000, seed=1).error_share.interval(1.0 - 1e-6)
        assert low < 0.1 < high < 0.15
