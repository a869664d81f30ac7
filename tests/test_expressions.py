"""Quorum expressions as algebra, and the load of quorum systems: two exact routes agree."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import scaling_models as sm
from scaling_models.quorums import (
    Leaf,
    QuorumSystem,
    Replica,
    Strategy,
    choose,
    completion,
    grid,
    hierarchy,
    leaves,
    majority,
    weighted,
)
from scaling_models.quorums.formulas import sizes
from scaling_models.quorums.formulas.loads import load_bound

E = sm.Exponential
a, b, c, d, e, f = leaves("a b c d e f")
PATHS = a * b + a * c * e + d * e + d * c * b  # replicas appear twice

NAMES = "abcdef"
ONCE = st.recursive(
    st.just(None),
    lambda part: st.tuples(st.integers(1, 3), st.lists(part, min_size=1, max_size=3)),
    max_leaves=6,
)


def named(shape, names):
    """A drawn shape as an expression over the given names, in turn."""
    if shape is None:
        return Leaf(next(names))
    k, members = shape
    return choose(min(k, len(members)), *(named(member, names) for member in members))


READ_ONCE = ONCE.map(lambda shape: named(shape, iter(f"r{i}" for i in range(100))))
REPEATING = st.recursive(
    st.sampled_from([Leaf(name) for name in NAMES]),
    lambda part: st.one_of(
        st.builds(
            lambda k, members: choose(min(k, len(members)), *members),
            st.integers(1, 3),
            st.lists(part, min_size=1, max_size=4),
        ),
        st.lists(st.tuples(part, st.integers(1, 3)), min_size=1, max_size=4).map(
            lambda votes: weighted(sum(n for _, n in votes) // 2 + 1, *votes)
        ),
    ),
    max_leaves=9,
)
EXPRESSIONS = st.one_of(READ_ONCE.filter(lambda x: len(x.names()) <= 7), REPEATING)


def holds(expression, alive):
    """The plain meaning, by recursion over the gates."""
    if isinstance(expression, Leaf):
        return expression.name in alive
    needed, weights = expression.votes
    return sum(w for w, m in zip(weights, expression.members, strict=True) if holds(m, alive)) >= needed


def subsets(names):
    return [frozenset(chosen) for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def minimal(sets):
    return {each for each in sets if not any(other < each for other in sets)}


def surviving(expression, failures):
    """The minimal sets that hold a quorum after any `failures` of their replicas fail, by enumeration."""
    return minimal(
        {
            each
            for each in subsets(expression.names())
            if all(
                holds(expression, each - set(gone)) for gone in itertools.combinations(each, min(failures, len(each)))
            )
            and holds(expression, each)
        }
    )


@given(EXPRESSIONS, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_one_evaluation_is_the_sum_over_all_patterns(expression, seed):
    rng = np.random.default_rng(seed)
    names = expression.names()
    p = dict(zip(names, rng.random((len(names), 2)), strict=True))
    total = sum(
        np.prod([p[n] if n in alive else 1 - p[n] for n in names], axis=0)
        for alive in subsets(names)
        if holds(expression, alive)
    )
    np.testing.assert_allclose(expression.evaluate(p), total, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(expression.diagram.evaluate(expression.root, p), total, rtol=1e-12, atol=1e-300)
    q = {name: 1 - value for name, value in p.items()}
    np.testing.assert_allclose(expression.dual().evaluate(q), 1 - total, rtol=1e-12, atol=1e-15)
    more = {name: value + (1 - value) * rng.random() for name, value in p.items()}
    assert (expression.evaluate(more) >= expression.evaluate(p) - 1e-15).all()


@given(EXPRESSIONS)
@settings(max_examples=60, deadline=None)
def test_the_dual_meets_and_is_the_most_that_does(expression):
    names, dual = expression.names(), expression.dual()
    assert dual.dual() == expression
    quorums = set(expression.quorums())
    assert quorums == minimal({each for each in subsets(names) if holds(expression, each)})
    meeting = {each for each in subsets(names) if all(each & quorum for quorum in quorums)}
    assert set(dual.quorums()) == minimal(meeting)
    assert QuorumSystem(expression, dual).reads == expression  # which are checked to meet
    assert expression.least == min(map(len, quorums))
    assert expression.resilience == min(map(len, minimal(meeting))) - 1
    assert all(expression.survives(quorum) for quorum in quorums)


@given(REPEATING, st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_quorums_that_survive_failures(expression, failures):
    number = expression.diagram.hardened(expression.root, failures)
    assert set(expression.diagram.minimal(number)) == surviving(expression, failures)


def test_the_algebra_reads_as_it_is_written():
    assert str(a * b + c * (d + e)) == "a*b + c*(d + e)"
    assert a * b * c == choose(3, "a", "b", "c")
    assert a + b + (c + d) == choose(1, *"abcd")
    assert majority(*"abcde") == choose(3, *"abcde")
    assert grid(["abc", "def"]) == a * b * c + d * e * f
    assert grid(["abc", "def"]).dual() == (a + b + c) * (d + e + f)
    assert choose(2, *"abcde").dual() == choose(4, *"abcde")
    assert hierarchy(2, ["abc", "def"]) == choose(2, majority(*"abc"), majority(*"def"))
    assert str(choose(2, "a", b * c, "d")) == "choose(2, a, b*c, d)"
    votes = weighted(3, ("a", 2), (b, 1), (c * d, 1))
    assert eval(repr(votes)) == votes
    assert eval(repr(PATHS)) == PATHS
    assert hash(a * b + c) == hash(a * b + c)
    system = QuorumSystem(a * b, replicas={"a": Replica(0.005)})
    names = {"QuorumSystem": QuorumSystem, "Replica": Replica, "Deterministic": sm.Deterministic}
    assert eval(repr(system), {**globals(), **names}) == system
    assert PATHS.names() == tuple("abced")


def test_votes_are_as_many_replicas():
    votes = weighted(4, ("a", 3), ("b", 2), ("c", 1), ("d", 1))
    p = dict(zip("abcd", (0.9, 0.7, 0.6, 0.2), strict=True))
    copies = choose(4, "a", "a", "a", "b", "b", "c", "d")
    assert float(votes.evaluate(p)) == pytest.approx(float(copies.evaluate(p)), rel=1e-14)
    assert set(votes.quorums()) == {frozenset("ab"), frozenset("ac"), frozenset("ad"), frozenset("bcd")}
    assert votes.dual().needed == 4


def test_zones_that_fail_as_one():
    """2 + 2 + 1 in three zones: by the zones' generating function, prod (1 - A_z + A_z (1 - A + A x)^n)."""
    five = majority(*"abcde").zoned(dict(zip("abcde", ["x", "x", "y", "y", "z"], strict=True)))
    found = five.evaluate({**dict.fromkeys("abcde", 0.99), **dict.fromkeys("xyz", 0.98)})
    product = np.polynomial.Polynomial([1.0])
    for size in (2, 2, 1):
        product *= 0.02 + 0.98 * np.polynomial.Polynomial([0.01, 0.99]) ** size
    assert float(found) == pytest.approx(product.coef[3:].sum(), rel=1e-12)
    assert 1 - found == pytest.approx(0.0023, abs=0.00005)
    assert five.resilience == 1  # the zone of two, or any two
    apart = stats.binom.sf(2, 5, 0.99 * 0.98)
    assert (1 - found) / (1 - apart) == pytest.approx(9, abs=0.5)


