"""Latencies with a heavy tail, by their mean and shape."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from scaling_models.domains import Real
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.kinds import MEAN, TIMES
from scaling_models.parameters import Slider, parameter


class LogNormal(Distribution):
    """e^N with N normal: sigma^2 = log(1 + scv), mu = log(m) - sigma^2/2. Heavy-tailed, all moments finite."""

    mean_: float = parameter(
        default=0.010, alias="mean", domain=Real(), unit="s", symbol="1/μ", about=MEAN, slider=TIMES
    )
    scv: float = parameter(
        default=1.0, domain=Real(), symbol="c²", about="variance over mean squared", slider=Slider(0.5, 20, 0.5)
    )

    def mean(self) -> float:
        """The parameter m."""
        return self.mean_

    def variance(self) -> float:
        """scv times m squared."""
        return self.scv * self.mean_**2

    @property
    def _sigma(self) -> float:
        return math.sqrt(math.log1p(self.scv))

    @property
    def _mu(self) -> float:
        return math.log(self.mean_) - math.log1p(self.scv) / 2.0

    def _z(self, t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return (np.log(t) - self._mu) / self._sigma

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(special.ndtr(-self._z(t)))

    def _cdf(self, t: Array) -> Array:
        return np.asarray(special.ndtr(self._z(t)))

    def _pdf(self, t: Array) -> Array:
        safe = np.maximum(t, 1e-300)
        z = self._z(safe)
        return np.exp(-0.5 * z * z) / (safe * self._sigma * math.sqrt(2.0 * math.pi))

    def _icdf(self, q: Array) -> Array:
        return np.exp(self._mu + self._sigma * special.ndtri(q))

    def _iccdf(self, p: Array) -> Array:
        return np.exp(self._mu - self._sigma * special.ndtri(p))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.exp(self._mu + self._sigma * rng.standard_normal(shape))


class Pareto(Distribution):
    """Type I: ccdf (t0/t)^a for t >= t0 = m (a - 1)/a. The variance is infinite for a <= 2."""

    mean_: float = parameter(
        default=0.010, alias="mean", domain=Real(), unit="s", symbol="1/μ", about=MEAN, slider=TIMES
    )
    tail_index: float = parameter(
        default=2.5,
        domain=Real(1.0),
        symbol="α",
        about="the order below which moments exist",
        slider=Slider(1.5, 5, 0.1),
    )

    @property
    def _least(self) -> float:
        return self.mean_ * (self.tail_index - 1.0) / self.tail_index

    @property
    def support(self) -> tuple[float, float]:
        """From t0 on."""
        return (self._least, math.inf)

    def mean(self) -> float:
        """The parameter m."""
        return self.mean_

    def variance(self) -> float:
        """m squared over a (a - 2), infinite for a <= 2."""
        a = self.tail_index
        return self.mean_**2 / (a * (a - 2.0)) if a > 2 else math.inf

    def _ccdf(self, t: Array) -> Array:
        return (self._least / np.maximum(t, self._least)) ** self.tail_index

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(self.tail_index * np.log(self._least / np.maximum(t, self._least)))

    def _pdf(self, t: Array) -> Array:
        inside = np.maximum(t, self._least)
        return np.where(t < self._least, 0.0, self.tail_index / inside * (self._least / inside) ** self.tail_index)

    def _icdf(self, q: Array) -> Array:
        return self._iccdf(1.0 - q)

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._least * p ** (-1.0 / self.tail_index)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._least * np.exp(rng.standard_exponential(shape) / self.tail_index)
