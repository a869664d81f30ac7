"""Sums of independent latencies."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.integrals import MANY, NODES, Integrated, in_chunks
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Rows, parameter


class Sum(Integrated):
    """Independent latencies one after the other: ccdf S(t) = P(A > t) + E[S_B(t - A); A <= t]."""

    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY, least=2), unit="s", about="the parts, in order"
    )

    @functools.cached_property
    def _ordered(self) -> tuple[Distribution, ...]:
        return tuple(sorted(self.distributions, key=lambda part: len(part.atoms)))

    @property
    def _outer(self) -> Distribution:
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
        pairs: dict[float, float] = {}
        if len(self._outer.atoms) * len(self._rest.atoms) <= MANY**2:
            for a, p in self._outer.atoms:
                for b, q in self._rest.atoms:
                    pairs[a + b] = pairs.get(a + b, 0.0) + p * q
        return tuple(sorted(pairs.items()))

    @property
    def tail_index(self) -> float:
        """The heaviest part's."""
        return min(part.tail_index for part in self.distributions)

    @property
    def lost(self) -> float:
        """That any part never ends."""
        return 1.0 - math.prod(1.0 - part.lost for part in self.distributions)

    @property
    def spread_known(self) -> bool:
        """True where it is of every part."""
        return all(part.spread_known for part in self.distributions)

    def mean(self) -> float:
        """The parts' means added."""
        return math.fsum(part.mean() for part in self.distributions)

    def variance(self) -> float:
        """The parts' variances added."""
        return math.fsum(part.variance() for part in self.distributions)

    def _pdf(self, t: Array) -> Array:
        """From the table's slope; without a table, the same integral over the density of the rest."""
        if self._tabulated:
            start = self.cuts[0]
            return np.where(t < start, 0.0, self._table.density(np.maximum(t, start)))
        flat = np.ravel(t)
        density = _Density(self.distributions)
        total = np.zeros(len(flat))
        for place, mass in self._rest.atoms:
            total += mass * self._outer.pdf(flat - place)
        if self._outer.atoms:
            total += in_chunks(density._jumps, flat, len(self._outer.atoms))
        if not self._pure_atoms:
            total += in_chunks(density._smooth, flat, NODES * (len(self._outer.cuts) + len(self._inner_cuts)))
        return total.reshape(np.shape(t))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(sum(part._draw(shape, rng) for part in self.distributions))

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.distributions)


class _Density(Sum):
    """A sum whose inner function is the density of the rest instead of its ccdf."""

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(self._rest.pdf(s))
