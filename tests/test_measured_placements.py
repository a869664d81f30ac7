"""The hottest share beside real placements: rings of uhashring, jump hash, and the slots of Redis Cluster.

A row is the mean of 30 placements. The formula may be off by the error that its accuracy states, and by what 30 differ:
Student's t, so far that right formulas fail with probability 1e-6, over all rows together.
"""

import math

import pytest
from scipy import special

import scaling_models as sm
from scaling_models.shards import HashRing, HashSlots, JumpHash, ShardLoad, UniformKeys, Zipf

DRAWS, FALSE_ALARM = 30, 1e-6
SEEN = 0.08  # what 30 placements see of a formula that is wrong in every row
NUMBERED = "redis slots hottest first"  # CRC-16 does not scatter numbers as chance does


def model_of(row):
    """The model of a row."""
    if row.placement.startswith("uhashring"):
        placement = HashRing(int(row.points))
    else:
        placement = JumpHash() if row.placement == "jump" else HashSlots()
    return ShardLoad(row.nodes, Zipf(row.keys, row.exponent) if row.exponent else UniformKeys(row.keys), placement)


@pytest.fixture(scope="module")
def beside():
    """The rows, with the formula's mean, the error that it states, and how far the mean of 30 reaches."""
    table = sm.data.measured_placements()
    models = [model_of(row) for row in table.itertuples()]
    found = {model: (model.hottest_share.mean(), model.accuracy("hottest_share").error) for model in set(models)}
    table["formula"], table["error"] = zip(*(found[model] for model in models), strict=True)
    reach = special.stdtrit(DRAWS - 1, 1.0 - FALSE_ALARM / len(table) / 2.0)
    table["reach"] = reach * table.deviation / math.sqrt(DRAWS)
    table["gap"] = table.formula / table["mean"] - 1.0
    return table


def chancy(table):
    """The rows whose hash scatters the keys as chance does."""
    numbered = (table.placement == "redis slots") & (table.exponent == 0.0)
    return table[(table.placement != NUMBERED) & ~numbered]


def disagree(table, turn):
    """Which rows a formula `turn` times as large contradicts."""
    formula = turn * table.formula
    return (formula - table["mean"]).abs() > table.error * formula + table.reach


def test_the_mean_hottest_share_is_that_of_real_placements(beside):
    rows = chancy(beside)
    assert not disagree(rows, 1.0).any()
    for placement, own in rows.groupby("placement"):
        assert disagree(own, 1.0 - SEEN).any(), placement
        assert disagree(own, 1.0 + SEEN).any(), placement


def test_it_is_within_6_per_cent_but_for_the_chance_of_rings_of_a_token_a_node(beside):
    rows = chancy(beside)
    far = rows[rows.gap.abs() > 0.06]
    assert set(far.points) <= {1.0}
    assert len(far) < 0.05 * len(rows)
    assert (far.gap.abs() * far["mean"] < 2.0 * far.deviation / math.sqrt(DRAWS)).all()


def test_crc_16_of_numbered_keys_is_no_chance(beside):
    """What the docstring of HashSlots says: equal keys lie more evenly; hot ones numbered in a row meet, or do not."""
    even = beside[(beside.placement == "redis slots") & (beside.exponent == 0.0)]
    assert (even.gap > 0.0).all()
    assert even.gap.max() == pytest.approx(0.15, abs=0.01)
    hot = beside[beside.placement == NUMBERED]
    assert hot.gap.min() == pytest.approx(-0.14, abs=0.01)
    assert 0.08 < hot.gap.max() < 0.10
