"""The response time of M/M/c as a distribution: exponential service after an atom-or-exponential wait."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import elementwise

from scaling_models.domains import Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter


def response_ccdf(t: Any, rate: Any, drain: Any, probability_of_wait: Any) -> Any:
    """P(wait + service > t) where service is exponential with `rate`, and the wait 0 or exponential with `drain` (1/s).

    e^{-mu t} + C mu t e^{-min(mu, d) t} exprel(-|d - mu| t): neither d = mu nor overflow is special. Shapes broadcast.
    Exact; Cooper, Introduction to Queueing Theory, section 3.3, integrated.
    """
    return np.exp(-rate * t) + probability_of_wait * rate * both(t, rate, drain)


def both(t: Any, rate: Any, drain: Any) -> Any:
    """(e^{-dt} - e^{-mu t})/(mu - d): the density of the sum of both exponentials, over mu d."""
    return t * np.exp(-np.minimum(rate, drain) * t) * special.exprel(-np.abs(drain - rate) * t)


class ErlangResponse(Distribution):
    """Wait and service of M/M/c; see `response_ccdf`. Exact."""

    rate: float = parameter(
        default=100.0, domain=Real(), unit="1/s", symbol="μ", about="the rate of the exponential service"
    )
    drain: float = parameter(
        default=50.0, domain=Real(), unit="1/s", symbol="cμ - λ", about="the rate of the wait, given that there is one"
    )
    probability_of_wait: float = parameter(
        default=0.5, domain=Real(0, 1, open_low=False, open_high=False), symbol="C", about="how often there is a wait"
    )

    def mean(self) -> float:
        """1/mu + C/d."""
        return 1.0 / self.rate + self.probability_of_wait / self.drain

    def variance(self) -> float:
        """1/mu^2 + C (2 - C)/d^2."""
        return 1.0 / self.rate**2 + self.probability_of_wait * (2.0 - self.probability_of_wait) / self.drain**2

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of both exponentials and of their sum."""
        scales = (1.0 / self.rate, 1.0 / self.drain, 1.0 / self.rate + 1.0 / self.drain)
        return graded([0.0, *(x * scale for scale in scales for x in (1e-7, 0.7, 4.6, 16.0, 37.0))], 0.0)

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(response_ccdf(t, self.rate, self.drain, self.probability_of_wait))

    def _cdf(self, t: Array) -> Array:
        late = self.probability_of_wait * self.rate * both(t, self.rate, self.drain)
        return np.asarray(np.maximum(0.0, -np.expm1(-self.rate * t) - late))

    def _pdf(self, t: Array) -> Array:
        after_wait = self.drain * both(t, self.rate, self.drain)
        none = (1.0 - self.probability_of_wait) * np.exp(-self.rate * t)
        return np.asarray(self.rate * (none + self.probability_of_wait * after_wait))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        waits = (rng.random(shape) < self.probability_of_wait) * rng.standard_exponential(shape) / self.drain
        return rng.standard_exponential(shape) / self.rate + waits

    @classmethod
    def icdf_of(cls, latencies: Sequence[Distribution], q: Array) -> Array:
        """All at once: one bracketing root search over (latencies, levels)."""
        said = np.array(
            [[getattr(each, name) for name in ("rate", "drain", "probability_of_wait")] for each in latencies]
        )
        rate, drain, chance = (column[:, None] for column in said.T)
        level = np.broadcast_to(1.0 - q, (len(latencies), len(q)))

        def above(t: Array, rate: Array, drain: Array, chance: Array, level: Array) -> Array:
            return np.asarray(np.log(response_ccdf(t, rate, drain, chance) / level))

        # P(S + W > t) <= P(S > t/2) + P(W > t/2) <= 2 e^{-min(mu, d) t/2} bounds the root from above.
        high = 2.0 * np.log(2.0 / level) / np.minimum(rate, drain)
        columns = np.broadcast_arrays(rate, drain, chance, level)
        found = elementwise.find_root(above, (np.zeros_like(high), high), args=tuple(columns))
        return np.asarray(found.x)
