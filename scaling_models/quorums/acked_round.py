"""A round to the followers whose acknowledgements the leader takes up one after the other."""

from __future__ import annotations

import functools

import numpy as np
from scipy import special

from scaling_models.domains import Integer, Real
from scaling_models.latency import LATENCY, Deterministic, Distribution, KOfN, k_of_n
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded, merged
from scaling_models.latency.tables import Table, tolerance_at
from scaling_models.parameters import parameter

SPARSE = 4  # of the idle round's cuts: the table refines where it must


class AckedRound(Distribution):
    """The time from asking k followers until an otherwise idle leader has worked off the m-th acknowledgement.

    max_{j <= m} X_(j) + (m - j + 1) A, X_(j) the j-th smallest of k independent round trips: it is over by t iff at
    least j acknowledgements have come by t - (m - j + 1) A for every j, which a recursion over the counts tells.
    Exact, for round trips without atoms.
    """

    round_trip: Distribution = parameter(default=0.001, domain=LATENCY, unit="s", symbol="X", about="of one follower")
    followers: int = parameter(default=4, domain=Integer(1, 100), symbol="k", about="how many are asked")
    needed: int = parameter(default=2, domain=Integer(1, 100), symbol="m", about="how many must have answered")
    work: float = parameter(
        default=1e-5, domain=Real(open_low=False), unit="s", symbol="A", about="the leader's on an acknowledgement"
    )

    def _check(self) -> None:
        if self.needed > self.followers:
            raise ValueError(f"AckedRound.needed must lie in [1, {self.followers}], the followers; got {self.needed}")

    @property
    def support(self) -> tuple[float, float]:
        """From one acknowledgement after the shortest trip, or all needed after it at once, on."""
        low, high = self.round_trip.support
        return (low + self.needed * self.work, high + self.needed * self.work)

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The trip's, as many acknowledgements later as may be."""
        late = self.work * np.arange(1.0, self.needed + 1.0)
        places = merged(np.add.outer(np.array(self.round_trip.kinks), late).ravel())[0]
        return tuple(places[places >= self.support[0]].tolist())

    @property
    def tail_index(self) -> float:
        """That of the k-th trips that are late together."""
        return self._idle.tail_index

    @property
    def depth(self) -> int:
        """The trip's."""
        return self.round_trip.depth

    @functools.cached_property
    def _idle(self) -> KOfN:
        """The round as it would be without work."""
        return KOfN(self.needed, (self.round_trip,) * self.followers)

    @functools.cached_property
    def cuts(self) -> Array:
        """The idle round's, with an acknowledgement and with all of them after it."""
        near, late = self._idle.cuts + self.work, self._idle.cuts + self.needed * self.work
        points = np.concatenate([self.kinks, near, late])
        return graded(points[points >= self.support[0]], self.support[0])

    def _late(self, t: Array) -> Array:
        """P(not all in time), flat t: the counts that fall short, acknowledgement by acknowledgement."""
        counts = np.zeros((self.followers + 1, len(t)))
        counts[0] = 1.0
        late, before = np.zeros(len(t)), np.ones(len(t))
        for j in range(1, self.needed + 1):
            until = t - (self.needed - j + 1) * self.work
            away = np.where(until < 0.0, 1.0, self.round_trip._ccdf(np.maximum(until, 0.0)))
            counts = self._advanced(counts, np.minimum(away / np.maximum(before, 1e-300), 1.0))
            before = away
            late += counts[:j].sum(axis=0)
            counts[:j] = 0.0
        return late

    def _advanced(self, counts: Array, away: Array) -> Array:
        """The counts (come, t) after each that had not come yet has stayed away with that probability (t)."""
        after = np.zeros_like(counts)
        for come in range(self.followers + 1):
            rest = self.followers - come
            more = np.arange(rest + 1)[:, None]
            after[come:] += counts[come] * special.binom(rest, more) * (1.0 - away) ** more * away ** (rest - more)
        return after

    @functools.cached_property
    def _table(self) -> Table:
        return Table(self._late, self._breaks, tolerance_at(self.depth), self.tail_index, self.support[1])

    @property
    def _breaks(self) -> Array:
        start = self.support[0]
        guesses = [*self.kinks, *(self._idle.cuts[::SPARSE] + self.work)]
        return graded([start, *(place for place in guesses if place > start)], start)

    def _ccdf(self, t: Array) -> Array:
        start, end = self.support
        late = np.exp(np.minimum(self._table(np.maximum(t, start)), 0.0))
        return np.where(t < start, 1.0, np.where(t >= end, 0.0, late))

    def _pdf(self, t: Array) -> Array:
        start = self.support[0]
        return np.where(t < start, 0.0, self._table.density(np.maximum(t, start)))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        trips = np.sort(self.round_trip._draw((*shape, self.followers), rng), axis=-1)[..., : self.needed]
        return np.asarray((trips + self.work * np.arange(self.needed, 0.0, -1.0)).max(axis=-1))


def acked_round(round_trip: Distribution, followers: int, needed: int, work: float) -> Distribution:
    """`AckedRound`, or what it is without work, or where all trips are the same constant."""
    if work == 0.0:
        return k_of_n(needed, [round_trip] * followers)
    if round_trip.variance() == 0.0:
        return Deterministic(round_trip.mean() + needed * work)
    return AckedRound(round_trip, followers, needed, work)
