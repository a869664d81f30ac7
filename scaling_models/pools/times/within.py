"""A latency of which only what ends in time is kept."""

from __future__ import annotations

import numpy as np

from scaling_models.domains import Real
from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter


class Within(Distribution):
    """A latency T given that T <= limit: ccdf (S(t) - S(limit)) / (1 - S(limit)). Exact.

    The limit must leave some of it: ValueError where P(T <= limit) = 0.
    """

    distribution: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", about="the latency without a limit"
    )
    limit: float = parameter(default=0.100, domain=Real(), unit="s", symbol="τ", about="what ends later is left out")

    def _check(self) -> None:
        if not self.distribution.cdf(self.limit) > 0:
            raise ValueError(f"Within.limit must leave something of the distribution; got {self.limit!r} s")

    @property
    def _share(self) -> float:
        return float(self.distribution.cdf(self.limit))

    @property
    def support(self) -> tuple[float, float]:
        """To the limit at most."""
        low, high = self.distribution.support
        return (low, min(high, self.limit))

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Those up to the limit, grown by what was left out."""
        return tuple((place, mass / self._share) for place, mass in self.distribution.atoms if place <= self.limit)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Those before the limit, and the limit."""
        return (*(kink for kink in self.distribution.kinks if kink < self.support[1]), self.support[1])

    @property
    def hidden_atoms(self) -> bool:
        """Those of the whole."""
        return self.distribution.hidden_atoms

    @property
    def depth(self) -> int:
        """That of the whole."""
        return self.distribution.depth

    @property
    def cuts(self) -> Array:
        """Those before the limit, and the limit."""
        cuts = self.distribution.cuts
        return graded([*cuts[cuts < self.limit], *self.kinks], self.support[0])

    def _ccdf(self, t: Array) -> Array:
        rest = self.distribution._ccdf(t) - self.distribution._ccdf(np.asarray(self.limit))
        return np.where(t < self.limit, np.maximum(rest, 0.0) / self._share, 0.0)

    def _cdf(self, t: Array) -> Array:
        return np.where(t < self.limit, self.distribution._cdf(t) / self._share, 1.0)

    def _pdf(self, t: Array) -> Array:
        return np.where(t < self.limit, self.distribution._pdf(t) / self._share, 0.0)

    def _icdf(self, q: Array) -> Array:
        return np.asarray(np.minimum(self.distribution.icdf(q * self._share), self.limit))

    def _iccdf(self, p: Array) -> Array:
        late = float(self.distribution.ccdf(self.limit))
        return np.asarray(np.minimum(self.distribution.iccdf(np.minimum(p * self._share + late, 1.0)), self.limit))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        drawn = np.array(self.distribution._draw(shape, rng))
        while (late := drawn > self.limit).any():
            drawn[late] = self.distribution._draw((int(late.sum()),), rng)
        return drawn