@pytest.mark.parametrize("expression", [PATHS, weighted(4, ("a", 3), ("b", 2), ("c", 1), ("d", 1)), a * b + b * c])
def test_the_latency_of_repeated_replicas(expression):
    laws = dict(zip("abcde", (E(1.0), sm.Erlang(0.8, 3), E(0.5), sm.LogNormal(1.0, 0.5), E(2.0)), strict=True))
    time = expression.latency(laws)
    t = np.array([0.1, 0.5, 1.0, 3.0, 9.0])
    late = expression.dual().evaluate({name: law.ccdf(t) for name, law in laws.items()})
    np.testing.assert_allclose(time.ccdf(t), late, rtol=1e-12)
    step = 1e-5
    slope = (time.ccdf(t - step) - time.ccdf(t + step)) / (2 * step)
    np.testing.assert_allclose(time.pdf(t), slope, rtol=1e-6)  # of which rounding is 1e-11/pdf, the step 1e-10
    drawn = time.sample(200_000, rng=1)
    assert abs(drawn.mean() - time.mean()) < 5.0 * drawn.std() / math.sqrt(200_000)  # 6e-7
    assert sum(completion(expression, {n: laws[n] for n in expression.names()}).values()) == pytest.approx(1, abs=1e-6)
    assert time.icdf(time.cdf(1.0)) == pytest.approx(1.0, rel=1e-9)


