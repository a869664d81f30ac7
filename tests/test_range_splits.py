"""Ranges that are split: the exact recursion row by row, Yao's limits, ranges in step, and inserts played.

False-alarm rate of each verification 1e-6 (all rows); seeds are fixed, so that a pass stays one.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

import scaling_models as sm
from scaling_models.montecarlo.kernels.range_splits import split_rows
from scaling_models.shards import RangeSplits, Salted, SteadyFill, UniformKeys, Zipf
from scaling_models.shards.formulas.range_splits import ordered_ranges, random_ranges, steady_fill

LN2 = math.log(2.0)


def counted(capacity, rows):
    """Mean numbers of ranges after 1 to `rows` rows, from the law of one insert: a dictionary, no arrays."""
    ranges, found = {1: 1.0}, [1.0]
    for n in range(1, rows):
        after = dict.fromkeys(range(capacity + 2), 0.0)
        for size, number in ranges.items():
            after[size] += number * (1.0 - size / n)
            after[size + 1] += number * size / n
        split = after.pop(capacity + 1)
        after[(capacity + 1) // 2] += split
        after[capacity + 1 - (capacity + 1) // 2] += split
        ranges = {size: number for size, number in after.items() if number}
        found.append(sum(ranges.values()))
    return np.array(found)


@pytest.mark.parametrize("capacity", [2, 3, 4, 9, 10, 25])
def test_the_steady_fill_is_where_the_recursion_goes(capacity):
    rows = 40 * capacity
    found = counted(capacity, rows)
    np.testing.assert_allclose(random_ranges(np.arange(1, rows + 1), capacity), found, rtol=1e-10)
    if capacity <= 10:  # larger ones are still in step
        assert rows / found[-1] / capacity == pytest.approx(steady_fill(capacity), rel=2e-3)


def test_the_steady_fill_by_hand():
    """Pairs that split at three: of n rows n/3 ranges of one and n/3 of two; 2-3 trees: c_1 = c_2."""
    assert steady_fill(2) == pytest.approx(3 / 4)
    assert steady_fill(3) == pytest.approx(4 * (1 / 3 + 1 / 4) / 3)
    assert steady_fill(10**7) == pytest.approx(LN2, rel=1e-6)
    assert steady_fill(10**7 + 1) == pytest.approx(LN2, rel=1e-6)


@pytest.mark.parametrize(("capacity", "error"), [(30, 0.05), (64, 0.035), (101, 0.028)])
def test_the_number_of_ranges_beside_the_recursion(capacity, error):
    rows = 16 * capacity
    found, told = counted(capacity, rows), random_ranges(np.arange(1, rows + 1), capacity)
    off = np.abs(told / found - 1.0)
    assert off.max() < error
    assert off[8 * capacity :].max() < 0.015
    assert told[0] == pytest.approx(1.0)


def test_large_ranges_split_together():
    """In step: 2^k ranges while 2^(k-1) < D/b < 2^k, whose fill averages 1/(2 ln 2) over the logarithm."""
    model = RangeSplits(capacity=10**8, rows=6e8)
    assert model.ranges == pytest.approx(8.0, rel=1e-3)
    assert model.mean_fill == pytest.approx(0.75, rel=1e-3)
    assert model.replace(rows=8e8).average_fill == pytest.approx(0.5 / LN2, rel=2e-3)
    assert model.replace(rows=1.2e9).storm == pytest.approx(1.0, abs=1e-3)
    assert model.replace(rows=5e7).ranges == 1.0
    assert model.replace(rows=5e7).storm == 0.0


def test_small_ranges_fall_out_of_step():
    model = RangeSplits(capacity=20, rows=1e6)
    assert model.average_fill == pytest.approx(steady_fill(20), rel=1e-3)
    assert model.storm == pytest.approx(2.0 - 2.0**0.9, rel=0.02)


def test_the_law_of_the_fill():
    law = SteadyFill()
    assert law.mean() == pytest.approx(integrate.quad(law.ccdf, 0.5, 1.0)[0] + 0.5, rel=1e-12)
    assert law.variance() == pytest.approx(0.5 - LN2**2)
    assert law.mean() == pytest.approx(integrate.quad(lambda x: x * law.pdf(x), 0.5, 1.0)[0])
    assert law.icdf(0.5) == pytest.approx(2 / 3)
    assert law.ccdf(law.iccdf(1e-9)) == pytest.approx(1e-9, rel=1e-6)
    assert (law.cdf(0.4), law.cdf(1.0)) == (0.0, 1.0)


def test_ranges_that_fell_out_of_step_have_that_law():
    """Of an odd capacity b, P(up to i rows) is the law at (i + 1)/(b + 1); sizes by 200,000 rows played."""
    _, sizes = split_rows(np.random.default_rng(1).random(200_000), 21)
    shares = np.cumsum(np.bincount(sizes, minlength=22))[11:] / len(sizes)
    # Kolmogorov: P(sqrt(n) D > 2.7) is 1e-6.
    assert np.abs(SteadyFill().cdf(np.arange(12, 23) / 22.0) - shares).max() < 2.7 / math.sqrt(len(sizes))
    assert sizes.mean() / 21 == pytest.approx(steady_fill(21), rel=0.01)


@given(st.integers(2, 40), st.integers(1, 400))
def test_ascending_keys_leave_halves(capacity, rows):
    splits, sizes = split_rows(np.arange(rows, dtype=float), capacity)
    assert 1 + len(splits) == ordered_ranges(rows, capacity) == len(sizes)
    model = RangeSplits(rows, capacity, "ascending")
    assert model.ranges == len(sizes)
    assert model.accuracy("ranges").label == "exact"
    assert RangeSplits(1e9, 1000, "ascending").mean_fill == pytest.approx(0.5, rel=1e-5)


def test_the_kernel_row_by_row():
    """Every row put into its range and every full range split, in plain lists."""
    keys = np.random.default_rng(4).random(700)
    lows, members, splits = [0.0], [[]], []
    for n, key in enumerate(keys, 1):
        at = max(i for i, low in enumerate(lows) if low <= key)
        members[at].append(key)
        if len(members[at]) > 13:
            ordered = sorted(members[at])
            members[at], upper = ordered[:7], ordered[7:]
            lows.insert(at + 1, upper[0])
            members.insert(at + 1, upper)
            splits.append(n)
    found, sizes = split_rows(keys, 13)
    assert found.tolist() == splits
    assert sorted(sizes) == sorted(map(len, members))


def test_a_key_cannot_be_split():
    """CockroachDB splits ranges over 2,500 requests/s: keys beyond that stay alone."""
    model = RangeSplits(load=100_000.0, popularity=Zipf(10_000, 1.0))
    first = 1e5 / Zipf(10_000, 1.0)._total
    assert model.hottest_load == pytest.approx(first)
    assert model.key_floor == pytest.approx(first / 2500.0)
    assert model.unsplittable_keys == sum(first / k > 2500.0 for k in range(1, 100))
    assert model.replace(load=0.0).unsplittable_keys == 0.0
    gathered = Salted(Zipf(10_000, 2.0), hot_keys=1, pieces=64, gathered=1.0)  # each piece is asked as often as the key
    assert RangeSplits(popularity=gathered).unsplittable_keys == 65.0 == sum(20_000.0 * gathered.shares() > 2500.0)
    assert RangeSplits(load=1e5, split_load=1e-4, popularity=Zipf(10**10)).unsplittable_keys > 1e7  # not one by one
    assert model.replace(popularity=UniformKeys(1000)).unsplittable_keys == 0.0


@pytest.mark.parametrize(
    "model",
    [RangeSplits(), RangeSplits(3e4, 50), RangeSplits(2e4, 12), RangeSplits(7e4, 1001, "ascending"), RangeSplits(30.0)],
    ids=repr,
)
def test_the_twin_agrees(model):
    table = sm.verify(model, 1_000_000, seed=1)
    assert (table.verdict == "agrees").all(), table.to_string()


def test_a_formula_that_is_wrong_is_found_out():
    """The textbook's rows/(capacity ln 2), where ranges are in step: 10% off."""

    class Textbook(RangeSplits):
        def _ranges_at(self, rows):
            return np.maximum(rows / (self.capacity * LN2), 1.0)

    table = sm.verify(Textbook(), 1_000_000, seed=1).set_index("quantity")
    assert table.verdict["ranges"] == "disagrees"


def test_bad_input_and_the_timeline():
    with pytest.raises(ValueError, match=r"RangeSplits.capacity must be a whole number in \[2, 1000000000\] rows"):
        RangeSplits(capacity=1)
    with pytest.raises(ValueError, match=r"RangeSplits.simulate: rows must lie in \[1, 2,000,000\]; got 10000000"):
        RangeSplits(1e7).simulate()
    fill = RangeSplits().timeline().lines["fill"]
    late = fill[len(fill) // 2 :]
    assert late.min() < 0.62
    assert late.max() > 0.8
