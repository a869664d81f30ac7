"""Ranges that are split when they are full, and when they are hot: how full they are, and what cannot be split."""

from __future__ import annotations

import bisect
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.estimates import Estimate, from_batches
from scaling_models.montecarlo.kernels.range_splits import split_rows
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.range_splits import FEW, SteadyFill, ordered_ranges, random_ranges, steady_fill
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf

Array = NDArray[np.float64]
RUNS, MOST_RUNS = 20, 1000
MOST_ROWS = 40_000_000  # of all runs
LOOKS = 400  # in a doubling of the rows
STORM = 0.1  # of that doubling, in log rows
LARGE, DOUBLED = 100, 8.0  # rows of a range, and times them, from which the number of ranges is known best
NEAR = Accuracy("within 3%", 0.03, "100 rows a range at least, or eight times what one holds")
ROUGH = Accuracy("within 15%", 0.06, "30 to 100 rows a range, few ranges")
STORMY = Accuracy("within 15%", 0.10, "30 rows a range at least")
SORTED = "ascending keys"


class RangeSplits(Model):
    """Rows inserted into ranges of keys; a range that comes to hold more than `capacity` rows is split at its median.

    Random keys: in the long run sizes have the density x^-2 on half to full, mean fill ln 2, so rows/(capacity ln 2)
    ranges (Yao 1978). But large ranges fill at the same pace and split together, doubling after doubling: fill swings
    between a half and one (1/(2 ln 2) on the average of the logarithm of the rows), and splits come in storms.
    Ascending keys leave every range but the last half full. Load splits divide what is hot, but never a key: no range's
    load falls below that of the hottest key, p_1 of all.
    """

    rows: float = parameter(
        default=1e5,
        domain=Real(1.0, 1e15, open_low=False),
        unit="rows",
        symbol="D",
        about="rows inserted in all",
        slider=Slider(1e3, 1e9, 0.05, log=True),
    )
    capacity: int = parameter(
        default=1000,
        domain=Integer(2, 10**9),
        unit="rows",
        symbol="b",
        about="the most rows that a range holds",
        slider=Slider(10, 1e6, 0.1, log=True),
    )
    keys: str = parameter(
        default="random", domain=Choice(("random", "ascending")), about="in which order keys are inserted"
    )
    insert_rate: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="rows/s",
        symbol="w",
        about="rows inserted a second",
        slider=Slider(100, 100_000, 100),
    )
    load: float = parameter(
        default=20_000.0,
        domain=Real(open_low=False),
        unit="requests/s",
        symbol="X",
        about="requests to all ranges together",
        slider=Slider(0, 200_000, 1000),
    )
    split_load: float = parameter(
        default=2500.0,
        domain=Real(),
        unit="requests/s",
        symbol="L",
        about="load from which a range is split although it is not full",
        slider=Slider(500, 10_000, 100),
    )
    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")

    headline: ClassVar[str] = "mean_fill"
    verified_with: ClassVar[int] = 2_000_000
    violations: ClassVar[tuple[str, ...]] = (SORTED,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("keys fall evenly at random", "optimistic if they ascend: ranges stay half full"),
        Assumption("rows are equally large", "pessimistic of storms: unequal rows put ranges out of step"),
        Assumption("nothing is deleted", "optimistic: ranges that lose rows are emptier until they are merged"),
        Assumption("a split takes no time", "optimistic in a storm: splits wait for each other"),
    )

    def _ranges_at(self, rows: Array) -> Array:
        counted = random_ranges if self.keys == "random" else ordered_ranges
        return np.asarray(counted(np.floor(rows), self.capacity), dtype=float)

    @answer("ranges", "mean number of ranges once the rows are inserted", NEAR)
    def ranges(self) -> float:
        """See `random_ranges`; ascending: 2 + floor((D - b - 1)/h), h half of b + 1."""
        return float(self._ranges_at(np.array(self.rows)))

    @answer("", "how full ranges are on the mean: rows over what all ranges could hold", NEAR)
    def mean_fill(self) -> float:
        """D / (N b)."""
        return math.floor(self.rows) / (self.ranges * self.capacity)

    @answer("splits", "splits so far", NEAR)
    def splits(self) -> float:
        """N - 1."""
        return self.ranges - 1.0

    @answer("", "how full a range is after very many inserts, when ranges have fallen out of step")
    def steady_fill(self) -> Distribution:
        """Density x^-2 on [1/2, 1], large ranges; ascending keys: a half."""
        return SteadyFill() if self.keys == "random" else Deterministic(((self.capacity + 1) // 2) / self.capacity)

    @answer("", "the mean of that, for ranges of this capacity")
    def steady_mean(self) -> float:
        """See `formulas.range_splits.steady_fill`; ln 2 of large ranges."""
        return steady_fill(self.capacity) if self.keys == "random" else self.steady_fill.mean()

    @property
    def _doubling(self) -> Array:
        """Rows from half of all to all, evenly in the logarithm."""
        return np.maximum(np.floor(np.geomspace(self.rows / 2.0, self.rows, LOOKS + 1) * (1.0 + 1e-12)), 1.0)

    @answer("", "mean fill over the last doubling of the rows, each step of the logarithm counting the same", NEAR)
    def average_fill(self) -> float:
        """1/(2 ln 2) = 0.72 of ranges in step, ln 2 of ranges out of step."""
        rows = self._doubling
        return _average(rows, self._ranges_at(rows), self.capacity)

    @answer("splits/s", "splits a second, on the mean of the last doubling of the rows", NEAR)
    def split_rate(self) -> float:
        """w (N(D) - N(D/2)) / (D/2)."""
        rows = self._doubling
        before = float(self._ranges_at(rows[:1])[0])
        return self.insert_rate * (self.ranges - before) / (self.rows / 2.0)

    @answer("", "largest share of a doubling's splits in a tenth of it (of the logarithm); 0.13 without storms", STORMY)
    def storm(self) -> float:
        """max of N(2^0.1 D') - N(D'), over N(D) - N(D/2), in the last doubling; 0 where nothing is split."""
        return _storm(self._ranges_at(self._doubling))

    @answer("", "load of the hottest key over that from which ranges are split; above one no split helps it")
    def key_floor(self) -> float:
        """X p_1 / L."""
        return self.load * float(self.popularity.top(1)[0]) / self.split_load

    @answer("requests/s", "the least load of the hottest range that splits can bring about, however many there are")
    def hottest_load(self) -> float:
        """X p_1: the key alone in its range."""
        return self.load * float(self.popularity.top(1)[0])

    @answer("keys", "keys that are over the load from which ranges are split, each alone in its range")
    def unsplittable_keys(self) -> float:
        """The number of k with X p_k > L."""
        ranks, own = range(self.popularity.size), self.popularity.ranks
        return float(bisect.bisect_left(ranks, -self.split_load, key=lambda k: -self.load * own(k, k + 1)[0]))

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Numbers of ranges of random keys as measured beside the exact recursion; ascending ones are exact."""
        declared = self._answer(metric).accuracy
        if self.keys == "ascending" or self.rows <= self.capacity:
            return LIMIT if declared is NEAR or declared is STORMY else declared
        if metric == "steady_fill" and self.capacity < FEW**2:
            return Accuracy("within 15%", 0.15, "of large ranges; see steady_mean") if self.capacity >= FEW else SMALL
        if declared is NEAR and FEW <= self.capacity < LARGE and self.rows < DOUBLED * 2.0 * self.capacity:
            return ROUGH
        return declared

    def simulate(self, requests: int = 2_000_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """All rows inserted, in as many runs as make `requests` rows (20 at least): exact but for chance.

        `violating` "ascending keys" inserts them in order.
        """
        ordered = self.known_violation(violating) is not None or self.keys == "ascending"
        checked_requests(self, requests)
        rows = math.floor(self.rows)
        if rows > MOST_ROWS // RUNS:
            raise ValueError(f"RangeSplits.simulate: rows must lie in [1, {MOST_ROWS // RUNS:,}]; got {rows}")
        runs = min(max(RUNS, min(requests, MOST_ROWS) // rows), MOST_RUNS)
        looks = self._doubling
        counts = np.empty((runs, len(looks)))
        for run in range(runs):
            keys = np.arange(rows, dtype=float) if ordered else stream(seed, run).random(rows)
            splits, _ = split_rows(keys, self.capacity)
            counts[run] = 1.0 + np.searchsorted(splits, looks, side="right")
        ranges = from_batches(counts[:, -1])
        halves = from_batches((counts[:, -1] - counts[:, 0]) * (self.insert_rate / (self.rows / 2.0)))
        fill = rows / (ranges.value * self.capacity)
        return Simulation(
            self,
            runs * rows,
            seed,
            ranges=ranges,
            mean_fill=Estimate(fill, fill * ranges.error / ranges.value, ranges.freedom),
            splits=from_batches(counts[:, -1] - 1.0),
            average_fill=from_batches([_average(looks, each, self.capacity) for each in counts]),
            split_rate=halves,
            storm=_jackknifed(counts),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Rows come at their rate into one range at first: fill, and how much of all splits the last tenth brought."""
        rows = min(math.floor(self.rows), MOST_ROWS // RUNS)
        looks = np.unique(np.floor(np.geomspace(min(self.capacity, rows), rows, LOOKS)))
        ordered = self.keys == "ascending"
        keys = np.arange(rows, dtype=float) if ordered else stream(seed, 0).random(rows)
        splits, _ = split_rows(keys, self.capacity)
        count = 1.0 + np.searchsorted(splits, looks, side="right")
        fill = looks / (count * self.capacity)
        late = fill[looks >= rows / 2.0]
        says = f"In the last doubling of the rows ranges are {late.min():.0%} to {late.max():.0%} full"
        lines = {"fill": fill, "fill in the long run": np.full(len(looks), self.steady_mean)}
        marks = ((float(splits[0]) / self.insert_rate, "the first split"),) if splits.size else ()
        return Timeline(says, looks / self.insert_rate, lines, "", marks)


LIMIT = Accuracy("exact", 0.0, "keys in order, or a range that is not full yet")
SMALL = Accuracy("bound", 1.0, "of large ranges, which these are not; see steady_mean")


def _average(rows: Array, ranges: Array, capacity: int) -> float:
    """The mean fill at numbers of rows evenly apart in the logarithm (trapezoids)."""
    fill = rows / (ranges * capacity)
    return float((fill[1:] + fill[:-1]).mean() / 2.0)


def _storm(ranges: Array) -> float:
    """The largest share of the splits in a tenth of the looks."""
    width = round(STORM * LOOKS)
    splits = float(ranges[-1] - ranges[0])
    return float((ranges[width:] - ranges[:-width]).max()) / splits if splits > 0.0 else 0.0


def _jackknifed(counts: Array) -> Estimate:
    """The storm of the mean numbers of ranges, with the error that leaving out a run tells."""
    runs, total = len(counts), counts.sum(axis=0)
    whole = _storm(total / runs)
    without = np.array([_storm((total - each) / (runs - 1)) for each in counts])
    error = math.sqrt((runs - 1) * float(np.mean((without - without.mean()) ** 2)))
    return Estimate(whole, error, runs - 1)
