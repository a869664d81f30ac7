"""A latency with a copy in reserve."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Real
from scaling_models.latency.affine import Shifted
from scaling_models.latency.composed import Composed
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Slider, parameter


class Hedge(Composed):
    """A copy sent after a delay, the first answer taken: ccdf S(t) before it, then S(t) S(t - after).

    The copy draws its own, independent time. Where the time belongs to the job (a large answer), a copy gains less.
    """

    distribution: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", about="the time of either copy")
    after: float = parameter(
        default=0.020,
        domain=Real(open_low=False),
        unit="s",
        symbol="d",
        about="when the second copy is sent",
        slider=Slider(0.0, 0.2, 0.005),
    )

    @functools.cached_property
    def _parts(self) -> tuple[Distribution, ...]:
        return (self.distribution, Shifted(self.distribution, self.after))

    @property
    def support(self) -> tuple[float, float]:
        """The part's: a copy can only help."""
        return self.distribution.support

    @property
    def tail_index(self) -> float:
        """Twice the part's: both copies have to be late."""
        return 2.0 * self.distribution.tail_index

    @property
    def lost(self) -> float:
        """The part's, squared."""
        return self.distribution.lost**2

    def _ccdf(self, t: Array) -> Array:
        first, second = self._parts
        return first._ccdf(t) * second._ccdf(t)

    def _cdf(self, t: Array) -> Array:
        first, second = self._parts
        done = first._cdf(t)
        return done + (1.0 - done) * second._cdf(t)

    def _pdf(self, t: Array) -> Array:
        first, second = self._parts
        return first._pdf(t) * second._ccdf(t) + second._pdf(t) * first._ccdf(t)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        first, second = self._parts
        return np.minimum(first._draw(shape, rng), second._draw(shape, rng))
