"""Sums of independent latencies."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import NoClosedForm
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.integrals import MANY, NODES, Integrated, in_chunks
from scaling_models.latency.quadrature import merged
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Rows, parameter


class Sum(Integrated):
    """Independent latencies one after the other: ccdf S(t) = P(A > t) + E[S_B(t - A); A <= t]."""

    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY, least=2), unit="s", about="the parts, in order"
    )

    @functools.cached_property
    def _ordered(self) -> tuple[Distribution, ...]:
        return tuple(sorted(self.distributions, key=lambda part: (not part.hidden_atoms, len(part.atoms))))

    @property
    def _outer(self) -> Distribution:
        if self._ordered[-1].hidden_atoms:
            raise NoClosedForm("two sums of large samples cannot be added: draw samples of them, and add an Empirical")
        return self._ordered[-1]  # most atoms: those are summed exactly

    @functools.cached_property
    def _rest(self) -> Distribution:
        rest = self._ordered[:-1]
        return rest[0] if len(rest) == 1 else Sum(rest)

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        return (self._rest,)

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(self._rest.ccdf(s))

    @property
    def support(self) -> tuple[float, float]:
        """The parts' starts and ends added."""
        return (
            math.fsum(part.support[0] for part in self.distributions),
            math.fsum(part.support[1] for part in self.distributions),
        )

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Atoms of the one with atoms of the other; none listed where they are too many."""
        if self.hidden_atoms or not (self._outer.atoms and self._rest.atoms):
            return ()
        (a, p), (b, q) = (np.array(part.atoms).T for part in (self._outer, self._rest))
        places, masses = merged(np.add.outer(a, b).ravel(), np.multiply.outer(p, q).ravel())
        return tuple(zip(places.tolist(), masses.tolist(), strict=True))

    @functools.cached_property
    def hidden_atoms(self) -> bool:
        """Where the pairs of atoms are too many to list."""
        inside = any(part.hidden_atoms for part in self.distributions)
        return inside or len(self._outer.atoms) * len(self._rest.atoms) > MANY**2

    @property
    def tail_index(self) -> float:
        """The heaviest part's."""
        return min(part.tail_index for part in self.distributions)

    @property
    def lost(self) -> float:
        """That any part never ends."""
        return 1.0 - math.prod(1.0 - part.lost for part in self.distributions)

    @property
    def highest_level(self) -> float:
        """The lowest of its parts'."""
        return min(part.highest_level for part in self.distributions)

    @property
    def mean_known(self) -> bool:
        """True where it is of every part."""
        return all(part.mean_known for part in self.distributions)

    @property
    def summands(self) -> tuple[Distribution, ...]:
        """The parts."""
        return self.distributions

    def mean(self) -> float:
        """The parts' means added."""
        return math.fsum(part.mean() for part in self.distributions)

    def variance(self) -> float:
        """The parts' variances added."""
        return math.fsum(part.variance() for part in self.distributions)

    def _direct_pdf(self, t: Array) -> Array:
        """The same integral over the density of the rest."""
        density = _Density(self.distributions)
        total = np.zeros(len(t))
        for place, mass in self._rest.atoms:
            total += mass * self._outer.pdf(t - place)
        if self._outer.atoms:
            total += in_chunks(density._jumps, t, len(self._outer.atoms))
        if not self._pure_atoms:
            total += in_chunks(density._smooth, t, NODES * (len(self._outer.cuts) + len(self._inner_cuts)))
        return total

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(sum(part._draw(shape, rng) for part in self.distributions))

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.distributions)


class _Density(Sum):
    """A sum whose inner function is the density of the rest instead of its ccdf."""

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(self._rest.pdf(s))
