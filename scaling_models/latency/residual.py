"""What is left of a time that is found under way: its equilibrium distribution."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import gauss, graded
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import parameter
from scaling_models.wording import short

NODES = 12
RATIO = 1.5  # of the ends of a panel beyond the last cut
REACH = 60  # such panels


class Residual(Distribution):
    """The rest of a renewed time T, looked at in the long run: ccdf E[(T - t)+] / E T, density P(T > t) / E T.

    By Gauss nodes between the cuts of T, from the tail on, so that it keeps its relative precision there: to about
    1e-8. Cox, Renewal Theory (1962), section 5.2. Raises ValueError where T has no finite mean above 0.
    """

    time: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", symbol="T", about="the whole time")

    def _check(self) -> None:
        if not 0.0 < self.time.mean() < math.inf:
            raise ValueError(f"Residual.time must have a finite mean above 0 s; got {short(self.time)}")

    @property
    def support(self) -> tuple[float, float]:
        """From nothing to the longest time."""
        return (0.0, self.time.support[1])

    @property
    def kinks(self) -> tuple[float, ...]:
        """The start, and the kinks of the time."""
        return (0.0, *(kink for kink in self.time.kinks if kink > 0.0))

    @property
    def tail_index(self) -> float:
        """One less than the time's."""
        return self.time.tail_index - 1.0

    @property
    def depth(self) -> int:
        """The time's."""
        return self.time.depth

    @property
    def costly(self) -> bool:
        """True: each value is an integral."""
        return True

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of the time, from zero on."""
        return graded(np.append(0.0, self.time.cuts), 0.0)

    @functools.cached_property
    def _edges(self) -> tuple[Array, Array]:
        """Ends of panels, and the integral of the time's ccdf from each of them on."""
        known = np.append(0.0, self.time.atom_table[0]) if self.time.discrete else self.cuts
        edges = known[:-1] if known[-1] == known[-2] else known
        last, end = float(edges[-1]), self.time.support[1]
        if last < end:
            far = last * RATIO ** np.arange(1.0, REACH + 1.0)
            edges = np.concatenate([edges, far[far < end], [end] if math.isfinite(end) else []])
        mass = self._between(edges[:-1], edges[1:])
        rest = 0.0
        if math.isfinite(self.time.tail_index) and math.isinf(end):
            rest = float(edges[-1] * self.time._ccdf(edges[-1:])[0]) / (self.time.tail_index - 1.0)
        return edges, np.append(np.cumsum(mass[::-1])[::-1] + rest, rest)

    def _between(self, low: Array, high: Array) -> Array:
        width = high - low
        if self.time.discrete:  # between two edges nothing ends
            return np.asarray(self.time._ccdf(low) * width)
        x, w = gauss(NODES)
        return np.asarray((self.time._ccdf(low[..., None] + width[..., None] * x) @ w) * width)

    def _ccdf(self, t: Array) -> Array:
        edges, left = self._edges
        at = np.searchsorted(edges, t, side="right")
        inside = at < len(edges)
        after = np.minimum(at, len(edges) - 1)
        whole = left[after] + self._between(np.minimum(t, edges[after]), edges[after])
        if math.isinf(self.time.tail_index) or math.isfinite(self.time.support[1]):
            beyond = np.zeros(np.shape(t))
        else:
            beyond = left[-1] * (np.maximum(t, edges[-1]) / edges[-1]) ** (1.0 - self.time.tail_index)
        return np.asarray(np.minimum(np.where(inside, whole, beyond) / left[0], 1.0))

    def _pdf(self, t: Array) -> Array:
        return np.asarray(self.time._ccdf(t) / self.time.mean())

    def mean(self) -> float:
        """E T^2 / (2 E T)."""
        mean = self.time.mean()
        return (self.time.variance() / mean + mean) / 2.0

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self._icdf(rng.random(shape)))
