"""The response time of a processor-sharing server with exponential service."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.sharing import below_capacity, shared_mean, sharing_spectrum


class ExponentialSharing(Distribution):
    """The response time of M/M/k with processor sharing; see `sharing_spectrum`. Exact."""

    arrival_rate: float = parameter(
        default=80.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving at the server"
    )
    rate: float = parameter(
        default=100.0, domain=Real(), unit="1/s", symbol="μ", about="the rate of the exponential service"
    )
    workers: int = parameter(
        default=1, domain=Integer(1, 10**4), unit="workers", symbol="k", about="requests served at full speed at once"
    )

    def _check(self) -> None:
        below_capacity(type(self).__name__, self.arrival_rate / self.rate / self.workers)

    @functools.cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        return sharing_spectrum(self.arrival_rate, self.rate, self.workers)

    def mean(self) -> float:
        """That of M/M/k."""
        return shared_mean(self.arrival_rate, 1.0 / self.rate, self.workers)

    def variance(self) -> float:
        """2 sum p/w^2 - (sum p/w)^2 over the exponentials that it mixes."""
        rates, weights = self._spectrum
        return float(2.0 * (weights / rates**2).sum() - (weights / rates).sum() ** 2)

    @functools.cached_property
    def cuts(self) -> Array:
        """Graded from the service to the slowest exponential that weighs."""
        return graded([0.0, 1e-7 / self.rate, 0.1 / self.rate, 37.0 / self._spectrum[0].min()], 0.0)

    def _mixed(self, t: Array, weights: Array) -> Array:
        rates = self._spectrum[0]
        return np.asarray(np.exp(np.multiply.outer(-t, rates)) @ weights)

    def _ccdf(self, t: Array) -> Array:
        return self._mixed(t, self._spectrum[1])

    def _cdf(self, t: Array) -> Array:
        rates, weights = self._spectrum
        return np.asarray(-np.expm1(np.multiply.outer(-t, rates)) @ weights)

    def _pdf(self, t: Array) -> Array:
        rates, weights = self._spectrum
        return self._mixed(t, weights * rates)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        rates, weights = self._spectrum
        drawn = rng.choice(len(rates), size=shape, p=weights / weights.sum())
        return np.asarray(rng.standard_exponential(shape) / rates[drawn])
