"""A latency moved or stretched: factor x T + by, with every face asked of the part."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Real
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.phases import Phases
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Slider, parameter
from scaling_models.wording import short


class Affine(Distribution):
    """Base: the part times `_scale` plus `_offset`."""

    distribution: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", about="the time that is changed")

    @property
    def _scale(self) -> float:
        return 1.0

    @property
    def _offset(self) -> float:
        return 0.0

    def _forth(self, t: Array) -> Array:
        return t * self._scale + self._offset

    # Going back from a time that was made by going forth may miss an atom by one rounding: stay on its right.
    def _back(self, t: Array) -> Array:
        away = (t - self._offset) / self._scale
        return (
            np.where(away < 0, away, away + 4e-16 * np.abs(t) / self._scale) if len(self.distribution.places) else away
        )

    @property
    def support(self) -> tuple[float, float]:
        """The part's, changed."""
        low, high = self.distribution.support
        return (low * self._scale + self._offset, high * self._scale + self._offset)

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The part's, changed."""
        return tuple((place * self._scale + self._offset, mass) for place, mass in self.distribution.atoms)

    @functools.cached_property
    def atom_table(self) -> tuple[Array, Array]:
        """The part's, changed."""
        places, masses = self.distribution.atom_table
        return self._forth(places), masses

    @property
    def places(self) -> Array:
        """The part's, changed."""
        return self._forth(self.distribution.places)

    @property
    def discrete(self) -> bool:
        """The part's."""
        return self.distribution.discrete

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The part's, changed."""
        return tuple(kink * self._scale + self._offset for kink in self.distribution.kinks)

    @functools.cached_property
    def cuts(self) -> Array:
        """The part's, changed."""
        return self._forth(self.distribution.cuts)

    @property
    def tail_index(self) -> float:
        """The part's."""
        return self.distribution.tail_index

    @property
    def lost(self) -> float:
        """The part's."""
        return self.distribution.lost

    @property
    def highest_level(self) -> float:
        """The part's."""
        return self.distribution.highest_level

    @property
    def mean_known(self) -> bool:
        """The part's."""
        return self.distribution.mean_known

    @property
    def depth(self) -> int:
        """The part's."""
        return self.distribution.depth

    @property
    def hidden_atoms(self) -> bool:
        """The part's."""
        return self.distribution.hidden_atoms

    @property
    def costly(self) -> bool:
        """The part's."""
        return self.distribution.costly

    def mean(self) -> float:
        """The part's, changed."""
        return self.distribution.mean() * self._scale + self._offset

    def variance(self) -> float:
        """The part's times the factor squared."""
        return self.distribution.variance() * self._scale**2

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(self.distribution.ccdf(self._back(t)))

    def _cdf(self, t: Array) -> Array:
        return np.asarray(self.distribution.cdf(self._back(t)))

    def _pdf(self, t: Array) -> Array:
        return np.asarray(self.distribution.pdf((t - self._offset) / self._scale) / self._scale)

    def _icdf(self, q: Array) -> Array:
        return self._forth(self.distribution._icdf(q))

    def _iccdf(self, p: Array) -> Array:
        return self._forth(self.distribution._iccdf(p))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        drawn = self.distribution._draw(shape, rng) * self._scale
        return drawn + self._offset if self._offset else drawn


class Shifted(Affine):
    """A latency and a constant: T + by."""

    by: float = parameter(
        default=0.005,
        domain=Real(low=-math.inf),
        unit="s",
        symbol="d",
        about="the constant added",
        slider=Slider(0.0, 0.2, 0.005),
    )

    def _check(self) -> None:
        if self.distribution.support[0] + self.by < 0:
            raise ValueError(
                f"Shifted.by must not make the time negative, so must be at least "
                f"{0.0 - self.distribution.support[0]:g} s; got {short(self.by)}"
            )

    @property
    def _offset(self) -> float:
        return self.by


class Scaled(Affine):
    """A latency times a constant: factor T."""

    factor: float = parameter(default=2.0, domain=Real(), symbol="a", about="the factor", slider=Slider(0.5, 10, 0.5))

    @property
    def _scale(self) -> float:
        return self.factor

    @property
    def branches(self) -> tuple[tuple[float, float], ...]:
        """Of rates as much smaller."""
        return tuple((chance, rate / self.factor) for chance, rate in self.distribution.branches)

    @property
    def phases(self) -> Phases | None:
        """The part's, slower by the factor."""
        phases = self.distribution.phases
        return None if phases is None else phases.times(self.factor)
