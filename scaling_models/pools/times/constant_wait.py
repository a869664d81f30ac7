"""The wait of M/D/c as a distribution."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.latency.tables import Table
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.deterministic_queue import (
    Waiting,
    deterministic_wait_ccdf,
    deterministic_wait_pdf,
    deterministic_waiting,
)

ROUGH = 12  # at k D the derivative of order k c jumps: from here on nobody sees it
SCALES = (1e-7, 0.1, 0.7, 2.0, 4.6, 9.0, 16.0, 37.0)
NOBODY = 1e-200  # as good as: not tabulated
SHARP = 1e-11  # of the ccdf in the table that gives the density: a sum asks for it a hundred thousand times


class ConstantServiceWait(Distribution):
    """The wait of M/D/c: see `deterministic_wait_ccdf`. Exact."""

    arrival_rate: float = parameter(
        default=800.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving a second"
    )
    slots: int = parameter(default=10, domain=Integer(1, 10**10), unit="slots", symbol="c", about="slots of the pool")
    service: float = parameter(default=0.010, domain=Real(), unit="s", symbol="D", about="the time of every service")

    def _check(self) -> None:
        if not self.arrival_rate * self.service < self.slots:
            raise ValueError(
                f"ConstantServiceWait.arrival_rate must lie below slots / service = {self.slots / self.service:g} "
                f"requests/s; got {self.arrival_rate!r}"
            )

    @property
    def _waiting(self) -> Waiting:
        return deterministic_waiting(self.slots, self.arrival_rate * self.service)

    @functools.cached_property
    def _chance(self) -> float:
        """That there is a wait at all."""
        return float(self._ccdf(np.zeros(1))[0])

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Zero, for those who find a slot free."""
        return ((0.0, 1.0 - self._chance),)

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Zero, and the first few services."""
        return tuple(self.service * k for k in range(2 + ROUGH // self.slots))

    @functools.cached_property
    def cuts(self) -> Array:
        """The kinks, and a grading down to where next to nothing is left."""
        scale = 1.0 / (self.arrival_rate * (self._waiting.decay - 1.0))
        return graded([*self.kinks, *(x * scale for x in SCALES)], 0.0)

    def mean(self) -> float:
        """E[Q] / lambda, by Little's law."""
        return self._waiting.mean / self.arrival_rate

    def variance(self) -> float:
        """From E[Q (Q - 1)] = lambda^2 E[W^2], its distributional form (Haji and Newell 1971)."""
        return max(0.0, self._waiting.variance - self._waiting.mean) / self.arrival_rate**2

    def _ccdf(self, t: Array) -> Array:
        found = deterministic_wait_ccdf(np.ravel(t), self.arrival_rate, self.slots, self.service)
        return np.minimum(found, 1.0).reshape(np.shape(t))

    @functools.cached_property
    def _table(self) -> Table:
        """The ccdf, given that there is a wait."""
        return Table(lambda t: self._ccdf(t) / self._chance, self.cuts, SHARP)

    def _pdf(self, t: Array) -> Array:
        """From the table's slope, whose integral is as sharp as the ccdf; where next to nothing is left by itself."""
        flat = np.ravel(t)
        tabulated = self._chance > NOBODY
        found = self._chance * self._table.density(flat) if tabulated else np.empty(len(flat))
        far = flat >= self._table.high[-1] if tabulated else np.ones(len(flat), dtype=bool)
        if far.any():
            own = deterministic_wait_pdf(flat[far], self.arrival_rate, self.slots, self.service)
            found[far] = np.maximum(own, 0.0)
        return found.reshape(np.shape(t))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))
