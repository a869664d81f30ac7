"""A wait whose tail is a sum of exponentials, and the response after it: what several phases of the traffic make."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Real, Rows
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.times.responses import both
from scaling_models.wording import short

ANY = Rows(Real(-math.inf, math.inf))


class PhasedWait(Distribution):
    """P(W > t) = sum_i w_i e^{-d_i t}, and zero otherwise; single weights may be negative. Exact."""

    drains: tuple[float, ...] = parameter(
        default=(50.0, 500.0), domain=Rows(Real()), unit="1/s", symbol="d", about="the rates of the terms"
    )
    weights: tuple[float, ...] = parameter(
        default=(0.3, 0.1), domain=ANY, symbol="w", about="the terms' weights, together how often there is a wait"
    )

    def _check(self) -> None:
        if len(self.weights) != len(self.drains) or not 0.0 <= math.fsum(self.weights) <= 1.0:
            raise ValueError(
                f"{type(self).__name__}.weights must be one a drain ({len(self.drains)}), with a sum in [0, 1]; "
                f"got {short(self.weights)}"
            )

    @functools.cached_property
    def _terms(self) -> tuple[Array, Array]:
        """Weights and drains, to be broadcast over times behind them."""
        return np.array(self.weights), np.array(self.drains)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Zero, where there is no wait."""
        none = 1.0 - math.fsum(self.weights)
        return ((0.0, none),) if none > 0 else ()

    def mean(self) -> float:
        """sum w_i / d_i."""
        return math.fsum(self._terms[0] / self._terms[1])

    def variance(self) -> float:
        """sum 2 w_i / d_i^2 less the mean squared."""
        return math.fsum(2.0 * self._terms[0] / self._terms[1] ** 2) - self.mean() ** 2

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of the exponentials."""
        return graded([0.0, *(x / d for d in self.drains for x in (1e-7, 0.7, 4.6, 16.0, 37.0))], 0.0)

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(np.exp(-np.multiply.outer(t, self._terms[1])) @ self._terms[0])

    def _cdf(self, t: Array) -> Array:
        none = 1.0 - math.fsum(self.weights)
        return np.asarray(none - np.expm1(-np.multiply.outer(t, self._terms[1])) @ self._terms[0])

    def _pdf(self, t: Array) -> Array:
        return np.asarray(np.exp(-np.multiply.outer(t, self._terms[1])) @ (self._terms[0] * self._terms[1]))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(rng.random(shape))


class PhasedResponse(PhasedWait):
    """Such a wait plus an independent exponential service.

    ccdf e^{-mu t} + sum_i w_i mu (e^{-d_i t} - e^{-mu t}) / (mu - d_i). Exact.
    """

    rate: float = parameter(
        default=100.0, domain=Real(), unit="1/s", symbol="μ", about="the rate of the exponential service"
    )

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """None."""
        return ()

    def mean(self) -> float:
        """1/mu and the wait's."""
        return 1.0 / self.rate + super().mean()

    def variance(self) -> float:
        """1/mu^2 and the wait's."""
        return 1.0 / self.rate**2 + math.fsum(2.0 * self._terms[0] / self._terms[1] ** 2) - super().mean() ** 2

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of all exponentials and of their sum."""
        scales = [1.0 / self.rate, *(1.0 / d for d in self.drains)]
        scales.append(sum(scales))
        return graded([0.0, *(x * scale for scale in scales for x in (1e-7, 0.7, 4.6, 16.0, 37.0))], 0.0)

    def _late(self, t: Array) -> Array:
        """What the wait adds to the ccdf."""
        each = both(np.asarray(t)[..., None], self.rate, self._terms[1])
        return np.asarray(self.rate * (each @ self._terms[0]))

    def _ccdf(self, t: Array) -> Array:
        return np.exp(-self.rate * t) + self._late(t)

    def _cdf(self, t: Array) -> Array:
        return np.asarray(np.maximum(0.0, -np.expm1(-self.rate * t) - self._late(t)))

    def _pdf(self, t: Array) -> Array:
        after = both(np.asarray(t)[..., None], self.rate, self._terms[1]) @ (self._terms[0] * self._terms[1])
        none = (1.0 - math.fsum(self.weights)) * np.exp(-self.rate * t)
        return np.asarray(self.rate * (none + after))
