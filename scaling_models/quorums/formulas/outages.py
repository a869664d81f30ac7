"""Replicas that fail and are repaired, in zones that fail as one: the chain, its outages, and the time to the first."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency.passage import first_passage

Array = NDArray[np.float64]
Counts = NDArray[np.intp]
Zone = tuple[bool, int, int]  # whether it is up, how many of its full replicas and of its witnesses have failed
State = tuple[tuple[Zone, ...], ...]  # the zones of each kind, sorted, for zones of a kind are alike


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Zones of (full replicas, witnesses), with the rates (1/s) of failures and repairs.

    A replica fails whether its zone is up or not, and at most `crew` are repaired at once, those in turn drawn at
    random. All times are exponential. Birth-death in each zone and replica, and reversible: detailed balance holds of
    every set of failed replicas, for their repair depends on how many they are.
    """

    zones: tuple[tuple[int, int], ...]
    failure: float
    repair: float
    crew: int
    zone_failure: float
    zone_repair: float

    @functools.cached_property
    def kinds(self) -> tuple[tuple[tuple[int, int], int], ...]:
        """The kinds of zone, with how many there are of each."""
        return tuple(Counter(sorted(self.zones)).items())

    @functools.cached_property
    def states(self) -> tuple[State, ...]:
        """All states, that with nothing failed first."""
        each = [
            itertools.combinations_with_replacement(sorted(_places(*kind), reverse=True), count)
            for kind, count in self.kinds
        ]
        found = [tuple(tuple(sorted(zones)) for zones in state) for state in itertools.product(*each)]
        fresh = tuple(((True, 0, 0),) * count for _, count in self.kinds)
        return (fresh, *(state for state in found if state != fresh))

    @functools.cached_property
    def chances(self) -> Array:
        """The stationary probability of each state: products, and nothing is subtracted."""
        most = sum(full + witnesses for full, witnesses in self.zones)
        steps = [self.failure * s / (self.repair * min(s, self.crew)) for s in range(1, most + 1)]
        sets = np.concatenate([[1.0], np.cumprod(steps)])  # of one set of so many failed replicas
        weights = np.array([self._ways(state) * sets[_failed(state)] for state in self.states])
        return np.asarray(weights / weights.sum())

    def _ways(self, state: State) -> float:
        """How many sets of failed replicas make the state, weighted by the chances of its zones."""
        ways = 1.0
        for ((full, witnesses), count), zones in zip(self.kinds, state, strict=True):
            ways *= math.factorial(count)
            for (up, failed, silent), times in Counter(zones).items():
                chance = (self.zone_repair if up else self.zone_failure) / (self.zone_repair + self.zone_failure)
                ways *= (chance * math.comb(full, failed) * math.comb(witnesses, silent)) ** times
                ways /= math.factorial(times)
        return ways

    @functools.cached_property
    def up(self) -> tuple[Counts, Counts]:
        """How many replicas can be reached and have not failed in each state: those with data, and all."""
        kinds = [kind for kind, count in self.kinds for _ in range(count)]
        sizes = np.array(kinds)
        zones = np.array([[zone for same in state for zone in same] for state in self.states])
        there = zones[:, :, 0][:, :, None] * (sizes - zones[:, :, 1:])
        return there[:, :, 0].sum(axis=1), there.sum(axis=(1, 2))

    @functools.cached_property
    def moves(self) -> tuple[Counts, Counts, Array]:
        """All changes of state: from, to, and the rate (1/s)."""
        places = {state: place for place, state in enumerate(self.states)}
        found = [(place, places[after], rate) for state, place in places.items() for after, rate in self.changes(state)]
        before, then, rates = zip(*found, strict=True)
        return np.array(before), np.array(then), np.array(rates)

    def changes(self, state: State) -> Iterator[tuple[State, float]]:
        """The states that come next, with their rates."""
        broken = _failed(state)
        each = self.repair * min(broken, self.crew) / broken if broken else 0.0
        for kind, (((full, witnesses), _), zones) in enumerate(zip(self.kinds, state, strict=True)):
            for zone, times in Counter(zones).items():
                up, failed, silent = zone
                for after, rate in (
                    ((not up, failed, silent), self.zone_failure if up else self.zone_repair),
                    ((up, failed + 1, silent), (full - failed) * self.failure),
                    ((up, failed, silent + 1), (witnesses - silent) * self.failure),
                    ((up, failed - 1, silent), failed * each),
                    ((up, failed, silent - 1), silent * each),
                ):
                    if rate > 0:
                        place = zones.index(zone)
                        moved = tuple(sorted((*zones[:place], after, *zones[place + 1 :])))
                        yield (*state[:kind], moved, *state[kind + 1 :]), times * rate


def _places(full: int, witnesses: int) -> list[Zone]:
    return list(itertools.product((True, False), range(full + 1), range(witnesses + 1)))


def _failed(state: State) -> int:
    return sum(failed + silent for zones in state for _, failed, silent in zones)


@dataclasses.dataclass(frozen=True)
class Outages:
    """The shares of the time with a quorum and without, and how often an outage begins (1/s)."""

    availability: float
    unavailability: float
    frequency: float


def outages(fleet: Fleet, quorum: int, witnesses: bool = False) -> Outages:
    """The time without `quorum` replicas, as sums over the chain's states: small ones keep their precision. Exact."""
    lost = fleet.up[witnesses] < quorum
    before, then, rates = fleet.moves
    falls = ~lost[before] & lost[then]
    begun = math.fsum(fleet.chances[before[falls]] * rates[falls])
    return Outages(math.fsum(fleet.chances[~lost]), math.fsum(fleet.chances[lost]), begun)


def first_loss(fleet: Fleet, quorum: int) -> tuple[Array, Array]:
    """Weights and rates (1/s) of P(T > t) = sum w_j e^{-r_j t}, T from all up to the first loss of the quorum. Exact:
    see `first_passage`. All up must be a quorum.
    """
    kept = fleet.up[False] >= quorum
    places = np.cumsum(kept) - 1
    before, then, each = fleet.moves
    stays, falls = kept[before] & kept[then], kept[before] & ~kept[then]
    rates, ends = np.zeros((kept.sum(), kept.sum())), np.zeros(kept.sum())
    np.add.at(rates, (places[before[stays]], places[then[stays]]), each[stays])
    np.add.at(ends, places[before[falls]], each[falls])
    return first_passage(rates, ends, fleet.chances[kept])
