"""Transactions over groups: order statistics by hand, limits, the play, refusals. Means at 5 standard errors: 6e-7."""

import numpy as np
import pytest
from scipy import special

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.group_commits import play
from scaling_models.quorums import GroupTransaction

E, D = sm.Exponential, sm.Deterministic


@pytest.mark.parametrize("groups", [2, 5, 50])
def test_exponential_commits_have_harmonic_means(groups):
    model = GroupTransaction(groups, E(0.010), D(0.002))
    harmonic = special.digamma(groups) + np.euler_gamma  # H_{m-1}, the slowest of m - 1
    assert model.prepared.mean() == pytest.approx(0.002 + 0.010 * harmonic, rel=1e-8)  # what quadrature promises
    assert model.latency.mean() == pytest.approx(0.002 + 0.010 * (harmonic + 1.0), rel=1e-7)
    assert model.lock_time == pytest.approx(model.latency.mean(), rel=1e-7)
    assert model.row_ceiling == pytest.approx(1.0 / model.lock_time)
    assert model.cost_of_spreading == pytest.approx(0.2 + harmonic + 1.0, rel=1e-7)


def test_the_wait_for_the_clock():
    one = GroupTransaction(1, E(0.010), clock_error=0.005)
    assert one.latency.mean() == pytest.approx(0.010)
    added = one.replace(commit_wait="added")
    assert added.latency.mean() == pytest.approx(0.020)
    overlapped = one.replace(commit_wait="overlapped")
    assert overlapped.latency.mean() == pytest.approx(0.010 + 0.010 * np.exp(-1.0))  # 2 eps + int_{2 eps} ccdf
    assert overlapped.latency.cdf(0.009) == 0.0


def test_an_early_answer_does_not_shorten_the_locks():
    slow = GroupTransaction(4)
    early = slow.replace(answers_when="prepared")
    assert early.latency.mean() < 0.65 * slow.latency.mean()
    assert early.lock_time == slow.lock_time
    alone = early.replace(groups=1)
    assert alone.latency.mean() == pytest.approx(0.008)  # a single group has nothing to prepare


def test_far_groups_decide():
    near = GroupTransaction(3, E(0.005), D(0.001))
    far = near.replace(far=(D(0.100),))
    assert far.prepared.icdf(0.5) > 0.100
    assert far.latency.mean() == pytest.approx(0.100 + 0.010, rel=0.002)  # the near ones are almost never later


def test_the_play_is_what_a_plain_loop_makes_of_the_same_numbers():
    commit, trips = E(0.004), [E(0.001), D(0.003)]
    for wait in ("none", "overlapped", "added"):
        found = play(
            commit, trips, 50, np.random.default_rng(5), clock=0.006, wait=wait, visible_early=True, together=False
        )
        rng = np.random.default_rng(5)
        written = commit.sample((3, 50), rng=rng)
        asked = [trip.sample(50, rng=rng) for trip in trips]
        for at in range(50):
            prepared = max(asked[who][at] + written[who + 1][at] for who in range(2))
            decision = written[0][at]
            if wait == "added":
                decision = decision + 0.006
            if wait == "overlapped" and decision < 0.006:
                decision = 0.006
            assert found.visible[at] == pytest.approx(prepared)
            assert found.locked[at] == pytest.approx(prepared + decision)


class Wrong(GroupTransaction):
    """Three per cent of the prepare phase lost."""

    @answer("s", "wrong")
    def prepared(self):
        """Scaled."""
        return GroupTransaction.prepared.compute(self) * 0.97


def test_a_formula_that_is_three_per_cent_off_is_seen():
    table = sm.verify(Wrong(), requests=1_000_000).set_index("quantity")
    assert table.loc["prepared mean", "verdict"] == "disagrees"
    assert (sm.verify(GroupTransaction(), requests=1_000_000).verdict == "agrees").all()


def test_groups_that_are_slow_together():
    table = sm.verify(GroupTransaction(10), violating="groups slow together").set_index("quantity")
    assert table.loc["prepared mean", "miss"] > 0.3  # independent groups make the slowest slower


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 0}, r"GroupTransaction.groups must be a whole number in \[1, 1000\] groups; got 0"),
        ({"clock_error": -1.0}, "GroupTransaction.clock_error must lie in"),
        ({"commit": 0.0}, "GroupTransaction.commit must take some time; got"),
        ({"commit": sm.Never()}, "GroupTransaction.commit must have a finite mean"),
        ({"commit_wait": "maybe"}, "GroupTransaction.commit_wait must be"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        GroupTransaction(**options)