def test_a_quorum_time_knows_its_support_and_what_is_lost():
    laws = {"a": sm.Pareto(1.0, 2.5), "b": sm.Uniform(0.2, 0.4), "c": sm.Deterministic(0.3)}
    time = (a * b + b * c + a * c).latency(laws)
    assert time.support == (0.3, pytest.approx(0.4))
    assert time.tail_index == math.inf
    assert (weighted(4, ("a", 3), ("b", 2), ("c", 1))).latency(laws).tail_index == 2.5
    never = (a * b + b * c + a * c).latency({"a": sm.Never(), "b": E(1.0), "c": E(2.0)})
    assert never.lost == 0.0
    np.testing.assert_allclose(never.cdf([0.5, 2.0]), sm.slowest(E(1.0), E(2.0)).cdf([0.5, 2.0]))
    assert (a * b + a * c).latency({"a": sm.Never(), "b": E(1.0), "c": E(2.0)}).lost == 1.0


def by_enumeration(system, fractions, failures, minimize="load", limits=()):
    """The least load, network or latency by a plain linear programme over all sets that survive, listed one by one."""
    weights = fractions if isinstance(fractions, dict) else {fractions: 1.0}
    total = sum(weights.values())
    weights = {share: weight / total for share, weight in weights.items()}
    mean = sum(share * weight for share, weight in weights.items())
    sides, costs = [], {"load": [], "network": [], "latency": []}
    for side, share in ((system.reads, mean), (system.writes, 1 - mean)):
        least = surviving(side, failures)
        sets = [each for each in subsets(side.names()) if any(other <= each for other in least)]
        sides.append(sets)
        times = {name: system.replica(name).latency.mean() for name in side.names()}
        for each in sets:
            prompt = min(t for t in times.values() if holds(side, {n for n in each if times[n] <= t}))
            costs["network"].append(share * len(each))
            costs["latency"].append(share * prompt)
            costs["load"].append(0.0)
    size = sum(map(len, sides))
    vectors = {name: np.array([*values, *([0.0] * len(weights))]) for name, values in costs.items()}
    vectors["load"] = np.array([*np.zeros(size), *weights.values()])
    rows, ends = [], []
    for place, share in enumerate(weights):
        for name in system.names:
            replica, row = system.replica(name), np.zeros(size + len(weights))
            row[: len(sides[0])] = [share / replica.read_capacity * (name in each) for each in sides[0]]
            row[len(sides[0]) : size] = [(1 - share) / replica.write_capacity * (name in each) for each in sides[1]]
            row[size + place] = -1.0
            rows.append(row)
            ends.append(0.0)
    for name, limit in limits:
        rows.append(vectors[name])
        ends.append(limit)
    equal = np.zeros((2, size + len(weights)))
    equal[0, : len(sides[0])] = equal[1, len(sides[0]) : size] = 1.0
    found = optimize.linprog(vectors[minimize], np.array(rows), ends, equal, [1.0, 1.0])
    return found.fun if found.status == 0 else None


CAPACITIES = st.lists(st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0), st.integers(1, 4)), min_size=6, max_size=6)


