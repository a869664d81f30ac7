"""Latencies known at the nodes of a lattice: their ccdf between the nodes and beyond them."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import graded
from scaling_models.latency.tables import STRAIGHT

LEVELS = np.array([1e-7, 1e-2, 0.3, 0.7, 0.9, 0.97, 0.99, 0.999, 0.9999])
DEEP = np.array([1e-5, 1e-7, 1e-10, 1e-13, 1e-16])


class Survival:
    """log ccdf at ascending times from 0 on, straight between them, and what follows the last.

    It falls on at the rate `decay` (1/s); or, with `far` logs of times and of the ccdf given instead, as they do
    (straight), and beyond them as a power `index` of t. `error` is the largest relative error of a quantile that was
    measured; `known_to` the ccdf down to which that holds.
    """

    def __init__(
        self,
        times: Array,
        logs: Array,
        *,
        decay: float = 0.0,
        far: tuple[Array, Array] | None = None,
        index: float = math.inf,
        error: float = 0.0,
    ) -> None:
        self.times, self.decay, self.index, self.error = times, decay, index, error
        self.logs = np.minimum.accumulate(np.minimum(logs, 0.0))
        self.far = None if far is None else (far[0], np.minimum.accumulate(far[1]))

    def __call__(self, t: Array) -> Array:
        """log P(T > t), t >= 0."""
        last = self.times[-1]
        inside = np.interp(t, self.times, self.logs)
        if self.far is None:
            return np.asarray(np.where(t > last, self.logs[-1] - self.decay * (t - last), inside))
        places, logs = self.far
        at = np.log(np.maximum(t, last))
        beyond = np.interp(at, places, logs) - np.where(at > places[-1], self._slope * (at - places[-1]), 0.0)
        return np.asarray(np.where(t > last, beyond, inside))

    def stretched(self, factor: float) -> Survival:
        """That of the time times a factor."""
        far = None if self.far is None else (self.far[0] + math.log(factor), self.far[1])
        decay = self.decay / factor
        return Survival(factor * self.times, self.logs, decay=decay, far=far, index=self.index, error=self.error)

    @property
    def known_to(self) -> float:
        """The least ccdf that is more than an extrapolation; 0 where the tail is known to be exponential."""
        return 0.0 if self.far is None else math.exp(self.logs[-1])

    @property
    def _slope(self) -> float:
        return min(self.index, 1e6)  # a light tail has nothing left there

    def inverse(self, logs: Array) -> Array:
        """The time at which the log of the ccdf has come down to `logs`."""
        inside = np.interp(-logs, -self.logs, self.times)
        below = np.minimum(logs - self.logs[-1], 0.0)
        if self.far is None:
            return np.asarray(np.where(below < 0, self.times[-1] - below / max(self.decay, 1e-300), inside))
        places, values = self.far
        at = np.interp(-logs, -values, places) + np.maximum(values[-1] - logs, 0.0) / self._slope
        return np.asarray(np.where(below < 0, np.exp(np.minimum(at, 700.0)), inside))

    def density(self, t: Array) -> Array:
        """-S (log S)', the slope straight between those at the nodes."""
        last = self.times[-1]
        if self.far is None:
            beyond = np.full(np.shape(t), self.decay)
        else:
            places, logs = self.far
            middles, falls = (places[1:] + places[:-1]) / 2.0, -np.diff(logs) / np.diff(places)
            beyond = np.interp(np.log(np.maximum(t, last)), middles, falls) / np.maximum(t, last)
        slope = np.where(t > last, beyond, np.interp(t, self.times, self._slopes))
        return np.asarray(slope * np.exp(self(t)))

    @functools.cached_property
    def _slopes(self) -> Array:
        return np.asarray(np.maximum(-np.gradient(self.logs, self.times), 0.0))

    @functools.cached_property
    def moments(self) -> tuple[float, float]:
        """E T and E T^2 / 2: the integrals of the ccdf and of t times it; `inf` where they do not exist."""
        t, s = self.times, np.exp(self.logs)
        first, second = float(np.trapezoid(s, t)), float(np.trapezoid(t * s, t))
        if self.far is None:
            rest = s[-1] / self.decay
            return first + rest, second + rest * (t[-1] + 1.0 / self.decay)
        return first + self._beyond(1), second + self._beyond(2)

    def _beyond(self, order: int) -> float:
        """The integral of t^{order - 1} S after the nodes: powers of t from one far time to the next."""
        if self.far is None or self.index <= order:
            return math.inf
        places, logs = self.far
        heights = order * places + logs  # of t^order S
        slopes = np.diff(heights) / np.diff(places)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(np.abs(slopes) < 1e-9, np.diff(places), np.expm1(np.diff(heights)) / slopes)
        ends = np.exp(heights)
        last = float(ends[-1]) / (self.index - order) if math.isfinite(self.index) else 0.0
        return float((ends[:-1] * each).sum()) + last


class Lattice(Distribution):
    """Base of continuous latencies that are computed on a lattice: a subclass gives the `_survival`."""

    @property
    def _survival(self) -> Survival:
        raise NotImplementedError

    @property
    def error(self) -> float:
        """The largest relative error of a quantile, as two lattices tell it."""
        return self._survival.error

    @property
    def depth(self) -> int:
        """So deep that no table over it chases its kinks."""
        return STRAIGHT

    @functools.cached_property
    def cuts(self) -> Array:
        """Quantiles, near and far."""
        near = self._icdf(LEVELS)
        return graded([*self.kinks, *near, *self._iccdf(DEEP)], self.support[0])

    def mean(self) -> float:
        """The integral of the ccdf."""
        return self._survival.moments[0]

    def variance(self) -> float:
        """Twice the integral of t times the ccdf, less the mean squared."""
        first, second = self._survival.moments
        return math.inf if math.isinf(second) else 2.0 * second - first**2

    def _ccdf(self, t: Array) -> Array:
        return np.exp(self._survival(t))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(self._survival(t))

    def _pdf(self, t: Array) -> Array:
        return self._survival.density(t)

    def _icdf(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._survival.inverse(np.maximum(np.log1p(-q), -1e300))

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._survival.inverse(np.maximum(np.log(p), -1e300))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._survival.inverse(-rng.standard_exponential(shape))
