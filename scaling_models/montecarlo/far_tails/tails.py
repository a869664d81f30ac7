"""Far tails as simulated: what independent runs say about P(T > t), and the gain over plain simulation."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, from_batches, student

PRECISION = 1e-9  # of a quantile, as a share of the reach


class RareTail:
    """Base: a tail known from independent replications, each of which gives an unbiased P(T > t) at every t.

    A kind gives `contributions(t)`, one value a replication, and the `reach` (seconds) up to which it was run.
    """

    reach: float

    def contributions(self, t: float) -> Array:
        """What each replication says of P(T > t), for 0 <= t <= reach."""
        raise NotImplementedError

    def ccdf_estimate(self, t: float) -> Estimate:
        """P(T > t) with its error, from how the replications differ."""
        if not t <= self.reach:
            raise ValueError(
                f"this tail was simulated up to {self.reach:.6g} s only; got {t!r}: ask for a smaller tail"
            )
        return from_batches(self.contributions(max(t, 0.0))) if t >= 0 else Estimate(1.0, 0.0, 1)

    def ccdf(self, t: ArrayLike) -> Any:
        """P(T > t)."""
        times = np.asarray(t, dtype=float)
        return np.array([self.ccdf_estimate(float(each)).value for each in times.flat]).reshape(times.shape)[()]

    def cdf(self, t: ArrayLike) -> Any:
        """P(T <= t)."""
        return 1.0 - self.ccdf(t)

    def iccdf(self, p: ArrayLike) -> Any:
        """The upper quantile: the least t with P(T > t) <= p, for p from the smallest that was asked for to 1."""
        levels = np.asarray(p, dtype=float)
        return np.array([self._quantile(float(level)) for level in levels.flat]).reshape(levels.shape)[()]

    def icdf(self, q: ArrayLike) -> Any:
        """The quantile at q in [0, 1)."""
        return self.iccdf(1.0 - np.asarray(q, dtype=float))

    def _quantile(self, p: float) -> float:
        if not 0 < p <= 1:
            raise ValueError(f"the level p must lie in (0, 1]; got {p!r}")
        least = float(self.ccdf(self.reach))
        if least > p:
            raise ValueError(f"this tail was simulated down to {least:.3g} only; got {p!r}")
        if self.ccdf(0.0) <= p:
            return 0.0

        def above(t: float) -> float:
            return math.log(max(float(self.ccdf(t)), 1e-300) / p)

        return float(optimize.brentq(above, 0.0, self.reach, xtol=PRECISION * self.reach, rtol=1e-15))

    def interval(self, q: float, confidence: float = 0.95) -> tuple[float, float]:
        """An interval of the quantile: the quantiles as far above and below 1 - q, in logs, as P(T > t) errs there."""
        p = 1.0 - q
        found = self.ccdf_estimate(self._quantile(p))
        if not found.value > 0:
            return (0.0, math.inf)
        factor = math.exp(student(confidence, found.freedom) * found.error / found.value)
        low = self._quantile(min(p * factor, 1.0))
        return (low, self._quantile(p / factor) if self.ccdf(self.reach) <= p / factor else math.inf)


@dataclasses.dataclass(frozen=True, eq=False)
class Behind(RareTail):
    """The sum of a time whose tail was simulated and an independent one whose ccdf is known.

    P(W + S > t) = E ccdf_S(t - W), which is 1 for W > t: `expected` takes the mean of a function over each
    replication's law of W.
    """

    reach: float
    expected: Callable[[Callable[[Array], Array]], Array]
    service: Distribution

    def contributions(self, t: float) -> Array:
        """What each replication says of P(W + S > t)."""
        return self.expected(lambda wait: np.asarray(self.service.ccdf(t - wait)))


@dataclasses.dataclass(frozen=True)
class Gain:
    """How much less time rare-event simulation takes than plain simulation for the same error of P(T > t)."""

    value: float
    estimate: Estimate
    seconds: float
    plain_seconds: float

    def __float__(self) -> float:
        return self.value


def gain(rare: Callable[[], Estimate], plain: Callable[[], int]) -> Gain:
    """(p (1 - p) x plain seconds a customer) / (error squared x rare seconds), processor time measured here.

    `rare` estimates p from its start to its end, `plain` simulates and says how many customers. Plain customers count
    as independent, which they are not: where waits come in clusters, the true gain is larger.
    """
    begun = time.process_time()
    found = rare()
    between = time.process_time()
    customers = plain()
    each = (time.process_time() - between) / customers
    seconds = between - begun
    p = found.value
    return Gain(p * (1.0 - p) * each / (found.error**2 * seconds), found, seconds, each)
