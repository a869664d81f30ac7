"""The time in a queue that impatient clients leave: of all, of those who are served, and of those who give up."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Choice, Real
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.losses import Impatience

LEVELS = np.array([1.0 - 1e-7, 0.999, 0.97, 0.75, 0.5, 0.25, 0.03, 1e-3, 1e-5, 1e-7, 1e-10, 1e-13, 1e-16])  # of cuts
ROUNDS, SECTIONS = 8, 32  # of the search for them


class ImpatientWait(Distribution):
    """Time in the queue of M/M/c+M (Erlang A); see `formulas.losses.Impatience`. Exact.

    P(x, z) being the lower incomplete gamma function, x = c mu/theta and z = lambda/theta e^{-theta t}, the offered
    wait exceeds t with probability C P(x, z)/P(x, z_0), and so long as the patience does, nobody has left by then.
    """

    capacity: float = parameter(
        default=1000.0, domain=Real(), unit="requests/s", symbol="cμ", about="what all slots serve at most"
    )
    arrival_rate: float = parameter(
        default=900.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving a second"
    )
    patience: float = parameter(default=0.1, domain=Real(), unit="s", symbol="1/θ", about="the mean patience")
    probability_of_wait: float = parameter(
        default=0.5, domain=Real(0, 1, open_low=False, open_high=False), symbol="C", about="how often there is a wait"
    )
    of: str = parameter(
        default="all", domain=Choice(("all", "served", "abandoned")), about="whose time in the queue it is"
    )

    @functools.cached_property
    def _waiting(self) -> Impatience:
        return Impatience(self.capacity, self.arrival_rate, 1.0 / self.patience)

    @functools.cached_property
    def _abandoned(self) -> float:
        """P(abandoned)."""
        return self.probability_of_wait * (1.0 - float(self._waiting.served(np.array(0.0))))

    @property
    def _share(self) -> float:
        """How many of the requests it is of."""
        return {"all": 1.0, "served": 1.0 - self._abandoned, "abandoned": self._abandoned}[self.of]

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """No wait, of those who are served at once."""
        none = 0.0 if self.of == "abandoned" else (1.0 - self.probability_of_wait) / self._share
        return ((0.0, none),) if none > 0 else ()

    @functools.cached_property
    def cuts(self) -> Array:
        """Where the ccdf falls through graded levels, by narrowing."""
        aim = LEVELS * float(self._ccdf(np.array(0.0)))
        low, width = np.zeros(len(LEVELS)), 40.0 * self.patience  # which nobody outstays
        for _ in range(ROUNDS):
            width /= SECTIONS
            late = self._ccdf(low[:, None] + width * np.arange(1.0, SECTIONS)) > aim[:, None]
            low = low + width * late.sum(axis=1)
        high = low + width
        return graded([0.0, *high], 0.0)

    def _ccdf(self, t: Array) -> Array:
        waiting = self._waiting
        if self.of == "served":
            late = waiting.served(t)
        else:
            late = waiting.offered(t) * np.exp(-waiting.theta * t)
            if self.of == "abandoned":
                late = np.maximum(0.0, late - waiting.served(t))
        return np.asarray(self.probability_of_wait / self._share * late)

    def _pdf(self, t: Array) -> Array:
        waiting = self._waiting
        begin, leave = self.of != "abandoned", self.of != "served"
        ends = waiting.begins(t) if begin else np.zeros(np.shape(t))
        if leave:
            ends = ends + waiting.theta * waiting.offered(t)
        return np.asarray(self.probability_of_wait / self._share * np.exp(-waiting.theta * t) * ends)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self.icdf(rng.random(shape)))

    def mean(self) -> float:
        """Of all requests P(abandoned)/theta, for the waiting leave at rate theta each; else by quadrature."""
        return self._abandoned * self.patience if self.of == "all" else super().mean()