@given(
    REPEATING,
    CAPACITIES,
    st.one_of(st.floats(0, 1), st.just({0.1: 20, 0.5: 60, 0.9: 20})),
    st.integers(0, 1),
    st.sampled_from(["load", "network", "latency"]),
)
@settings(max_examples=40, deadline=None)
def test_flows_through_the_diagram_are_as_good_as_all_listed_quorums(expression, drawn, fractions, failures, minimize):
    replicas = {
        name: Replica(float(time), 0.999, read, write)
        for name, (read, write, time) in zip(NAMES, drawn, strict=True)
        if name in expression.names()
    }
    system = QuorumSystem(expression, replicas=replicas)
    if failures > system.resilience:
        with pytest.raises(ValueError, match=r"no quorum of the \w+ survives 1 failures"):
            system.strategy(fractions, failures)
        return
    found = system.strategy(fractions, failures, minimize)
    worth = {"load": found.load, "network": found.network, "latency": found.latency}[minimize](fractions)
    assert worth == pytest.approx(by_enumeration(system, fractions, failures, minimize), rel=1e-6)
    kept = {"load": ("latency", found.latency), "network": ("load", found.load), "latency": ("load", found.load)}
    other, spent = kept[minimize]
    limit = 0.9 * spent(fractions)
    expected = by_enumeration(system, fractions, failures, minimize, [(other, limit)])
    if expected is None:
        with pytest.raises(ValueError, match="keeps within"):
            system.strategy(fractions, failures, minimize, **{f"{other}_limit": limit})
        return
    within = system.strategy(fractions, failures, minimize, **{f"{other}_limit": limit})
    worth = {"load": within.load, "network": within.network, "latency": within.latency}[minimize](fractions)
    assert worth == pytest.approx(expected, rel=1e-6)
    spent = {"load": within.load, "latency": within.latency}[other](fractions)
    assert spent <= limit * (1 + 1e-6)
    for side, quorums in ((system.reads, within.reads), (system.writes, within.writes)):
        assert all(any(least <= each for least in surviving(side, failures)) for each, _ in quorums)


SYMMETRIC = [
    majority(*"abcde"),
    choose(2, *"abcde"),
    grid(["abc", "def"]),
    choose(2, *(choose(2, *names) for names in ("abc", "def", "ghi"))),
    choose(2, *(grid([names[:2], names[2:]]) for names in ("abcd", "efgh", "ijkl"))),
]


@pytest.mark.parametrize("expression", SYMMETRIC, ids=str)
@pytest.mark.parametrize("fractions", [0.0, 0.3, {0.2: 1, 0.9: 3}], ids=str)
def test_symmetry_needs_no_linear_programme(expression, fractions):
    system = QuorumSystem(expression)
    assert system.symmetric
    for failures in range(min(2, system.resilience + 1)):
        strategy = system.strategy(fractions, failures)
        assert system.load(fractions, failures) == pytest.approx(strategy.load(fractions), rel=1e-9)
    assert not QuorumSystem(expression, replicas={"a": Replica(read_capacity=2.0)}).symmetric
    if expression.dual() == expression:  # whose quorums meet each other
        assert system.load() >= load_bound(expression.least, len(expression.names())) - 1e-12


def test_what_is_not_symmetric():
    assert not QuorumSystem(a * b + c * d * e).symmetric
    assert not QuorumSystem(PATHS).symmetric
    assert not QuorumSystem(grid(["ab", "cd"]), grid(["ac", "bd"]) * grid(["ab", "cd"]).dual()).symmetric
    assert not QuorumSystem(weighted(3, ("a", 2), ("b", 1), ("c", 1))).symmetric
    assert QuorumSystem(weighted(4, ("a", 2), ("b", 2), ("c", 2))).symmetric


def test_naor_and_wool_by_hand():
    assert QuorumSystem(majority(*map(str, range(15)))).load() == pytest.approx(8 / 15)
    rows = [[f"{i}{j}" for j in range(5)] for i in range(5)]
    five = QuorumSystem(grid(rows))
    assert five.load(0.3) == pytest.approx(0.3 / 5 + 0.7 / 5)
    assert five.load(0.3, f=1) == pytest.approx(0.3 * 2 / 5 + 0.7 * 2 / 5)  # two rows; two of each row
    assert (five.read_resilience, five.write_resilience, five.resilience) == (4, 4, 4)
    wide = QuorumSystem(grid(["abc", "def"]))
    assert (wide.read_resilience, wide.write_resilience) == (1, 2)
    np.testing.assert_allclose(load_bound([1, 3, 3, 5], [1, 5, 9, 9]), [1.0, 3 / 5, 1 / 3, 5 / 9])
    hundred = QuorumSystem(majority(*map(str, range(101))))
    assert hundred.load(0.5, f=1) == pytest.approx(52 / 101)
    assert hundred.resilience == 50
    assert float(hundred.reads.evaluate(dict.fromkeys(hundred.names, 0.9))) == pytest.approx(
        stats.binom.sf(50, 101, 0.9)
    )


