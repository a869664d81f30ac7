"""The wait of the lower of two priority classes, overtaken by the higher, and the response after it."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.priorities import overtaken
from scaling_models.pools.times.responses import response_ccdf

FINEST = 1e-18  # weights below it are left out


class OvertakenWait(Distribution):
    """C sum_i w_i e^{-u_i t}, a mixture of exponentials; see `formulas.priorities.overtaken`. Exact.

    Before one server where the higher class interrupts, with C = 1: the response.
    """

    capacity: float = parameter(
        default=1000.0, domain=Real(), unit="requests/s", symbol="cμ", about="what all slots serve at most"
    )
    urgent_rate: float = parameter(
        default=160.0, domain=Real(), unit="requests/s", symbol="λ₁", about="requests of the higher class a second"
    )
    arrival_rate: float = parameter(
        default=800.0, domain=Real(), unit="requests/s", symbol="λ", about="requests of both classes a second"
    )
    probability_of_wait: float = parameter(
        default=0.4, domain=Real(0, 1, open_low=False, open_high=False), symbol="C", about="how often there is a wait"
    )

    def _check(self) -> None:
        if not self.urgent_rate < self.arrival_rate < self.capacity:
            raise ValueError(
                f"{type(self).__name__} must have urgent_rate < arrival_rate < capacity, in requests/s; got {self!r}"
            )

    @functools.cached_property
    def _terms(self) -> tuple[Array, Array]:
        """Rates (1/s) of the exponentials, and how often the wait is each, given that there is one."""
        rates, weights = overtaken(self.urgent_rate / self.capacity, self.arrival_rate / self.capacity)
        kept = weights > FINEST
        return rates[kept] * self.capacity, weights[kept] / weights[kept].sum()

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """No wait."""
        none = 1.0 - self.probability_of_wait
        return ((0.0, none),) if none > 0 else ()

    def _moment(self, order: int) -> float:
        """E[W^n | wait] / n!."""
        rates, weights = self._terms
        return float((weights / rates**order).sum())

    def mean(self) -> float:
        """C / (c mu (1 - rho) (1 - rho_1)), Cobham's."""
        return self.probability_of_wait * self._moment(1)

    def variance(self) -> float:
        """That of the mixture."""
        chance = self.probability_of_wait
        return 2.0 * chance * self._moment(2) - (chance * self._moment(1)) ** 2

    @functools.cached_property
    def cuts(self) -> Array:
        """By the slowest and the fastest of the exponentials."""
        rates = self._terms[0]
        return graded([0.0, 1e-7 / rates.max(), 1.0 / rates.max(), 37.0 / rates.min(), *self._scales], 0.0)

    @property
    def _scales(self) -> Array:
        return np.array([0.2, 1.0, 3.0, 10.0]) * self._moment(2) / self._moment(1)

    def _ccdf(self, t: Array) -> Array:
        rates, weights = self._terms
        with np.errstate(under="ignore"):
            return np.asarray(self.probability_of_wait * (np.exp(-np.multiply.outer(t, rates)) @ weights))

    def _pdf(self, t: Array) -> Array:
        rates, weights = self._terms
        with np.errstate(under="ignore"):
            return np.asarray(self.probability_of_wait * (np.exp(-np.multiply.outer(t, rates)) @ (weights * rates)))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        rates, weights = self._terms
        which = rng.choice(len(rates), shape, p=weights)
        waits = rng.random(shape) < self.probability_of_wait
        return waits * rng.standard_exponential(shape) / rates[which]


class OvertakenResponse(OvertakenWait):
    """Such a wait plus an independent exponential service. Exact."""

    rate: float = parameter(
        default=100.0, domain=Real(), unit="1/s", symbol="μ", about="the rate of the exponential service"
    )

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """None."""
        return ()

    def mean(self) -> float:
        """The wait's and the service's."""
        return super().mean() + 1.0 / self.rate

    def variance(self) -> float:
        """The wait's and the service's."""
        return super().variance() + 1.0 / self.rate**2

    @property
    def _scales(self) -> Array:
        return np.append(super()._scales, np.array([0.05, 1.0, 3.0, 10.0, 37.0]) / self.rate)

    def _ccdf(self, t: Array) -> Array:
        rates, weights = self._terms
        with np.errstate(under="ignore"):
            each = response_ccdf(np.asarray(t)[..., None], self.rate, rates, self.probability_of_wait)
        return np.asarray(each @ weights)

    def _pdf(self, t: Array) -> Array:
        """mu P(in service): what is left of the response when the wait is over."""
        return self.rate * np.maximum(0.0, self._ccdf(t) - super()._ccdf(t))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return super()._draw(shape, rng) + rng.standard_exponential(shape) / self.rate
