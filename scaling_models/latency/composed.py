"""What the pointwise operations on latencies have in common: their ccdf at t is a formula in the parts' ccdf at t."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import graded, merged, moments

HAIR = 1e-11  # relative: to either side of an atom
LEAST_MASS = 1e-9  # of an atom: what the density gives between its sides is far less


class Composed(Distribution):
    """Base of the operations on several parts: their kinks and cuts are the parts' together."""

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        raise NotImplementedError

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Those of all parts, merged."""
        return _kinks_of(self)

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of all parts, their kinks among them, merged and graded from the start."""
        return _cuts_of(self)

    @property
    def discrete(self) -> bool:
        """True where it is of every part."""
        return all(part.discrete for part in self._parts)

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Where the ccdf jumps: the parts' places, with the ccdf before minus the ccdf after."""
        return tuple(zip(*(each.tolist() for each in self.atom_table), strict=True))

    @functools.cached_property
    def atom_table(self) -> tuple[Array, Array]:
        """The same, an array each."""
        return _atoms_of(self)

    @functools.cached_property
    def places(self) -> Array:
        """Those of all parts, merged."""
        return merged(np.concatenate([part.places for part in self._parts]))[0]

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        return _moments_of(self)

    @property
    def highest_level(self) -> float:
        """The lowest of its parts'."""
        return min(part.highest_level for part in self._parts)

    @property
    def mean_known(self) -> bool:
        """Only where all laws are: which of several is the one depends on how they spread."""
        return self.spread_known and all(part.mean_known for part in self._parts)

    @property
    def depth(self) -> int:
        """The deepest part's."""
        return max(part.depth for part in self._parts)

    @property
    def hidden_atoms(self) -> bool:
        """True where it is of any part."""
        return any(part.hidden_atoms for part in self._parts)

    @property
    def costly(self) -> bool:
        """True."""
        return True


# Of large samples these take their time, and a slider leaves most laws as they are.
@functools.lru_cache(maxsize=32)
def _atoms_of(law: Composed) -> tuple[Array, Array]:
    places = law.places
    if not len(places):
        return places, places
    # The ccdf a hair to either side, for the parts may tell a place by another rounding than the merged one.
    after = law.ccdf(places * (1.0 + HAIR))
    if law.discrete and not law.lost:
        masses, least = -np.diff(after, prepend=1.0), 0.0
    else:
        masses, least = law.ccdf(np.where(places > 0, places * (1.0 - HAIR), -1.0)) - after, LEAST_MASS
    return places[masses > least], masses[masses > least]


@functools.lru_cache(maxsize=8)
def _kinks_of(law: Composed) -> tuple[float, ...]:
    return tuple(merged(np.concatenate([part.kinks for part in law._parts]))[0].tolist())


@functools.lru_cache(maxsize=32)
def _cuts_of(law: Composed) -> Array:
    kinks = [np.array(part.kinks) for part in law._parts if not part.discrete]
    return graded(np.concatenate([*kinks, *(part.cuts for part in law._parts)]), law.support[0])


@functools.lru_cache(maxsize=256)
def _moments_of(law: Composed) -> tuple[float, float]:
    return moments(law)


def level_known(whole: Distribution, parts: Iterable[Distribution]) -> float:
    """The level of `whole` at the time up to which all of its parts are known; 0 where only a mean is of one."""
    limited = [part for part in parts if part.highest_level < 1.0]
    if not limited:
        return 1.0
    if not all(part.spread_known for part in limited):
        return 0.0
    return float(whole.cdf(min(part.icdf(part.highest_level) for part in limited)))
