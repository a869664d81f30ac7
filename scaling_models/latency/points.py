"""Latencies made of points: a constant, a bare mean, measured samples, and the time that never ends."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Real, Rows
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.parameters import Slider, parameter


class Deterministic(Distribution):
    """Always the same time: one atom."""

    value: float = parameter(
        default=0.010,
        domain=Real(open_low=False),
        unit="s",
        symbol="D",
        about="the time it always takes",
        slider=Slider(0.0001, 1.0, 0.05, log=True),
    )

    @property
    def support(self) -> tuple[float, float]:
        """The value, twice."""
        return (self.value, self.value)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The value with probability one."""
        return ((self.value, 1.0),)

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    @property
    def cuts(self) -> Array:
        """The value alone."""
        return np.array([self.value])

    def mean(self) -> float:
        """The value."""
        return self.value

    def variance(self) -> float:
        """Zero."""
        return 0.0

    def _ccdf(self, t: Array) -> Array:
        return np.where(t < self.value, 1.0, 0.0)

    def _pdf(self, t: Array) -> Array:
        return np.zeros(np.shape(t))

    def _icdf(self, q: Array) -> Array:
        return np.full(np.shape(q), self.value)

    def _iccdf(self, p: Array) -> Array:
        return self._icdf(p)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, self.value)


class MeanOnly(Deterministic):
    """A mean whose spread nobody measured, as a constant: percentiles are refused.

    Means of sums and mixtures of it are exact. What is a k-th smallest (a quorum, the slowest) has a mean only as if
    times were constant: with a fifth of each round trip between ten cloud regions varying exponentially, that mean was
    off by up to 13%, too high where few of several are waited for, too low where all are.
    """

    @property
    def highest_level(self) -> float:
        """Nothing but the mean."""
        return 0.0


class Never(Distribution):
    """It never ends: the latency of an overloaded system, or of a lost quorum."""

    @property
    def lost(self) -> float:
        """One."""
        return 1.0

    @property
    def cuts(self) -> Array:
        """Zero alone: there is nothing to integrate over."""
        return np.array([0.0])

    def _ccdf(self, t: Array) -> Array:
        return np.ones(np.shape(t))

    def _pdf(self, t: Array) -> Array:
        return np.zeros(np.shape(t))

    def _icdf(self, q: Array) -> Array:
        return np.where(q > 0, math.inf, 0.0)

    def _iccdf(self, p: Array) -> Array:
        return np.where(p < 1, math.inf, 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, math.inf)


class Empirical(Distribution):
    """Measured times, each equally likely: the step function of the samples, with `searchsorted` under it."""

    samples: tuple[float, ...] = parameter(
        default=(0.008, 0.010, 0.012),
        domain=Rows(Real(open_low=False), most=10**7),
        unit="s",
        symbol="x",
        about="the measured times",
    )

    @functools.cached_property
    def _sorted(self) -> Array:
        return np.sort(np.array(self.samples))

    @property
    def support(self) -> tuple[float, float]:
        """From the least to the largest sample."""
        return (float(self._sorted[0]), float(self._sorted[-1]))

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self.samples)  # ten thousands of them take their time

    @functools.cached_property
    def atom_table(self) -> tuple[Array, Array]:
        """Every sample, and its share."""
        places, counts = np.unique(self._sorted, return_counts=True)
        return places, counts / len(self._sorted)

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Every sample, with its share."""
        return tuple(zip(*(each.tolist() for each in self.atom_table), strict=True))

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Every sample."""
        return tuple(self.cuts.tolist())

    @property
    def cuts(self) -> Array:
        """Every sample."""
        return self.atom_table[0]

    def mean(self) -> float:
        """The samples' mean."""
        return float(self._sorted.mean())

    def variance(self) -> float:
        """The samples' variance as a population: divided by n."""
        return float(self._sorted.var())

    def _ccdf(self, t: Array) -> Array:
        size = len(self._sorted)
        return (size - np.searchsorted(self._sorted, t, side="right")) / size

    def _cdf(self, t: Array) -> Array:
        return np.searchsorted(self._sorted, t, side="right") / len(self._sorted)

    def _pdf(self, t: Array) -> Array:
        return np.zeros(np.shape(t))

    def _icdf(self, q: Array) -> Array:
        size = len(self._sorted)
        rank = np.ceil(q * size - 1e-9).astype(int) - 1
        return np.asarray(self._sorted[np.clip(rank, 0, size - 1)])

    def _iccdf(self, p: Array) -> Array:
        return self._icdf(1.0 - p)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self._sorted[rng.integers(0, len(self._sorted), shape)])
