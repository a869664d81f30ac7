"""Quorums: one expression, three answers; exact routes agree; refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import KINDS

import scaling_models as sm
from scaling_models.quorums import Raft, RegionalRaft, choose, completion, leaders, regional_raft, round_trip

E = sm.Exponential


def by_enumeration(expression, chances):
    """Sum over all up/down patterns."""
    names = expression.names()
    total = 0.0
    for pattern in itertools.product((0, 1), repeat=len(names)):
        alive = {name for name, up in zip(names, pattern, strict=True) if up}
        weight = np.prod([chances[n] if up else 1 - chances[n] for n, up in zip(names, pattern, strict=True)])
        total += weight * expression.survives(alive)
    return total


EXPRESSIONS = [
    choose(2, "a", "b", "c"),
    choose(3, *"abcde"),
    choose(2, "a", choose(2, "b", "c", "d", "e")),
    choose(2, choose(2, "a", "b", "c"), choose(1, "d", "e"), "f"),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=repr)
def test_one_evaluation_is_availability_survival_and_latency(expression):
    rng = np.random.default_rng(3)
    chances = {name: rng.random() for name in expression.names()}
    assert float(expression.evaluate(chances)) == pytest.approx(by_enumeration(expression, chances))
    laws = {name: E(rng.uniform(0.5, 2.0)) for name in expression.names()}
    t = np.linspace(0, 4, 9)
    cdf = expression.evaluate({name: law.cdf(t) for name, law in laws.items()})
    np.testing.assert_allclose(expression.latency(laws).cdf(t), cdf, atol=1e-12)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=repr)
def test_somebody_completes_the_quorum(expression):
    kinds = itertools.cycle([E(1.0), sm.Uniform(0.0, 2.0), sm.Deterministic(0.7), sm.Pareto(1.0, 2.5)])
    laws = dict(zip(expression.names(), kinds, strict=False))
    found = completion(expression, laws)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-7)
    draws = np.stack([laws[name].sample(200_000, rng=i) for i, name in enumerate(expression.names())])
    for i, p in enumerate(found.values()):
        with_it = expression.evaluate({n: (draws[j] <= draws[i]) for j, n in enumerate(expression.names())})
        without = expression.evaluate({n: (draws[j] <= draws[i]) & (j != i) for j, n in enumerate(expression.names())})
        share = ((with_it - without) > 0.5).mean()
        assert abs(share - p) < 6 * np.sqrt(max(p * (1 - p), 1e-6) / 200_000)  # 2e-9 each


@given(st.lists(KINDS, min_size=2, max_size=5))
@example([sm.Deterministic(10.0), sm.Deterministic(9.999999999999998)])
@settings(max_examples=40, deadline=None)
def test_who_completes_sums_to_one(laws):
    names = [str(i) for i in range(len(laws))]
    found = completion(choose(len(laws) // 2 + 1, *names), dict(zip(names, laws, strict=True)))
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("way", "mean"), [("counted", 2.7333333), ("required", 3.1333333), ("before_send", 4.3333333)])
def test_the_three_readings_of_the_leaders_own_write(way, mean):
    assert Raft((E(4.0),) * 4, E(2.0), way).commit_latency.mean() == pytest.approx(mean, abs=1e-6)


def test_majorities():
    raft = Raft((E(1.0),) * 4, E(1.0), "counted", 0.9)
    assert raft.quorum_availability == pytest.approx(stats.binom.sf(2, 5, 0.9))
    assert raft.commit_latency.mean() == pytest.approx(1 / 5 + 1 / 4 + 1 / 3)
    assert raft.completes == pytest.approx((0.2,) * 5)
    six = Raft((E(1.0),) * 5, E(1.0), "counted", 0.9)
    assert six.quorum_availability == pytest.approx(stats.binom.sf(3, 6, 0.9))
    assert six.quorum_availability < raft.quorum_availability  # an even replica buys nothing
    everyone = Raft((E(1.0),), 0.0, "required")
    assert everyone.commit_latency.mean() == pytest.approx(1.0)
    assert Raft((), 0.002).commit_latency.mean() == 0.002
    assert Raft((), 0.002).completes == (1.0,)
    assert Raft((0.0, 0.0), 0.0, "counted").completes == pytest.approx((1 / 3,) * 3)  # a tie at 0 is one as any other
    often = sm.mixture((0.5, 0.5), (sm.Deterministic(0.0), E(0.01)))
    assert Raft((often, often), often, "counted").completes == pytest.approx((1 / 3,) * 3)


def test_the_default_is_the_story_of_the_far_replica():
    raft = Raft()
    assert raft.commit_latency.mean() == pytest.approx(0.064)
    assert raft.completes == pytest.approx((0.0, 0.0, 1.0, 0.0, 0.0))
    farther = raft.replace(follower_rtts=(0.013, 0.064, 0.070, 0.500))
    assert farther.commit_latency.mean() == raft.commit_latency.mean()


def test_bad_quorums_are_refused():
    with pytest.raises(ValueError, match=r"k must lie in \[1, 2\]"):
        choose(3, "a", "b")
    with pytest.raises(ValueError, match="leader_write must be one of 'counted', 'required', 'before_send'"):
        Raft(leader_write="never")
    with pytest.raises(ValueError, match=r"Raft.follower_rtts\[1\] must be a latency"):
        Raft(follower_rtts=(0.01, "far"))
    with pytest.raises(ValueError, match=r"Raft.availability must lie in \[0, 1\]; got 1.5"):
        Raft(availability=1.5)


def test_regions_refuse_percentiles_until_there_is_a_jitter():
    table = sm.data.round_trips("aws")
    five = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-northeast-1"]
    means = regional_raft(table, "us-east-1", five)
    assert means.commit_latency.mean() == pytest.approx(0.064)
    with pytest.raises(sm.NoClosedForm, match="jitter"):
        means.commit_latency.percentiles(99)
    jittered = regional_raft(table, "us-east-1", five, jitter=0.1)
    assert jittered.commit_latency.icdf(0.99) > 0.064
    assert round_trip(0.05, 0.2).mean() == pytest.approx(0.05)
    best = leaders(table, five, clients=five)
    assert best.index[0] == "us-east-2"
    assert set(table.index) < set(leaders(table, five).columns)
    with pytest.raises(ValueError, match="at least; got none"):
        leaders(table, [])
    assert best.loc["us-east-2", "commit"] == pytest.approx(0.052)
    assert best.loc["us-east-2", "eu-west-1"] == pytest.approx(0.052 + 0.079)
    with pytest.raises(ValueError, match="no round trips from 'mars'"):
        leaders(table, ["us-east-1", "mars"])
    with pytest.raises(ValueError, match="'us-east-1' is given twice"):
        leaders(table, ["us-east-1", "us-east-1"])
    with pytest.raises(ValueError, match="jitter must lie"):
        round_trip(0.05, 1.5)


def test_a_client_anywhere_writes_through_the_leader():
    near = RegionalRaft()
    assert near.write_latency.mean() == pytest.approx(0.064)
    assert near.replace(followers=("us-east-2", "us-west-2")).write_latency.mean() == pytest.approx(0.013)
    ohio = near.replace(leader="us-east-2", followers=("us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"))
    assert ohio.commit_latency.mean() == pytest.approx(0.052)
    assert ohio.write_latency.mean() == pytest.approx(0.052 + 0.013)
    with pytest.raises(sm.NoClosedForm, match="jitter"):
        near.write_latency.percentiles(99)
    far = near.replace(client="eu-central-1", jitter=0.1)
    assert far.write_latency.mean() == pytest.approx(far.commit_latency.mean() + 0.091)
    assert far.write_latency.icdf(0.99) > far.write_latency.mean()
    with pytest.raises(ValueError, match="followers must be regions that differ"):
        near.replace(leader="us-east-2")


@pytest.mark.parametrize("model", [sm.quorums.RegionalRaft(), sm.quorums.RegionalEPaxos()])
def test_means_of_quorums_without_a_jitter_are_told_as_if_round_trips_were_constant(model):
    said = model.accuracy("commit_latency")
    varying = [model.replace(jitter=jitter).commit_latency.mean() for jitter in (0.05, 0.1, 0.2)]
    errors = [abs(model.commit_latency.mean() / mean - 1.0) for mean in varying]
    assert said.label == "within 15%"
    assert max(errors) <= said.error
    assert max(errors) > 0.01  # so that exact would have been wrong
    assert any("round trips are constant" in each.says for each in model.assumptions())
    varied = model.replace(jitter=0.1)
    assert varied.accuracy("commit_latency").label != "within 15%"
    assert not any("round trips are constant" in each.says for each in varied.assumptions())


def test_who_completes_a_quorum_is_not_told_by_mean_round_trips():
    model = sm.quorums.RegionalRaft()
    with pytest.raises(
        sm.NoClosedForm, match="who completes the quorum of Raft is not told by mean round trips: choose"
    ):
        _ = model.completes
    assert model.accuracy("completes").label == "simulated"
    assert model.replace(jitter=0.1).accuracy("completes").label == "exact"
