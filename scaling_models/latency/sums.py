"""Sums of independent latencies."""

from __future__ import annotations

import functools
import math
from collections import Counter

import numpy as np

from scaling_models.domains import Rows
from scaling_models.latency.condensed import condensed
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.integrals import MANY, NODES, Integrated, in_chunks
from scaling_models.latency.ladders import survival
from scaling_models.latency.lattices import DEEP, LEVELS, Survival
from scaling_models.latency.quadrature import graded, merged
from scaling_models.latency.record import LATENCY
from scaling_models.latency.tables import STRAIGHT
from scaling_models.parameters import parameter

MOST_ATOMS = 4000


class Sum(Integrated):
    """Independent latencies one after the other: ccdf S(t) = P(A > t) + E[S_B(t - A); A <= t]."""

    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY, least=2), unit="s", about="the parts, in order"
    )

    @functools.cached_property
    def _ordered(self) -> tuple[Distribution, ...]:
        return tuple(sorted(self.distributions, key=lambda part: (not part.hidden_atoms, len(part.places))))

    @functools.cached_property
    def _sides(self) -> tuple[tuple[Distribution, ...], tuple[Distribution, ...]]:
        """The parts of the rest, and of the outer: that with most atoms alone, for those are summed exactly.

        Of smooth parts what occurs twice is one side, and one of its halves the other where nothing else is left: two
        equal rounds, and a journey, are often sums that are known already.
        """
        parts = self._ordered
        if len(parts[-1].places) or parts[0].hidden_atoms:
            return parts[:-1], parts[-1:]
        counts = Counter(parts)
        twice = tuple(part for part, count in counts.items() for _ in range(count // 2))
        once = tuple(part for part, count in counts.items() if count % 2)
        if twice:
            return (once, twice + twice) if once else (twice, twice)
        return parts[: len(parts) // 2], parts[len(parts) // 2 :]

    @functools.cached_property
    def _outer(self) -> Distribution:
        return _total(self._sides[1])

    @functools.cached_property
    def _rest(self) -> Distribution:
        return _total(self._sides[0])

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        return (self._rest,)

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(condensed(self._rest).ccdf(s))

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
        return tuple(zip(*(each.tolist() for each in self.atom_table), strict=True))

    @functools.cached_property
    def atom_table(self) -> tuple[Array, Array]:
        """The same, an array each."""
        if self.hidden_atoms:
            return np.zeros(0), np.zeros(0)
        (a, p), (b, q) = self._outer.atom_table, self._rest.atom_table
        return merged(np.add.outer(a, b).ravel(), np.multiply.outer(p, q).ravel())

    @functools.cached_property
    def discrete(self) -> bool:
        """True where it is of every part, and atoms can be listed."""
        return not self.hidden_atoms and all(part.discrete for part in self.distributions)

    @functools.cached_property
    def _laddered(self) -> bool:
        """Whether it is found by convolution: where each time would ask for more than MOST_ATOMS others."""
        return self.lost == 0.0 and _asked(self.distributions) > MOST_ATOMS

    @functools.cached_property
    def _survival(self) -> Survival:
        return _survival_of(self)

    @functools.cached_property
    def cuts(self) -> Array:
        """Of a convolution, quantiles near and far."""
        if not self._laddered:
            return super().cuts
        return graded([*self.kinks, *self._icdf(LEVELS), *self._iccdf(DEEP)], self.support[0])

    @property
    def depth(self) -> int:
        """As deep as any lattice, where it is on one."""
        return STRAIGHT if self._laddered else super().depth

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Of a convolution, the ends of the support alone."""
        if not self._laddered:
            return super().kinks
        return tuple(end for end in self.support if math.isfinite(end))

    @functools.cached_property
    def hidden_atoms(self) -> bool:
        """Where the pairs of atoms are too many to list."""
        inside = any(part.hidden_atoms for part in self.distributions)
        return inside or len(self._outer.places) * len(self._rest.places) > MANY**2

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

    def _log_ccdf(self, t: Array) -> Array:
        if not self._laddered:
            return super()._log_ccdf(t)
        start, end = self.support
        return np.where(t < start, 0.0, np.where(t >= end, -np.inf, self._survival(np.maximum(t - start, 0.0))))

    def _pdf(self, t: Array) -> Array:
        if not self._laddered:
            return super()._pdf(t)
        start, end = self.support
        inside = (t >= start) & (t < end)
        return np.where(inside, self._survival.density(np.maximum(t - start, 0.0)), 0.0)

    def _icdf(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._at(np.log1p(-q)) if self._laddered else super()._icdf(q)

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._at(np.log(p)) if self._laddered else super()._iccdf(p)

    def _at(self, logs: Array) -> Array:
        start, end = self.support
        return np.minimum(start + self._survival.inverse(np.maximum(logs, -1e300)), end)

    def _direct_pdf(self, t: Array) -> Array:
        """The same integral over the density of the rest."""
        density = _Density(self.distributions)
        total = np.zeros(len(t))
        for place, mass in self._rest.atoms:
            total += mass * self._outer.pdf(t - place)
        if atoms := len(self._outer.atom_table[0]):
            total += in_chunks(density._jumps, t, atoms)
        if not self._pure_atoms:
            total += in_chunks(density._smooth, t, NODES * (len(self._outer.cuts) + len(self._inner_cuts)))
        return total

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(sum(part._draw(shape, rng) for part in self.distributions))

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.distributions)


@functools.lru_cache(maxsize=32)  # a few MB each
def _survival_of(total: Sum) -> Survival:
    return survival(total.distributions)


def _asked(parts: tuple[Distribution, ...]) -> float:
    """At how many places the others are asked for one value of the sum, were it not found by convolution."""
    if any(part.hidden_atoms for part in parts):
        return math.inf
    return math.prod(max(len(part.places), 1) for part in parts)


def _total(parts: tuple[Distribution, ...]) -> Distribution:
    return parts[0] if len(parts) == 1 else Sum(parts)


class _Density(Sum):
    """A sum whose inner function is the density of the rest instead of its ccdf."""

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(condensed(self._rest).pdf(s))
