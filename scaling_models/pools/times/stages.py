"""The wait behind a random number of requests at exponential servers, and the response after it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import elementwise

from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.stages import MOST, in_last_stage, poisson_average, poisson_averages

SPREAD = np.array([-6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 12.0, 24.0, 40.0])  # standard deviations about the mean
TRIMMED = 1e-30  # chances below it are left out


class StagedWait(Distribution):
    """A random number of exponential stages: k of them, each of rate r, with probability `chances[k - first]`.

    ccdf sum_k p_k Q(k, r t): who comes to c busy servers of rate mu and w waiting requests waits w + 1 stages of rate
    c mu. Exact.
    """

    rate: float = parameter(default=1000.0, domain=Real(), unit="1/s", symbol="r", about="the rate of a stage")
    chances: tuple[float, ...] = parameter(
        default=(0.5, 0.3, 0.2), domain=Rows(Real(open_low=False)), symbol="p", about="how often so many stages"
    )
    first: int = parameter(
        default=0, domain=Integer(0, 10**7), unit="stages", about="the number of stages that the first chance is of"
    )

    def _check(self) -> None:
        if abs(math.fsum(self.chances) - 1.0) > 1e-9:
            raise ValueError(f"{type(self).__name__}.chances must sum to 1; got {math.fsum(self.chances)!r}")

    @functools.cached_property
    def _chances(self) -> Array:
        return np.array(self.chances) / math.fsum(self.chances)

    @functools.cached_property
    def _later(self) -> Array:
        """P(more than k stages) for k from `first` on."""
        return np.cumsum(self._chances[::-1])[::-1] - self._chances

    @functools.cached_property
    def _count_moments(self) -> tuple[float, float]:
        """Mean and variance of the number of stages."""
        beyond = np.arange(len(self._chances))
        mean = float(self._chances @ beyond)
        return self.first + mean, float(self._chances @ (beyond - mean) ** 2)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """No stage: no time."""
        none = float(self._chances[0]) if self.first == 0 else 0.0
        return ((0.0, none),) if none > 0 else ()

    def mean(self) -> float:
        """Of the number of stages, over the rate."""
        return self._count_moments[0] / self.rate

    def variance(self) -> float:
        """(Mean + variance of the number of stages) over the rate squared."""
        return sum(self._count_moments) / self.rate**2

    @functools.cached_property
    def cuts(self) -> Array:
        """About the mean, by standard deviations, and by single stages."""
        about = self.mean() + SPREAD * math.sqrt(self.variance())
        return graded([0.0, *about[about > 0], *(np.array([1e-7, 0.7, 4.6, 37.0]) / self._slowest)], 0.0)

    @property
    def _slowest(self) -> float:
        return self.rate

    def _ccdf(self, t: Array) -> Array:
        return poisson_average(self.rate * t, self._later, self.first, before=1.0)

    def _pdf(self, t: Array) -> Array:
        begun = self._chances[1:] if self.first == 0 else self._chances
        if not len(begun):
            return np.zeros(np.shape(t))
        return self.rate * poisson_average(self.rate * t, begun, max(0, self.first - 1))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        stages = self.first + rng.choice(len(self._chances), shape, p=self._chances)
        return rng.standard_gamma(stages) / self.rate


class StagedResponse(StagedWait):
    """The same stages at `slots` busy slots, and then an exponential service of mean `slots` over the rate. Exact.

    By uniformisation: of the events at rate c mu that end the stages, every c-th on average ends the service.
    """

    slots: int = parameter(default=10, domain=Integer(1, 10**10), unit="slots", symbol="c", about="slots that serve")

    @property
    def _slowest(self) -> float:
        return self.rate / self.slots

    @property
    def _decay(self) -> float:
        return 1.0 - 1.0 / self.slots

    @functools.cached_property
    def _in_service(self) -> Array:
        return in_last_stage(self._chances, self._decay)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """None."""
        return ()

    def mean(self) -> float:
        """The wait's and the service's."""
        return super().mean() + 1.0 / self._slowest

    def variance(self) -> float:
        """The wait's and the service's."""
        return super().variance() + 1.0 / self._slowest**2

    def _ccdf(self, t: Array) -> Array:
        return poisson_average(self.rate * t, self._later + self._in_service, self.first, 1.0, self._decay)

    def _pdf(self, t: Array) -> Array:
        return self._slowest * poisson_average(self.rate * t, self._in_service, self.first, decay=self._decay)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return super()._draw(shape, rng) + rng.standard_exponential(shape) / self._slowest

    @classmethod
    def icdf_of(cls, latencies: Sequence[Distribution], q: Array) -> Array:
        """All at once, where they are not too many stages: one bracketing root search over (latencies, levels)."""
        parts = [each for each in latencies if isinstance(each, StagedResponse)]
        stages = max((each.first + len(each.chances) for each in parts), default=0)
        if len(parts) < len(latencies) or stages * len(parts) * len(q) > MOST or not ((q > 0) & (q < 1)).all():
            return super().icdf_of(latencies, q)
        values = np.array([each._after(stages) for each in parts])
        rates, decays = (np.array([getattr(each, name) for each in parts]) for name in ("rate", "_decay"))
        ends = np.array([float(each.cuts[-1]) for each in parts])

        def above(t: Array, place: Array, level: Array) -> Array:
            at = place.astype(int)
            return np.log(np.maximum(poisson_averages(rates[at] * t, values[at], decays[at]), 1e-300) / level)

        places = np.repeat(np.arange(float(len(parts))), len(q))
        args = (places, np.tile(1.0 - q, len(parts)))
        found = elementwise.find_root(above, (np.zeros(len(places)), np.repeat(ends, len(q))), args=args)
        return found.x.reshape(-1, len(q)) if found.success.all() else super().icdf_of(latencies, q)

    def _after(self, stages: int) -> Array:
        """P(more than k stages, or still in service then) for k = 0, 1, ... below `stages`."""
        told = self._later + self._in_service
        onward = told[-1] * self._decay ** np.arange(1.0, stages - self.first - len(told) + 1.0)
        return np.concatenate([np.ones(self.first), told, onward])


def staged(rate: float, chances: Array, slots: int) -> tuple[StagedWait, StagedResponse]:
    """Wait and response where k = 0, 1, ... stages of `rate` are met with `chances`; negligible ones left out."""
    kept = np.flatnonzero(chances > TRIMMED * chances.max())
    first, last = int(kept[0]), int(kept[-1]) + 1
    told = tuple((chances[first:last] / chances[first:last].sum()).tolist())
    return StagedWait(rate, told, first), StagedResponse(rate, told, first, slots)
