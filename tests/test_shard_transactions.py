"""Transactions over shards: occupancy by enumeration, the worked cases, the play, refusals."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.transactions import _distinct, aborts, place_keys
from scaling_models.shards import ShardTransactions
from scaling_models.shards.formulas.transactions import (
    abort_probability,
    crossing,
    meeting,
    shards_touched,
    throughput,
)
from scaling_models.shards.transactions import worthwhile

E = sm.Exponential


@pytest.mark.parametrize(("shards", "keys"), [(1, 3), (2, 4), (3, 3), (5, 2), (4, 6)])
def test_the_law_of_the_shards_touched_is_that_of_all_placements(shards, keys):
    counts = np.zeros(keys)
    for placed in itertools.product(range(shards), repeat=keys):
        counts[len(set(placed)) - 1] += 1
    law = shards_touched(shards, keys)
    np.testing.assert_allclose(law, counts / shards**keys, atol=1e-15)
    cross, touched = crossing([1.0 / shards] * shards, keys)
    assert cross == pytest.approx(1.0 - law[0], abs=1e-15)
    assert touched == pytest.approx(law @ np.arange(1, keys + 1), rel=1e-12)


def test_uneven_shards_cross_less():
    shares = np.array([0.7, 0.2, 0.1])
    cross = touched = 0.0
    for placed in itertools.product(range(3), repeat=3):
        weight = np.prod(shares[list(placed)])
        cross += weight * (len(set(placed)) > 1)
        touched += weight * len(set(placed))
    assert crossing(shares, 3) == pytest.approx((cross, touched))


def test_three_shards_equal_one():
    """Two random keys, each participant twice the work of a local transaction."""
    assert throughput([1, 2, 3], 2, 0.0, 2.0) == pytest.approx([1.0, 0.8, 1.0])
    assert ShardTransactions().worthwhile_from == 4.0
    assert throughput(1e6, 2, 0.0, 2.0) == pytest.approx(1e6 / 4.0, rel=1e-5)  # N / (k o)
    assert worthwhile(2, 1.0, 2.0) == 2.0
    assert worthwhile(100, 0.0, 1e6) == math.inf
    paying = ShardTransactions(2, overhead=2.0)
    assert paying.replace(local=paying.local_to_pay).throughput == pytest.approx(paying.capacity)


def test_brooker_s_atomic_commitment():
    """Ten random rows, no overhead: two shards serve 1% less work apart than ten shards 1.5 times as much."""
    assert 2.0 / throughput(2, 10, 0.0, 1.0) / 2.0 == pytest.approx(crossing([0.5, 0.5], 10)[1] / 2.0, rel=1e-3)
    assert crossing([0.1] * 10, 10)[1] == pytest.approx(10 * (1 - 0.9**10))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 200), st.integers(2, 12), st.floats(0.0, 1.0), st.floats(1.0, 5.0))
def test_locality_never_hurts(shards, keys, local, overhead):
    served = throughput(shards, keys, [0.0, local, 1.0], overhead)
    assert served[0] <= served[1] * (1 + 1e-12) <= served[2] * (1 + 2e-12)
    assert served[2] == pytest.approx(shards)


def test_latency_by_hand():
    model = ShardTransactions(2, 2, leg=E(0.002))
    slow = 0.003  # of two exponentials
    assert model.latency.mean() == pytest.approx(0.5 * 0.002 + 0.5 * 2 * slow, rel=1e-6)
    early = model.replace(answers_when="prepared")
    assert early.latency.mean() == pytest.approx(0.5 * 0.002 + 0.5 * slow, rel=1e-6)
    assert early.row_ceiling == pytest.approx(1.0 / model.latency.mean(), rel=1e-6)
    assert ShardTransactions(1, 5).latency == E(0.002)


def test_who_meets():
    assert meeting(10, 1) == pytest.approx(0.1)
    assert meeting(5, 2) == pytest.approx(0.7)
    assert meeting(3, 2) == 1.0
    assert abort_probability(0.0, 1.0, 0.5) == 0.0
    p = abort_probability(10.0, 1.0, 0.05)
    assert p == pytest.approx(1.0 - math.exp(-10.0 * 0.05 * (1.0 - p)))


def test_aborts_are_what_a_plain_loop_finds():
    gaps = np.random.default_rng(1).exponential(0.2, (60, 3))
    found = aborts(gaps, 1.0, 12, 2, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    chosen = rng.integers(0, 12, (2, 60, 3))
    while (same := chosen[0] == chosen[1]).any():
        chosen[:, same] = rng.integers(0, 12, (2, int(same.sum())))
    for lane in range(3):
        begun, committed = np.cumsum(gaps[:, lane]), []
        for step in range(60):
            keys = set(chosen[:, step, lane])
            # It ends at begun + 1: whoever committed since it began, began less than 1 before.
            met = any(begun[step] - begun[at] < 1.0 and keys & set(chosen[:, at, lane]) for at in committed)
            assert found[step, lane] == met
            if not met:
                committed.append(step)


@pytest.mark.parametrize(("keys", "at_once", "items"), [(1, 5.0, 9), (2, 30.0, 86), (5, 5.0, 245), (10, 1.0, 1852)])
def test_aborts_lie_within_their_label(keys, at_once, items):
    rng = np.random.default_rng(3)
    gaps = rng.exponential(1.0 / at_once, (int(6 * at_once) + 400, 64))
    share = aborts(gaps, 1.0, items, keys, rng)[int(4 * at_once) + 10 :].mean(axis=0)
    p, error = abort_probability(at_once, 1.0, float(meeting(items, keys))), share.std(ddof=1) / 8.0
    assert abs(p - share.mean()) < 0.14 * share.mean() + 5.0 * error
    assert abs(0.5 * p - share.mean()) > 0.14 * share.mean() + 5.0 * error


class Wrong(ShardTransactions):
    """One shard too many, by 3%."""

    @answer("shards", "wrong")
    def touched(self):
        """Scaled."""
        return 1.03 * ShardTransactions.touched.compute(self)


def test_the_twin_agrees_and_sees_three_per_cent():
    table = sm.verify(Wrong(16, 5, 0.3), requests=400_000).set_index("quantity")
    assert table.loc["touched", "verdict"] == "disagrees"
    assert (table.drop(index=["touched", "abort_probability"]).verdict == "agrees").all()


def test_related_keys_cross_less():
    table = sm.verify(ShardTransactions(), violating="keys lie near each other").set_index("quantity")
    assert table.loc["share_crossing", "miss"] > 0.5
    placed = place_keys(4, 3, 0.0, 1000, np.random.default_rng(1), related=1.0)
    assert (placed == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": 11, "items": 10}, r"ShardTransactions.keys must lie in \[1, 10\], the keys there are; got 11"),
        ({"local": 1.5}, "ShardTransactions.local must lie in"),
        ({"overhead": 0.0}, "ShardTransactions.overhead must lie in"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        ShardTransactions(**options)


def test_times_of_nothing_and_without_an_end():
    at_once, never = ShardTransactions(leg=sm.Deterministic(0.0)), ShardTransactions(leg=sm.Never())
    assert (at_once.row_ceiling, at_once.abort_probability) == (math.inf, 0.0)
    assert (never.row_ceiling, never.abort_probability) == (0.0, 1.0)
    assert never.replace(arrival_rate=0.0).abort_probability == 0.0


def test_thousands_at_once_are_simulated_in_time_and_millions_are_refused():
    many = ShardTransactions(arrival_rate=7000.0, leg=sm.Exponential(0.1), items=3000, keys=1)
    start = time.process_time()
    table = sm.verify(many, requests=20_000, seed=1).set_index("quantity")
    assert time.process_time() - start < 20.0  # two minutes, were each compared with all that run
    assert table.loc["abort_probability", "verdict"] == "agrees"
    with pytest.raises(ValueError, match=r"e\+07 transactions run at once; too many to be simulated"):
        ShardTransactions(arrival_rate=1e7, leg=sm.Exponential(1.0), keys=1, local=0.0, shards=50).simulate(1000)


def test_what_hardly_ever_happens_is_unseen():
    """No abort in the sample is no proof that there is none, and equal times have a rounded mean."""
    model = ShardTransactions(1, 1, leg=sm.Deterministic(0.0121207), arrival_rate=0.35, items=179_557)
    found = sm.verify(model, 20_000).set_index("quantity").verdict
    assert found["abort_probability"] == "unseen"
    assert found["row_ceiling"] == "agrees"


def test_all_keys_or_nearly_all_can_be_drawn_at_once():
    """As many keys as there are items, and any set of them as likely: chi-square of 20 sets, false alarm 1e-6."""
    every = ShardTransactions(keys=30, items=30, arrival_rate=1.0).simulate(2000)
    assert 0.0 < every.abort_probability.value < 0.1
    drawn = np.sort(_distinct(6, 3, (100, 200), np.random.default_rng(3)), axis=0).reshape(3, -1)
    _, counts = np.unique(drawn, axis=1, return_counts=True)
    assert len(counts) == 20
    assert stats.chi2.sf(((counts - 1000.0) ** 2 / 1000.0).sum(), 19) > 1e-6
