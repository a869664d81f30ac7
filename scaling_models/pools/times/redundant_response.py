"""The response of redundancy-d among very many servers, as a distribution."""

from __future__ import annotations

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter


class RedundantResponse(Distribution):
    """ccdf (rho + (1 - rho) e^{(d - 1) t / s})^{-d/(d - 1)}: exponential copies at d of N servers, N to infinity.

    Of d >= 2 copies. Gardner et al., Redundancy-d, Operations Research 2017, section 5.
    """

    scale: float = parameter(default=0.010, domain=Real(), unit="s", symbol="s", about="the mean service")
    load: float = parameter(default=0.4, domain=Real(0.0, 1.0), symbol="ρ", about="the load of a server")
    copies: int = parameter(default=2, domain=Integer(2, 10**6), symbol="d", about="servers that each is sent to")

    @property
    def _power(self) -> float:
        return self.copies / (self.copies - 1.0)

    @property
    def _rate(self) -> float:
        return (self.copies - 1.0) / self.scale

    def _logs(self, t: Array) -> Array:
        """log(rho + (1 - rho) e^x), without overflow."""
        x = self._rate * t
        return np.asarray(x + np.log1p(self.load * np.expm1(-x)))

    def _ccdf(self, t: Array) -> Array:
        return np.exp(-self._power * self._logs(t))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(-self._power * self._logs(t))

    def _pdf(self, t: Array) -> Array:
        share = (1.0 - self.load) / (1.0 + self.load * np.expm1(-self._rate * t))  # (1 - rho) e^x over the whole
        return np.asarray(self._power * self._rate * share * self._ccdf(t))

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            grown = -np.log(p) / self._power
        # log((p^{-1/k} - rho)/(1 - rho)), k the power; for tiny p the rho does not count.
        return np.asarray((grown + np.log1p(-self.load * np.exp(-grown)) - np.log1p(-self.load)) / self._rate)

    def _icdf(self, q: Array) -> Array:
        return self._iccdf(1.0 - q)

    @property
    def cuts(self) -> Array:
        """Quantiles of either end."""
        ends = self._iccdf(np.array([1.0 - 1e-7, 0.99, 0.5, 1e-2, 1e-7, 1e-16]))
        return graded([0.0, *ends], 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))
