"""Shards at the ends of their domains: overload, nearly all failed, no traffic, very many items."""

from __future__ import annotations

import numpy as np
import pytest

import scaling_models as sm
from scaling_models import figures
from scaling_models.shards import CopysetLoss, Rebalance, ScatterGather, ShardLoad, ShardPlan
from scaling_models.shards.formulas.counts import fewest_shards
from scaling_models.shards.formulas.rebalancing import overwritten_left
from scaling_models.shards.formulas.transactions import meeting
from scaling_models.shards.placements import EvenHash
from scaling_models.shards.popularities import Zipf


def test_a_leg_is_sent_twice_where_it_never_comes() -> None:
    assert ScatterGather(shards=1, hedge_after=0.1).hedged == 1.0
    some = ScatterGather(hedge_after=0.05, throughput=20_000)
    full = sum(number for rate, number in zip(some._rates, some._groups[1], strict=True) if rate >= some.capacity)
    assert 0 < full / some.shards <= some.hedged <= 1.0


def test_meetings_among_many_items_keep_their_digits() -> None:
    assert meeting(1e8, 2) == pytest.approx(4e-8, rel=1e-7)
    assert meeting(1e12, 10) == pytest.approx(1e-10, rel=1e-9)
    np.testing.assert_allclose(meeting([10.0, 3.0, 4.0], 2), [1 - 28 / 45, 1.0, 5 / 6], rtol=1e-14)


@pytest.mark.parametrize("scatter_width", [4, 10, 50])
def test_losing_data_is_a_probability_that_rises_with_failures(scatter_width: int) -> None:
    model = CopysetLoss(placement="window", nodes=500, scatter_width=scatter_width, replicas=3)
    failed = [3, 5, 10, 50, 100, 250, 400, 450, 480, 495, 499]
    found = np.array([model.replace(failed=count).loss_probability for count in failed])
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()
    assert found[-1] == 1.0


def test_where_nothing_is_copied_all_is_left() -> None:
    np.testing.assert_array_equal(overwritten_left(1e9, 0.0, 1e6, np.array([0.0, 1.0, 9.0])), [1e9] * 3)
    assert figures.rebalance(Rebalance(arrival_rate=100, writes="overwritten")).data


def test_shards_are_told_to_the_last_one() -> None:
    plan = ShardPlan(stored=1e14)
    assert plan.least_shards > 1000
    assert f"{plan.least_shards:,.0f} shards hold" in plan.says


def test_one_shard_suffices_for_nearly_everything() -> None:
    assert fewest_shards(1 - 5e-7, Zipf(1000, 0.5), EvenHash(), 0.9) in (1.0, 2.0)


def test_a_tail_of_the_hottest_share_is_not_called_within_three_per_cent() -> None:
    said = ShardLoad().accuracy("hottest_share", 0.999)
    assert (said.label, said.error) == ("within 15%", 0.035)
    assert sm.shards.ShardLoad().accuracy("hottest_share", 0.9).label == "within 3%"
