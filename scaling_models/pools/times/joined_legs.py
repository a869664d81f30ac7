"""The last of several legs at M/M/1 servers that have arrivals in common, as a distribution."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.optimize import brentq

from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded, panels
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.fan_out import harmonic_number, synchronised_mean

# Fitted to simulations of 2 to 64 legs.
TOWARDS_ALL = 2.0 / 3.0  # of the way, in logs, from the legs that the mean tells of to all
CERTAIN = 0.4  # of the legs that the mean tells of: the least that M can be
PANELS = np.concatenate([[0.0], np.geomspace(1e-6, 45.0, 24)])  # mean legs
LEAST_SPREAD = 1e-6


class JoinedLegs(Distribution):
    """The largest of n exponential legs, as many independent ones as a random number M: cdf E[F(t)^M], F the leg's.

    M is a + gamma distributed, so that the cdf is F^a (1 - v b log F)^(-1/v), with E M = a + b: arrivals in common make
    legs slow together. The spread v is such that the mean is (1 - s) of that of n independent legs and s of
    `synchronised_mean`, s the share of a server's arrivals that another has too; a = 0.4 j and a + b = n^(2/3) j^(1/3)
    where j independent legs have that mean. A fit: quantiles from p50 to p99.9 err by -5% to +4% for 2 to 64 legs at
    loads from 0.3 to 0.95; below the median they are too low.
    """

    legs: int = parameter(
        default=10, domain=Integer(2, 10**4), unit="legs", symbol="n", about="legs that all have to end"
    )
    leg: float = parameter(default=0.020, domain=Real(), unit="s", about="the mean time of a leg")
    utilization: float = parameter(
        default=0.5, domain=Real(high=1.0), symbol="ρ", about="share of its time that a server is busy"
    )
    common: float = parameter(
        default=1.0,
        domain=Real(high=1.0, open_low=False, open_high=False),
        symbol="s",
        about="share of a server's arrivals that another one has too",
    )

    def mean(self) -> float:
        """Between independent and synchronised legs."""
        alone = float(harmonic_number(self.legs))
        together = float(synchronised_mean(self.legs, self.utilization)) * (1.0 - self.utilization)
        return self.leg * (alone + self.common * (together - alone))

    @functools.cached_property
    def _mixing(self) -> tuple[float, float, float]:
        """a, b and v."""
        wanted = self.mean() / self.leg
        if wanted >= float(harmonic_number(self.legs)) * (1.0 - 1e-9):
            return CERTAIN * self.legs, (1.0 - CERTAIN) * self.legs, LEAST_SPREAD
        like = brentq(lambda n: float(harmonic_number(n)) - wanted, 1e-9, float(self.legs))
        certain = CERTAIN * like
        more = self.legs**TOWARDS_ALL * like ** (1.0 - TOWARDS_ALL) - certain
        t, weights = panels(PANELS)
        minus_log = _minus_log_cdf(t)

        def miss(log_spread: float) -> float:
            return float(weights @ _late(minus_log, certain, more, math.exp(log_spread))) - wanted

        least = math.log(LEAST_SPREAD)
        if miss(least) <= 0.0:  # so near independence that the quadrature's rounding decides
            return certain, more, LEAST_SPREAD
        return certain, more, math.exp(brentq(miss, least, math.log(1e4)))

    def _minus_log(self, t: Array) -> Array:
        return _minus_log_cdf(np.maximum(t / self.leg, 1e-300))

    @functools.cached_property
    def cuts(self) -> Array:
        """Graded over the scale of the legs."""
        return graded([0.0, *(self.leg * x for x in (1e-7, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 37.0, 50.0))], 0.0)

    def _ccdf(self, t: Array) -> Array:
        return _late(self._minus_log(t), *self._mixing)

    def _cdf(self, t: Array) -> Array:
        return np.asarray(np.exp(_log_cdf(self._minus_log(t), *self._mixing)))

    def _pdf(self, t: Array) -> Array:
        certain, more, spread = self._mixing
        x = np.maximum(t / self.leg, 1e-300)
        minus_log = self._minus_log(t)
        slope = certain + more / (1.0 + spread * more * minus_log)
        return np.asarray(slope / self.leg * np.exp(_log_cdf(minus_log, *self._mixing) - x) / -np.expm1(-x))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        certain, more, spread = self._mixing
        many = certain + more * spread * rng.standard_gamma(1.0 / spread, shape)
        return self.leg * _minus_log_cdf(np.maximum(rng.standard_exponential(shape) / many, 1e-300))


def _minus_log_cdf(x: Array) -> Array:
    """-log(1 - e^{-x}), precise for small and large x."""
    return -np.where(x < 0.7, np.log(-np.expm1(-x)), np.log1p(-np.exp(-np.maximum(x, 0.7))))


def _log_cdf(minus_log: Array, certain: float, more: float, spread: float) -> Array:
    """a log F - log(1 - v b log F)/v."""
    return -certain * minus_log - np.log1p(spread * more * minus_log) / spread


def _late(minus_log: Array, certain: float, more: float, spread: float) -> Array:
    """The ccdf, precise where it is small."""
    return np.asarray(-np.expm1(_log_cdf(minus_log, certain, more, spread)))
