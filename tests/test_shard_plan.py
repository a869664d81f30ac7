"""How many shards: against plain arithmetic, a search of every number, documented limits, and placements drawn.

False-alarm rate of each verification 1e-6 (all rows); seeds are fixed, so that a pass stays one.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models.answers import EXACT
from scaling_models.montecarlo.kernels.counts import least_count
from scaling_models.shards import (
    EvenHash,
    HashRing,
    HashSlots,
    HottestShare,
    RangePartition,
    ShardPlan,
    UniformKeys,
    Zipf,
)
from scaling_models.shards.formulas.counts import ASKED, fewest_shards

EVEN = {"popularity": UniformKeys(16_384), "placement": RangePartition(hot_keys="adjacent")}


@given(st.floats(1.001, 16_000.0))
def test_evenly_spread_it_is_a_division(times):
    """Loads of exactly 1/N: the least N is the amount over what a shard holds, rounded up."""
    plan = ShardPlan(stored=times * 700.0, reads=0.0, writes=0.0, horizon=0.0, storage_limit=1000.0, **EVEN)
    assert plan.storage_shards in {math.ceil(times * (1.0 - 1e-5)), math.ceil(times * (1.0 + 1e-5))}
    assert plan.least_shards == plan.storage_shards
    assert (plan.read_shards, plan.write_shards) == (1.0, 1.0)


@pytest.mark.parametrize("placement", [EvenHash(), HashRing(virtual_nodes=16)])
@pytest.mark.parametrize(("level", "share"), [(0.5, 0.2), (0.9, 0.12), (0.9, 0.07), (0.95, 0.055)])
def test_the_least_is_one(placement, level, share):
    """Exact up to 16; between numbers that are asked, the interpolation is off by no more than one here."""
    popularity = Zipf(20_000, 0.8)
    found = int(fewest_shards(share, popularity, placement, level))
    slack = 0 if found <= 16 else 1
    shares = [HottestShare(found + more, popularity, placement).icdf(level) for more in (-1 - slack, slack)]
    assert shares[0] > share >= shares[1]


def test_the_numbers_that_are_asked():
    assert ASKED[:16] == tuple(range(1, 17))
    assert ASKED[-1] == 16_384
    assert all(b / a < 1.23 for a, b in itertools.pairwise(ASKED[15:]))


def test_growth_compounds():
    plan = ShardPlan(horizon=3.0, data_growth=0.5, reads=0.0, writes=0.0, **EVEN)
    assert plan.least_shards == math.ceil(1e12 * 1.5**3 / (0.7 * 500e9))
    assert plan.shards_today == math.ceil(1e12 / (0.7 * 500e9))


def test_no_number_beats_the_hottest_key():
    popularity = Zipf(20_000, 0.8)
    floor = 7000.0 / float(popularity.top(1)[0]) / 1.3**3  # reads/s today at which the hottest key fills a shard
    below, above = (ShardPlan(reads=floor * turn, popularity=popularity) for turn in (0.95, 1.0001))
    assert below.key_floor == pytest.approx(0.95)
    assert math.isfinite(below.least_shards)
    assert above.least_shards == math.inf
    assert above.binding == "the hottest key"
    assert "the hottest key alone takes 7,000 reads/s (reads) where a shard has 7,000 reads/s" in above.says
    assert above.lasts == pytest.approx(3.0 - math.log(1.0001) / math.log(1.3), abs=0.5)
    assert above.accuracy("least_shards").label == "exact"
    with pytest.raises(ValueError, match=r"ShardPlan.simulate: No number of shards holds for 3 years"):
        above.simulate()


def test_what_binds_is_said():
    assert ShardPlan().binding == "reads"
    assert ShardPlan().says == "16 shards hold for 3 years, and reads bind; needed are: storage 11, reads 16, writes 9"
    assert ShardPlan(stored=1e14).binding == "storage"
    assert ShardPlan(writes=12_000.0).binding == "writes"
    few = ShardPlan(most_shards=10)
    assert few.least_shards == math.inf
    assert few.binding == "the number of shards"
    assert few.says.startswith("No number up to 10 shards holds for 3 years; needed are: storage 11")
    small = ShardPlan(1e9, 1.0, 1.0, horizon=0.0)
    assert small.says == "1 shard holds today, and nothing binds; needed are: storage 1, reads 1, writes 1"
    assert small.accuracy("least_shards").label == "exact"


def test_a_shared_capacity_is_one_limit():
    """r/R + w/W up to u: half the limit of each is what both together leave."""
    shared = ShardPlan(reads=10_000.0, writes=2500.0, capacity="shared", horizon=0.0)
    halves = ShardPlan(reads=10_000.0, writes=2500.0, read_limit=5000.0, write_limit=1250.0, horizon=0.0)
    assert shared.read_shards == shared.write_shards == halves.read_shards == halves.write_shards
    assert "reads and writes" in shared.replace(stored=1.0).says


@pytest.mark.parametrize("changes", [{}, {"stored": 1.2e12, "reads": 1.0}, {"writes": 7000.0}])
def test_it_lasts_as_long_as_it_says(changes):
    """With as many shards: at the end of that time they are still enough, soon after no more."""
    plan = ShardPlan(**changes)
    assert plan.least_shards <= 16
    assert plan.lasts >= plan.horizon
    assert plan.replace(horizon=plan.lasts - 1e-4).least_shards == plan.least_shards
    assert plan.replace(horizon=plan.lasts + 1e-4).least_shards == plan.least_shards + 1


def test_without_growth_it_lasts_for_ever():
    still = ShardPlan(data_growth=0.0, load_growth=0.0)
    assert still.lasts == math.inf
    assert still.least_shards == still.shards_today
    assert still.accuracy("lasts") == EXACT


def test_documented_limits():
    dynamo = ShardPlan.of("DynamoDB partition", reads=2000.0, writes=500.0, horizon=0.0, stored=1e11, used=1.0)
    assert (dynamo.read_limit, dynamo.write_limit, dynamo.storage_limit) == (3000.0, 1000.0, 1e10)
    assert dynamo.binding == "storage"
    # A single item takes 1,000 writes a second at most, whatever the table's size.
    item = dynamo.replace(writes=1001.0, popularity=Zipf(2, 9.0), stored=1.0)
    assert item.replace(writes=2000.0).binding == "the hottest key"
    cosmos = ShardPlan.of("Cosmos DB physical partition")
    assert (cosmos.capacity, cosmos.read_limit, cosmos.write_limit) == ("shared", 10_000.0, 10_000.0)
    redis = ShardPlan.of("Redis Cluster")
    assert (redis.most_shards, redis.storage_limit) == (16_384, math.inf)
    with pytest.raises(ValueError, match=r"no limit of a shard is documented of 'Oracle'; there are 'DynamoDB part"):
        ShardPlan.of("Oracle")


def test_the_table_of_limits():
    table = sm.data.system_limits()
    assert list(table) == ["system", "setting", "value", "source", "limits", "most"]
    assert set(table["limits"]) == {"storage", "reads", "writes", "requests", "shards", ""}
    assert (table["most"].notna() == (table["limits"] != "")).all()
    assert table["most"].dropna().min() > 0
    assert (table["source"].str.len() > 0).all()


def test_the_kernel_finds_a_known_number():
    """Hottest shares of exactly 1/N with a spread of a per cent: the 90% quantile is 1.0128/N (normal)."""
    rng = np.random.default_rng(1)
    found = least_count(lambda n: (1.0 + 0.01 * rng.standard_normal(4000)) / n, 0.0100, 0.9, 2, 1000)
    assert abs(found.value - 102) <= 1 + 5 * found.error
    assert found.error < 0.2
    with pytest.raises(ValueError, match="64 shards are too few"):
        least_count(lambda n: np.ones(10), 0.5, 0.9, 2, 64)


@pytest.mark.parametrize(
    "plan",
    [
        ShardPlan(),
        ShardPlan(popularity=Zipf(5000, 0.4), placement=HashRing(virtual_nodes=64), reads=60_000.0, sure=0.5),
        ShardPlan(capacity="shared", stored=1e13),
    ],
    ids=["hashed", "ring", "shared"],
)
def test_the_twin_agrees(plan):
    table = sm.verify(plan, 200, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert (table.set_index("quantity").verdict[["least_shards", "storage_shards"]] == "agrees").all()


class Blind(ShardPlan):
    """A plan that takes loads for even."""

    def _least(self, bound):
        return float(math.ceil(1.0 / bound.share))


def test_a_plan_that_is_blind_to_skew_is_found_out():
    table = sm.verify(Blind(), seed=1).set_index("quantity")
    assert table.verdict["least_shards"] == "disagrees"


def test_what_suffices_today_does_not_last():
    line = ShardPlan().timeline(3)
    today, planned = line.lines.values()
    assert today[-1] > 0.7 > today[0]
    assert planned[-1] < today[-1]
    assert line.marks
    with pytest.raises(ValueError, match=r"ShardPlan.timeline: No number of shards holds today"):
        ShardPlan(reads=1e6).timeline()


@pytest.mark.parametrize("placement", [EvenHash(), HashRing(8), HashSlots(1024), RangePartition()], ids=repr)
@pytest.mark.parametrize(
    "popularity", [Zipf(20_000, 0.8), Zipf(1000, 1.5), UniformKeys(20_000), UniformKeys(3)], ids=repr
)
def test_one_quantile_is_that_of_the_whole_table(placement, popularity):
    """Within half a step of the table's cdf, which is straight between its points."""
    for shards in (2, 5, 60, 700):
        law = HottestShare(shards, popularity, placement)
        for level in (0.05, 0.5, 0.95):
            least, most = law.icdf(np.array([level - 0.003, level + 0.003]))
            assert least * (1.0 - 1e-4) <= law.quantile(level) <= most * (1.0 + 1e-4), (shards, level)
