"""Latencies with a density and a light tail. A new kind is one class and one line in the package's KINDS."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from scaling_models.domains import Integer, Real
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.phases import Phases, in_branches, in_stages
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import Slider, parameter

TIMES = Slider(0.001, 1.0, 0.05, log=True)  # 1 ms to 1 s in steps of 0.05 decades, which 10 ms lies on
MEAN = "the mean time"
MOST_PHASES = 2_000  # of an Erlang distribution: their matrix takes 32 MB


class Exponential(Distribution):
    """Memoryless: ccdf e^{-t/m}."""

    mean_: float = parameter(
        default=0.010, alias="mean", domain=Real(), unit="s", symbol="1/μ", about=MEAN, slider=TIMES
    )

    def mean(self) -> float:
        """The parameter m."""
        return self.mean_

    def variance(self) -> float:
        """m squared."""
        return self.mean_**2

    @property
    def phases(self) -> Phases:
        """One."""
        return in_stages(1, 1.0 / self.mean_)

    def _ccdf(self, t: Array) -> Array:
        return np.exp(-t / self.mean_)

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(-t / self.mean_)

    def _pdf(self, t: Array) -> Array:
        return np.exp(-t / self.mean_) / self.mean_

    def _icdf(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return -self.mean_ * np.log1p(-q)

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.maximum(0.0, -self.mean_ * np.log(p))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        drawn = rng.standard_exponential(shape)
        drawn *= self.mean_
        return drawn


class Erlang(Distribution):
    """The sum of k equal exponential stages: ccdf Q(k, k t/m), scv 1/k."""

    mean_: float = parameter(
        default=0.010, alias="mean", domain=Real(), unit="s", symbol="1/μ", about=MEAN, slider=TIMES
    )
    stages: int = parameter(
        default=2,
        domain=Integer(1, 10**6),
        unit="stages",
        symbol="k",
        about="how many exponential stages",
        slider=Slider(1, 20, 1),
    )

    def mean(self) -> float:
        """The parameter m."""
        return self.mean_

    def variance(self) -> float:
        """m squared over the stages."""
        return self.mean_**2 / self.stages

    @property
    def phases(self) -> Phases | None:
        """The stages, unless they are so many that their matrix fills the memory."""
        return in_stages(self.stages, 1.0 / self._stage) if self.stages <= MOST_PHASES else None

    @property
    def _stage(self) -> float:
        return self.mean_ / self.stages

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(special.gammaincc(self.stages, t / self._stage))

    def _cdf(self, t: Array) -> Array:
        return np.asarray(special.gammainc(self.stages, t / self._stage))

    def _pdf(self, t: Array) -> Array:
        x = t / self._stage
        return np.exp(special.xlogy(self.stages - 1, x) - x - special.gammaln(self.stages)) / self._stage

    def _icdf(self, q: Array) -> Array:
        return np.asarray(special.gammaincinv(self.stages, q)) * self._stage

    def _iccdf(self, p: Array) -> Array:
        return np.asarray(special.gammainccinv(self.stages, p)) * self._stage

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.standard_gamma(self.stages, shape) * self._stage


class Hyperexponential(Distribution):
    """Two exponential branches with balanced means, p m1 = (1 - p) m2, for scv >= 1.

    p = (1 + sqrt((scv - 1)/(scv + 1)))/2, rates 2p/m and 2(1 - p)/m.
    """

    mean_: float = parameter(
        default=0.010, alias="mean", domain=Real(), unit="s", symbol="1/μ", about=MEAN, slider=TIMES
    )
    scv: float = parameter(
        default=4.0,
        domain=Real(1.0, open_low=False),
        symbol="c²",
        about="variance over mean squared",
        slider=Slider(1, 20, 0.5),
    )

    def mean(self) -> float:
        """The parameter m."""
        return self.mean_

    def variance(self) -> float:
        """scv times m squared."""
        return self.scv * self.mean_**2

    @functools.cached_property
    def branches(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The two."""
        p = (1.0 + math.sqrt((self.scv - 1.0) / (self.scv + 1.0))) / 2.0
        rest = 1.0 / (2.0 * (self.scv + 1.0) * p)  # 1 - p without cancellation: p (1 - p) = 1 / (2 (scv + 1))
        return ((p, 2.0 * p / self.mean_), (rest, 2.0 * rest / self.mean_))

    @property
    def phases(self) -> Phases:
        """The branches."""
        weights, rates = zip(*self.branches, strict=True)
        return in_branches(weights, [in_stages(1, rate) for rate in rates])

    def _ccdf(self, t: Array) -> Array:
        (p, fast), (r, slow) = self.branches
        return p * np.exp(-fast * t) + r * np.exp(-slow * t)

    def _cdf(self, t: Array) -> Array:
        (p, fast), (r, slow) = self.branches
        return -(p * np.expm1(-fast * t) + r * np.expm1(-slow * t))

    def _pdf(self, t: Array) -> Array:
        (p, fast), (r, slow) = self.branches
        return p * fast * np.exp(-fast * t) + r * slow * np.exp(-slow * t)

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of both branches."""
        levels = (1e-7, 0.7, 4.6, 16.0, 37.0)
        return graded([0.0, *(x / rate for _, rate in self.branches for x in levels)], 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        (p, fast), (_, slow) = self.branches
        branch = rng.random((*shape, 2))  # both draws of a request from one call: chunks of any size agree
        rate = np.where(branch[..., 0] < p, fast, slow)
        return -np.log1p(-branch[..., 1]) / rate


class Uniform(Distribution):
    """Evenly between two times."""

    low: float = parameter(
        default=0.005,
        domain=Real(open_low=False),
        unit="s",
        symbol="a",
        about="the least time",
        slider=Slider(0, 0.1, 0.001),
    )
    high: float = parameter(
        default=0.020, domain=Real(), unit="s", symbol="b", about="the largest time", slider=Slider(0.001, 0.2, 0.001)
    )

    def _check(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"Uniform.low must lie below high = {self.high:g} s; got {self.low!r}")

    @property
    def support(self) -> tuple[float, float]:
        """From low to high."""
        return (self.low, self.high)

    def mean(self) -> float:
        """Half way."""
        return (self.low + self.high) / 2.0

    def variance(self) -> float:
        """The width squared over twelve."""
        return (self.high - self.low) ** 2 / 12.0

    def _ccdf(self, t: Array) -> Array:
        return np.clip((self.high - t) / (self.high - self.low), 0.0, 1.0)

    def _cdf(self, t: Array) -> Array:
        return np.clip((t - self.low) / (self.high - self.low), 0.0, 1.0)

    def _pdf(self, t: Array) -> Array:
        return np.where((t >= self.low) & (t <= self.high), 1.0 / (self.high - self.low), 0.0)

    def _icdf(self, q: Array) -> Array:
        return self.low + (self.high - self.low) * q

    def _iccdf(self, p: Array) -> Array:
        return self.high - (self.high - self.low) * p

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, shape)