@pytest.mark.parametrize("size", [15, 61, 101])
def test_unequal_replicas_of_a_majority_are_filled_like_water(size):
    """The least L with sum min(1, L c_i) = k: any chances up to 1 that sum to k are those of a strategy."""
    capacities = {str(i): 1.0 + i / 25 for i in range(size)}
    replicas = {name: Replica(read_capacity=c, write_capacity=c) for name, c in capacities.items()}
    system = QuorumSystem(majority(*capacities), replicas=replicas)
    worth = np.array(list(capacities.values()))
    expected = optimize.brentq(lambda load: np.minimum(1.0, load * worth).sum() - (size // 2 + 1), 0.0, 1.0, xtol=1e-15)
    assert system.load(0.5) == pytest.approx(expected, rel=1e-9)


def test_a_strategy_by_hand():
    wide = QuorumSystem(grid(["abc", "def"]))
    pairs = {frozenset("ad"): 1.0, frozenset("be"): 1.0, frozenset("cf"): 1.0}
    strategy = Strategy(wide, {frozenset("abc"): 2.0, frozenset("def"): 1.0}, pairs)
    assert strategy.load(1.0) == pytest.approx(2 / 3)
    assert strategy.load(0.0) == pytest.approx(1 / 3)
    assert strategy.load(0.25) == pytest.approx(5 / 12)
    assert strategy.node_loads(0.25)["d"] == pytest.approx(1 / 3)
    assert strategy.capacity(0.25) == pytest.approx(12 / 5)
    assert strategy.network(0.25) == pytest.approx(0.25 * 3 + 0.75 * 2)
    assert strategy.latency(0.25) == pytest.approx(0.010)
    laws = QuorumSystem(grid(["abc", "def"]), replicas={name: Replica(E(1.0)) for name in "abcdef"})
    asked = Strategy(laws, dict(strategy.reads), dict(strategy.writes))
    assert asked.read_latency.mean() == pytest.approx(1 + 1 / 2 + 1 / 3)
    assert asked.write_latency.mean() == pytest.approx(1.5)
    survives = QuorumSystem(majority(*"abc"), replicas={name: Replica(E(1.0)) for name in "abc"}).strategy(f=1)
    assert survives.read_latency.mean() == pytest.approx(1 / 3 + 1 / 2)  # asks all three, waits for two


def test_sizes():
    assert [sizes.majority_size(n) for n in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    assert [sizes.epaxos_size(n) for n in (1, 3, 5, 7, 9, 11)] == [1, 2, 3, 5, 6, 8]
    assert [sizes.accord_size(n) for n in (3, 5, 7, 9, 11)] == [3, 4, 6, 7, 9]
    assert [sizes.fast_paxos_size(n) for n in range(3, 12)] == [math.ceil(3 * n / 4) for n in range(3, 12)]
    for n, classic in itertools.product(range(1, 12), range(1, 12)):
        if classic <= n:
            fast = sizes.fast_paxos_size(n, classic)
            assert 2 * fast + classic > 2 * n >= 2 * (fast - 1) + classic
            assert sizes.flexible_size(n, classic) + classic == n + 1


REFUSED = [
    (lambda: choose(3, "a", "b"), "choose: k must lie in [1, 2], the number of members; got 3"),
    (lambda: choose(1), "choose: there must be one member at least; got none"),
    (lambda: choose(1, 7), "members must be quorum expressions or names of replicas; got 7"),
    (lambda: Leaf(""), "a Leaf must have a name"),
    (lambda: grid([]), "grid: there must be one row at least"),
    (lambda: weighted(5, ("a", 2), ("b", 2)), "the votes needed must lie in [1, 4], all there are; got 5"),
    (lambda: weighted(1, ("a", 0.5)), "votes must be whole numbers in [0, inf), one a member; got (0.5,)"),
    (lambda: (a * b).evaluate({"a": 1.0}), "there is no probability for the replica 'b' of the expression"),
    (lambda: (a * b).evaluate({"a": 1.0, "b": 1.5}), "the probability of 'b' must lie in [0, 1]; got 1.5"),
    (lambda: (a * b).latency({"b": E(1.0)}), "there is no latency for the replica 'a' of the expression"),
    (lambda: QuorumSystem(), "QuorumSystem must be given reads or writes"),
    (lambda: QuorumSystem("a"), "reads and writes must be quorum expressions; got 'a'"),
    (lambda: QuorumSystem(a + b, c * d), "every read quorum must meet every write quorum; {b} and {c, d} do not"),
    (lambda: QuorumSystem(majority(*"abc"), a * b + c), "{a, b} and {c} do not"),
    (lambda: QuorumSystem(a * b, replicas={"z": Replica()}), "'z' is in no quorum; the replicas are 'a', 'b'"),
    (lambda: QuorumSystem(a, replicas={"a": 3.0}), "QuorumSystem.replicas['a'] must be a Replica; got 3.0"),
    (lambda: QuorumSystem(a).replica("z"), "there is no replica 'z'; there are 'a'"),
    (lambda: Replica(read_capacity=0.0), "Replica.read_capacity must lie in (0, inf) requests/s; got 0.0"),
    (lambda: QuorumSystem(a * b).load(1.5), "read_fraction must lie in [0, 1]; got 1.5"),
    (lambda: QuorumSystem(a * b).load({0.5: -1.0}), "the weight of a read_fraction must lie in [0, inf); got -1.0"),
    (lambda: QuorumSystem(a * b).load({0.5: 0.0}), "the weights of read_fraction must have a positive sum"),
    (lambda: QuorumSystem(a * b).load(0.5, f=1), "no quorum of the reads survives 1 failures; it survives 0"),
    (lambda: QuorumSystem(a * b).load(0.5, f=-1), "f must be a whole number of failures in [0, inf); got -1"),
    (lambda: QuorumSystem(a).strategy(minimize="cost"), "minimize must be one of 'load', 'network', 'latency'"),
    (lambda: QuorumSystem(a).strategy(load_limit=1.0), "load_limit cannot be set where the load is minimized"),
    (lambda: QuorumSystem(a).strategy(network_limit=-1.0), "network_limit must lie in (0, inf); got -1.0"),
    (lambda: QuorumSystem(a).strategy(network_limit=0.5), "no strategy that survives 0 failures keeps within"),
    (lambda: Strategy(QuorumSystem(a * b), {frozenset("a"): 1.0}, {}), "Strategy: {a} is no read quorum"),
    (lambda: Strategy(QuorumSystem(a), {frozenset("a"): -1.0}, {}), "the weight of {a} must lie in [0, inf); got -1.0"),
    (lambda: Strategy(QuorumSystem(a), {}, {}), "there must be a read quorum of positive weight"),
    (lambda: sizes.epaxos_size(4), "replicas must be odd, 2F + 1 for F failures; got 4"),
    (lambda: sizes.flexible_size(3, 4), "the other quorum must lie in [1, 3] replicas; got 4"),
    (lambda: sizes.fast_paxos_size(3, 0), "the classic quorum must lie in [1, 3] replicas; got 0"),
    (lambda: load_bound(6, 5), "the least quorum must lie in [1, 5] replicas; got 6"),
    (lambda: sizes.majority_size(0), "replicas must be a whole number in [1, inf); got 0"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_refusals_are_sentences(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()


def test_only_expressions_are_joined():
    with pytest.raises(
        TypeError, match=re.escape("+ joins quorum expressions, such as Leaf('a') + Leaf('b'); got 'b'")
    ):
        a + "b"
