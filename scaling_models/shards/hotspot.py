"""The law of a shard's share of the load, and of the hottest shard's."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.domains import Integer
from scaling_models.latency import Distribution
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.hottest_load import quantile_of_hottest, share_of_hottest, steps
from scaling_models.shards.formulas.load_of_one import share_of_one
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.placements.placement import share_scv
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf

Array = NDArray[np.float64]
REPLICAS = parameter(
    default=1,
    domain=Integer(1, 100),
    unit="copies",
    symbol="R",
    about="shards that hold each key, its requests spread evenly over them",
    slider=Slider(1, 5, 1),
)


def check_replicas(owner: Any) -> None:
    """Raise `ValueError` where there are more copies of a key than shards to hold them."""
    most = owner.placement.filled(owner.shards)
    if owner.replicas > most:
        placed = "" if most == owner.shards else f" that {type(owner.placement).__name__} can give keys to"
        raise ValueError(
            f"{type(owner).__name__}.replicas must lie in [1, {most}] copies, the shards{placed}; got {owner.replicas}"
        )


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

    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on shards")
    replicas: int = REPLICAS

    def _check(self) -> None:
        check_replicas(self)

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
        # Backwards, for where the cdf is level its first point is the quantile, and what follows rises from the last.
        return np.asarray(np.interp(-q, -cdf[::-1], x[::-1]), dtype=float)

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

    def _known(self) -> tuple[float, ...]:
        """The loads of all shards, where nothing is left to chance."""
        filled = self.placement.filled(self.shards)
        if self.shards == 1 or self.replicas == filled:  # each of them has all keys
            return (self.popularity.total / filled,) * filled + (0.0,) * (self.shards - filled)
        return self.placement.copied_loads(self.popularity, self.shards, self.replicas)

    def _level(self) -> float:
        """What of every key's share is no chance, for each shard has equally many keys."""
        equal = self.placement.equal_counts and self.replicas == 1
        return self.popularity.total / self.popularity.size if equal else 0.0


class ShareOfOne(_OnGrid):
    """The share of the load that falls on one given shard: see `formulas.loads`.

    Mean 1/N and N^2 variance c + (N - 1 - c) sum p_k^2 exactly, c the squared coefficient of variation of the shard's
    share of the key space (0 where even); of R copies, with N/R for N.
    """

    @functools.cached_property
    def _grid(self) -> tuple[Array, Array]:
        known = self._known()
        if known:
            x, counts = np.unique(known, return_counts=True)
            return steps(x, counts.cumsum() / len(known))
        kinds = self.placement.nodes(self.shards, self.replicas)
        return share_of_one(kinds, self.popularity, self.replicas, self._level())

    def mean(self) -> float:
        """total/N, exactly."""
        return self.popularity.total / self.shards

    def variance(self) -> float:
        """(c + (N/R - 1 - c) sum p_k^2)/N^2, exactly; less the square of the mean share where counts are equal."""
        known = self._known()
        if known:
            return float(np.var(known))
        c = share_scv(self.placement, self.shards, self.replicas)
        total, squares = self.popularity.total, self.popularity.sum_of_squares()
        squares -= total * self._level()
        return (c * total**2 + (self.shards / self.replicas - 1.0 - c) * squares) / self.shards**2


class HottestShare(_OnGrid):
    """The share of the load on the hottest of N shards: the few hottest keys are dealt in all ways, the others are
    independent between shards but for their sum (see `formulas.loads`).

    (Plain F^N of one shard is up to 19% low: it allows that no shard owns the hottest key.)
    """

    @functools.cached_property
    def _grid(self) -> tuple[Array, Array]:
        known = self._known()
        if known:
            return steps(np.array([max(known)]), np.ones(1))
        kinds = self.placement.nodes(self.shards, self.replicas)
        x, cdf = share_of_hottest(kinds, self.popularity, self.replicas, self._level())
        least = self._least * (1.0 - 1e-12)
        inside = (x > least) & (x < self.popularity.total)
        ends = np.interp([least, self.popularity.total], x, cdf, left=0.0)
        x, cdf = np.append(least, x[inside]), np.append(ends[0], cdf[inside])
        return np.append(x, max(least, self.popularity.total) * (1.0 + 1e-12)), np.append(cdf, 1.0)

    def quantile(self, level: float) -> float:
        """One of them, without a table of all."""
        known = self._known()
        if known:
            return max(known)
        kinds = self.placement.nodes(self.shards, self.replicas)
        found = quantile_of_hottest(kinds, self.popularity, self.replicas, self._level(), level)
        return min(max(found, self._least), self.popularity.total)

    @property
    def _least(self) -> float:
        """No shard has less than its hottest key, nor all less than the mean."""
        return float(max(self.popularity.top(1)[0] / self.replicas, self.popularity.total / self.shards))
