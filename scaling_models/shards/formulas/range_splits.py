"""How many ranges there are where a range that is full is split at its median: keys at random, and keys in order."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from scaling_models.latency import Distribution

Array = NDArray[np.float64]
FEW = 30  # rows a range, below which they are counted
DOUBLED = 64  # times what a range holds: up to there
LOG2 = math.log(2.0)
BEYOND = 60  # generations beyond which none splits: each is some standard deviations behind


def steady_fill(capacity: int) -> float:
    """Mean fill of ranges after very many random inserts; ln 2 = 0.693 of large ranges. Exact.

    Of n rows c_i n ranges hold i, c_i = ((i - 1) c_{i-1} + new_i)/(i + 1): the next row falls into a range of i rows
    with probability i/n, and a range of capacity + 1 rows becomes two halves. Yao, On Random 2-3 Trees, Acta
    Informatica 9, 1978, 159.
    """
    full = capacity + 1
    low, high = full // 2, full - full // 2
    rows = full * (special.digamma(full + 1.0) - special.digamma(high + 1.0))
    if low < high:  # the smaller half is an insert behind
        rows += low / (low + 1.0)
    return float(rows / capacity)


def split_times(capacity: int, generations: int) -> tuple[Array, Array]:
    """Means and standard deviations of the log number of rows at which ranges of each generation split.

    A range's rows grow as a Yule process, from half to full in sum_{i=half}^{capacity} Exp(i): variance s^2 =
    sum 1/i^2. After j generations the variance given all rows is (j - 1 + 2^-j) s^2: what all rows have in common is no
    difference between ranges. Means log(capacity + 1) + j (ln 2 + s^2/2) - (1 - 2^-j) s^2/2: with these the sum of all
    generations grows as the rows do.
    """
    half = (capacity + 1) // 2
    variance = float(special.polygamma(1, max(half, 1)) - special.polygamma(1, capacity + 1.0))
    j = np.arange(generations, dtype=float)
    common = 1.0 - 0.5**j
    means = math.log(capacity + 1.0) + j * (LOG2 + variance / 2.0) - common * variance / 2.0
    return means, np.sqrt(np.maximum(variance * (j - common), 0.0))


@functools.lru_cache(maxsize=FEW)
def _counted(capacity: int) -> Array:
    """Mean numbers of ranges after 1, 2, ... rows, row by row: each falls into a range in proportion to its rows."""
    full = capacity + 1
    size = np.arange(full + 1)
    ranges = np.where(size == 1, 1.0, 0.0)
    found = np.ones(DOUBLED * full)
    for rows in range(1, len(found)):
        hit = ranges * size / rows
        ranges -= hit
        ranges[1:] += hit[:-1]
        split, ranges[full] = ranges[full], 0.0
        ranges[full // 2] += split
        ranges[full - full // 2] += split
        found[rows] = ranges.sum()
    return found


def random_ranges(rows: ArrayLike, capacity: int) -> Any:
    """Mean number of ranges after so many inserts of random keys: 1 + sum_j 2^j P(T_j <= log rows), T_j normal.

    Large ranges split together, generation after generation, and stay so for about as many doublings as they have rows.
    Within 2.8% of the exact mean from 100 rows a range on (5% from 30; 1.5% after three doublings). Smaller ranges are
    counted row by row, exactly, up to 64 times what one holds; beyond they have long been steady.
    """
    if capacity < FEW:
        found = _counted(capacity)
        n = np.asarray(rows, dtype=float)
        at = np.clip(n, 1, len(found)).astype(int) - 1
        return np.where(n <= len(found), found[at], n / (capacity * steady_fill(capacity)))[()]
    x = np.log(np.asarray(rows, dtype=float))
    generations = int(max(1.0, float(np.max(x)) / LOG2 - math.log2(capacity + 1.0) + BEYOND))
    means, spreads = split_times(capacity, generations)
    gap = x[..., None] - means + 1e-12
    with np.errstate(divide="ignore", over="ignore"):
        late = np.where(gap > 0.0, 0.0, -np.inf)
        early = np.where(spreads > 0.0, special.log_ndtr(gap / np.maximum(spreads, 1e-300)), late)
    return (1.0 + np.exp(np.arange(generations) * LOG2 + early).sum(axis=-1))[()]


def ordered_ranges(rows: ArrayLike, capacity: int) -> Any:
    """Number of ranges after so many inserts of ascending keys: only the last one grows, and leaves halves. Exact."""
    n, full = np.asarray(rows, dtype=float), capacity + 1
    return np.where(n < full, 1.0, 2.0 + np.floor((n - full) / (full // 2)))[()]


class SteadyFill(Distribution):
    """Fill of a range after very many random inserts: density x^-2 on [1/2, 1], ccdf 1/x - 1, mean ln 2.

    The limit of large ranges of `steady_fill`. Yao 1978.
    """

    @property
    def support(self) -> tuple[float, float]:
        """Half full to full."""
        return (0.5, 1.0)

    def _ccdf(self, t: Array) -> Array:
        return 1.0 / np.clip(t, 0.5, 1.0) - 1.0

    def _pdf(self, t: Array) -> Array:
        return np.asarray(np.where((t >= 0.5) & (t < 1.0), np.maximum(t, 0.5) ** -2.0, 0.0))

    def _icdf(self, q: Array) -> Array:
        return 1.0 / (2.0 - q)

    def _iccdf(self, p: Array) -> Array:
        return 1.0 / (1.0 + p)

    def mean(self) -> float:
        """ln 2."""
        return LOG2

    def variance(self) -> float:
        """1/2 - ln^2 2."""
        return 0.5 - LOG2**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._icdf(rng.random(shape))
