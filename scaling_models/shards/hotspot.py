"""The law of a shard's share of the load, and of the hottest shard's, for keys placed evenly at random."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.parameters import Integer, Slider, parameter
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf

Array = NDArray[np.float64]
TOP = 4  # keys whose placement is conditioned on exactly (15 partitions)
POINTS = 2048  # of the lattice
SMOOTH = 2.0  # lattice steps: what of a jump is then left at the highest frequency is 3e-9, so nothing rings
LITTLE = 0.3  # of the shortest wave that counts: the fifth cumulant of keys so small moves the law by about 1e-5
NOTHING = 1e-13
REACH = 7.4  # standard deviations in frequency: e^{-27} = 1e-12
ROUNDING = 1e-13  # sums of shares that should be equal differ by less
THIN = 8  # of the lattice's points, one is kept for the law of the largest: it bends less than the mass does
TAIL = 30.0  # the lattice ends where Chernoff's bound is e^-30


@functools.lru_cache(maxsize=128)
def rest_law(shards: int, popularity: Popularity, points: int = POINTS) -> tuple[Array, Array]:
    """Grid and cdf of the load that all keys but the TOP hottest put on one shard.

    Characteristic function prod (1 - 1/N + e^{i w p_k}/N), inverted by FFT on a lattice between Chernoff's bounds and
    smoothed by a Gaussian of SMOOTH lattice steps.
    """
    p, counts = popularity.groups(min(TOP, popularity.size))
    if not p.size or shards == 1:  # nothing is left to chance
        total = float((counts * p).sum())
        return np.array([total, total + ROUNDING]), np.array([1.0, 1.0])
    low, high = _range(p, counts, 1.0 / shards)
    step = (high - low) / points
    small, highest = _split(p, counts, 1.0 / shards, SMOOTH * step)
    last = min(points // 2, int(highest * (high - low) / (2.0 * np.pi)) + 1)
    w: Array = np.arange(last + 1, dtype=float) * (2.0 * np.pi / (high - low))
    smooth = np.exp(_log_cf_of_small(p[small], counts[small], 1.0 / shards, w) + 1j * w * low)
    smooth *= np.exp(-0.5 * (SMOOTH * w * step) ** 2)
    _multiply(smooth, w, p[~small], counts[~small], shards)
    mass = np.maximum(np.fft.irfft(smooth, points), 0.0)
    cdf = np.cumsum(mass)
    return np.asarray(low + step * (np.arange(points) + 0.5), dtype=float), np.asarray(cdf / cdf[-1])


def _multiply(cf: NDArray[np.complex128], w: Array, p: Array, counts: Array, shards: int) -> None:
    """Multiply by (1 - 1/N + e^{-iwp}/N)^count of every key, in place, the many small ones first.

    Every factor is at most one in modulus, so a frequency that has fallen below NOTHING stays there and is left.
    """
    alive = np.arange(len(w))
    for share, count in zip(p[::-1], counts[::-1], strict=True):  # shares descend with rank
        factor = 1.0 - (1.0 - np.exp(-1j * w[alive] * share)) / shards
        cf[alive] *= factor if count == 1 else factor**count
        alive = alive[np.abs(cf[alive]) > NOTHING]


def _split(p: Array, counts: Array, q: float, smoothing: float) -> tuple[NDArray[np.bool_], float]:
    """Which keys are small enough for their cumulants, and the frequency beyond which nothing is left.

    The small keys and the smoothing together are nearly normal with spread s: beyond REACH / s their characteristic
    function is below 1e-12, so that a key is small where LITTLE s / REACH exceeds its share.
    """
    order = np.argsort(p)
    spread = np.sqrt(np.cumsum((counts * p * p)[order]) * q * (1.0 - q) + smoothing**2)
    fits = np.flatnonzero(p[order] * REACH < LITTLE * spread)
    until = fits[-1] + 1 if fits.size else 0
    small = np.zeros(len(p), dtype=bool)
    small[order[:until]] = True
    return small, REACH / (spread[until - 1] if until else smoothing)


def _log_cf_of_small(p: Array, counts: Array, q: float, w: Array) -> NDArray[np.complex128]:
    """log E e^{-iwX} of the small keys, from four cumulants of the Bernoulli deal."""
    cumulants = (q, q * (1 - q), q * (1 - q) * (1 - 2 * q), q * (1 - q) * (1 - 6 * q * (1 - q)))
    terms = (
        cumulant * float((counts * p**k).sum()) * (-1j * w) ** k / math.factorial(k)
        for k, cumulant in enumerate(cumulants, start=1)
    )
    return np.asarray(sum(terms), dtype=complex)


def _range(p: Array, counts: Array, q: float) -> tuple[float, float]:
    """Where the load lies but for e^-TAIL: inf over s of (log E e^{sX} + TAIL)/s, on either side."""
    spread = math.sqrt(float((counts * p * p).sum()) * q * (1.0 - q)) or float(p.max())
    s = np.geomspace(0.01, 100.0, 80)[:, None] / spread
    s = s[s[:, 0] * p.max() < 700.0]
    up = (counts * np.log1p(q * np.expm1(s * p))).sum(axis=1)
    down = (counts * np.log1p(q * np.expm1(-s * p))).sum(axis=1)
    high = min(float(((up + TAIL) / s[:, 0]).min()), float((counts * p).sum()))
    low = max(float((-(down + TAIL) / s[:, 0]).max()), 0.0)
    margin = 0.01 * (high - low) + 1e-12  # room for the smoothing
    return low - margin, high + margin


class _OnGrid(Distribution):
    """Base of distributions that a table of their cdf tells."""

    shards: int = parameter(
        default=64,
        domain=Integer(1, 10**6),
        unit="shards",
        symbol="N",
        about="how many shards",
        slider=Slider(1, 256, 1),
    )
    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")

    points: ClassVar[int] = POINTS

    @functools.cached_property
    def _grid(self) -> tuple[Array, Array]:
        raise NotImplementedError

    @property
    def support(self) -> tuple[float, float]:
        """The grid's ends."""
        x, _ = self._grid
        return (float(x[0]), float(x[-1]))

    @property
    def cuts(self) -> Array:
        """A few points of the grid."""
        return self._grid[0][:: max(1, len(self._grid[0]) // 64)]

    def _cdf(self, t: Array) -> Array:
        x, cdf = self._grid
        return np.asarray(np.interp(t, x, cdf, left=0.0), dtype=float)

    def _ccdf(self, t: Array) -> Array:
        return 1.0 - self._cdf(t)

    def _pdf(self, t: Array) -> Array:
        x, cdf = self._grid
        slope: Array = np.append(np.diff(cdf) / np.maximum(np.diff(x), 1e-300), 0.0)
        inside = slope[np.clip(np.searchsorted(x, t, "right") - 1, 0, None)]
        return np.asarray(np.where((t < x[0]) | (t >= x[-1]), 0.0, inside))

    def _icdf(self, q: Array) -> Array:
        x, cdf = self._grid
        keep = np.concatenate([[True], np.diff(cdf) > 0])
        return np.asarray(np.interp(q, cdf[keep], x[keep]), dtype=float)

    def _iccdf(self, p: Array) -> Array:
        return self._icdf(1.0 - p)

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        x, cdf = self._grid
        mass, middle = np.diff(cdf), (x[1:] + x[:-1]) / 2.0
        mean = float((mass * middle).sum() + cdf[0] * x[0])
        return mean, float((mass * (middle - mean) ** 2).sum() + cdf[0] * (x[0] - mean) ** 2)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self._icdf(rng.random(shape)))

    @property
    def _top(self) -> list[float]:
        return [float(p) for p in self.popularity.top(TOP)]

    def _rest(self, x: Array) -> Array:
        grid, cdf = rest_law(self.shards, self.popularity, self.points)
        return np.asarray(np.interp(x + ROUNDING, grid, cdf, left=0.0, right=1.0), dtype=float)

    def _points(self, sums: set[float]) -> Array:
        """A grid fine wherever the rest's law, shifted by one of the sums, rises."""
        fine = rest_law(self.shards, self.popularity, self.points)[0][::THIN]
        fine = np.concatenate([fine, fine[:1] - 2 * ROUNDING])  # where nothing is left to chance the law is a jump
        points = np.concatenate([fine + s for s in sums])
        return np.asarray(np.unique(np.round(np.clip(points, 0.0, 1.0), 15)), dtype=float)


class ShareOfOne(_OnGrid):
    """The share of the load that falls on one given shard, the hottest keys dealt exactly, the rest by `rest_law`.

    Mean 1/N, CV^2 = (N - 1) sum p_k^2.
    """

    points: ClassVar[int] = 4 * POINTS  # most shards hold no hot key, so that the small shares count here

    @functools.cached_property
    def _grid(self) -> tuple[Array, Array]:
        q = 1.0 / self.shards
        subsets = [
            (sum(on), q ** len(on) * (1.0 - q) ** (len(self._top) - len(on)))
            for size in range(len(self._top) + 1)
            for on in itertools.combinations(self._top, size)
        ]
        x = self._points({total for total, _ in subsets})
        return x, np.clip(sum(weight * self._rest(x - total) for total, weight in subsets), 0.0, 1.0)

    def mean(self) -> float:
        """1/N, exactly."""
        return 1.0 / self.shards

    def variance(self) -> float:
        """(N - 1)/N^2 sum p_k^2, exactly."""
        return (self.shards - 1.0) / self.shards**2 * self.popularity.sum_of_squares()


class HottestShare(_OnGrid):
    """The share of the load on the hottest of N shards.

    P(max <= x) = sum over the partitions of the TOP hottest keys into shards of N!/(N - b)!/N^m times
    prod over its b blocks F(x - sum of block) times F(x)^(N - b), F of `rest_law`: the placement of the hottest keys
    is exact, that of the rest taken as independent between shards. (Plain F^N is up to 19% low: it allows that
    no shard owns the hottest key.)
    """

    @functools.cached_property
    def _grid(self) -> tuple[Array, Array]:
        top = self._top
        parts = [blocks for blocks in _partitions(top) if len(blocks) <= self.shards]
        sums = {0.0} | {sum(block) for blocks in parts for block in blocks}
        x = self._points(sums)
        x = x[x >= max(top[0], 1.0 / self.shards) * (1.0 - 1e-9)]
        x = np.union1d(x, [max(top[0], 1.0 / self.shards)])
        known = {total: self._rest(x - total) for total in sums}
        return x, np.clip(sum(self._given(blocks, len(top), known) for blocks in parts), 0.0, 1.0)

    def _given(self, blocks: list[list[float]], keys: int, known: dict[float, Array]) -> Any:
        weight = math.prod((self.shards - i) / self.shards for i in range(len(blocks)))
        weight *= self.shards ** float(len(blocks) - keys)
        together = known[0.0] ** (self.shards - len(blocks))
        for block in blocks:
            together = together * known[sum(block)]
        return weight * together


def _partitions(keys: list[float]) -> Iterator[list[list[float]]]:
    """Every way to put distinguishable keys into unnamed blocks."""
    if not keys:
        yield []
        return
    for blocks in _partitions(keys[:-1]):
        yield [*blocks, [keys[-1]]]
        for i, block in enumerate(blocks):
            yield [*blocks[:i], [*block, keys[-1]], *blocks[i + 1 :]]
