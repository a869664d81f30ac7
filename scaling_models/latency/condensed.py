"""A table of a law that is costly to ask: for integrals, which ask it half a million times."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import graded
from scaling_models.latency.record import LATENCY
from scaling_models.latency.tables import FINE, STRAIGHT, Table, tolerance_at
from scaling_models.parameters import parameter

MOST_KINKS = 200  # more are no panels of a table
DEEP = 1e-22  # the ccdf down to which it is kept: what is left is nothing beside a sum's FLOOR
SPARSE = 4  # of the law's own cuts: the table refines where it must


class Condensed(Distribution):
    """A law without atoms as a piecewise polynomial of its log ccdf, to a relative 1e-10 down to a ccdf of DEEP.

    For the integrals of sums: one value takes 40 ns, where a k-th smallest of five takes 400 and its density 1,200.
    """

    law: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", about="what is asked for")

    @property
    def support(self) -> tuple[float, float]:
        """The law's."""
        return self.law.support

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The law's."""
        return self.law.kinks

    @property
    def tail_index(self) -> float:
        """The law's."""
        return self.law.tail_index

    @property
    def depth(self) -> int:
        """The law's, whose roughness the table does not add to; where it holds tables itself, one more."""
        return self.law.depth and self.law.depth + 1

    @functools.cached_property
    def _table(self) -> Table:
        start, depth = self.support[0], self.law.depth
        points = np.concatenate([[start], self.law.cuts[::SPARSE], self.law.cuts[-1:], self.kinks])
        breaks = graded(points[points >= start], start)
        tolerance = tolerance_at(depth) * (1.0 if depth else FINE)
        return Table(self.law._ccdf, breaks, tolerance, self.tail_index, self.support[1], DEEP)

    @property
    def cuts(self) -> Array:
        """The table's."""
        return self._table.cuts

    def _ccdf(self, t: Array) -> Array:
        start, end = self.support
        logs = np.minimum(self._table(np.maximum(t, start)), 0.0)
        return np.where(t < start, 1.0, np.where(t >= end, 0.0, np.exp(logs)))

    def _pdf(self, t: Array) -> Array:
        return self._table.density(t)


@functools.lru_cache(maxsize=128)  # a slider leaves most parts of a model as they are
def condensed(law: Distribution) -> Distribution:
    """A `Condensed` law where that pays and loses nothing; else the law itself."""
    low, high = law.support
    plain = law.costly and not (len(law.places) or law.hidden_atoms or law.lost > 0.0) and law.depth < STRAIGHT
    return Condensed(law) if plain and low < high and len(law.kinks) <= MOST_KINKS else law
