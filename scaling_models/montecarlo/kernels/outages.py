"""Replicas that fail and are repaired by a crew, in zones that fail as one: played failure by failure."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array

Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Replicas in zones (`zone_of`, one a replica), `voting` those that are witnesses; all times (s) are exponential.

    A replica fails whether its zone is up or not. At most `crew` replicas are repaired at once; when one is done, the
    next is drawn at random among those that wait. With the probability `together` each other replica that is up fails
    with one that fails. Exact but for chance.
    """

    zone_of: tuple[int, ...]
    witnesses: tuple[bool, ...]
    mtbf: float
    mttr: float
    crew: int
    zone_mtbf: float
    zone_mttr: float
    together: float = 0.0


class Lanes:
    """The clusters of several lanes, all up at time 0: `alive` and `clock` (s; inf where a replica waits for the crew).

    Columns are the replicas, then the zones.
    """

    def __init__(self, cluster: Cluster, lanes: int, rng: np.random.Generator) -> None:
        self.cluster, self.rng = cluster, rng
        self.replicas, zones = len(cluster.zone_of), max(cluster.zone_of) + 1
        self.alive: Flags = np.ones((lanes, self.replicas + zones), dtype=bool)
        means = np.repeat([cluster.mtbf, cluster.zone_mtbf], [self.replicas, zones])
        self.clock: Array = rng.exponential(means, self.alive.shape)

    def up(self, witnesses: bool) -> NDArray[np.intp]:
        """How many replicas of each lane can be reached and have not failed, with or without the witnesses."""
        zones = self.replicas + np.array(self.cluster.zone_of)
        there = self.alive[:, : self.replicas] & self.alive[:, zones]
        return np.asarray((there if witnesses else there[:, ~np.array(self.cluster.witnesses)]).sum(axis=1))

    @property
    def next(self) -> Array:
        """When (s) the next failure or repair of each lane is."""
        return np.asarray(self.clock.min(axis=1))

    def keep(self, lanes: Flags) -> None:
        """Go on with these lanes only."""
        self.alive, self.clock = self.alive[lanes], self.clock[lanes]

    def step(self) -> None:
        """The next failure or repair of every lane."""
        cluster, rng = self.cluster, self.rng
        every, who = np.arange(len(self.clock)), self.clock.argmin(axis=1)
        now = self.clock[every, who]
        was = self.alive[every, who]
        self.alive[every, who] = ~was
        is_zone = who >= self.replicas
        means = np.where(is_zone, np.where(was, cluster.zone_mttr, cluster.zone_mtbf), cluster.mtbf)
        self.clock[every, who] = np.where(was & ~is_zone, math.inf, now + rng.exponential(means))
        if cluster.together:
            struck = (was & ~is_zone)[:, None] & self.alive[:, : self.replicas]
            struck &= rng.random(struck.shape) < cluster.together
            self.alive[:, : self.replicas][struck] = False
            self.clock[:, : self.replicas][struck] = math.inf
        self._repair(np.flatnonzero(~is_zone), now)

    def _repair(self, lanes: NDArray[np.intp], now: Array) -> None:
        """The crew takes up replicas that wait, while it has hands."""
        while len(lanes):
            clock, alive = self.clock[lanes, : self.replicas], self.alive[lanes, : self.replicas]
            waits = ~alive & np.isinf(clock)
            free = (~alive & ~waits).sum(axis=1) < self.cluster.crew
            lanes, waits = lanes[free & waits.any(axis=1)], waits[free & waits.any(axis=1)]
            chosen = np.where(waits, self.rng.random(waits.shape), -1.0).argmax(axis=1)
            self.clock[lanes, chosen] = now[lanes] + self.rng.exponential(self.cluster.mttr, len(lanes))


def first_losses(cluster: Cluster, quorum: int, lanes: int, rng: np.random.Generator) -> Array:
    """The time (s) from all up until fewer than `quorum` full replicas are up, of every lane."""
    found, left = np.empty(lanes), np.arange(lanes)
    played = Lanes(cluster, lanes, rng)
    while len(left):
        now = played.next
        played.step()
        lost = played.up(False) < quorum
        if lost.any():
            found[left[lost]] = now[lost]
            left = left[~lost]
            played.keep(~lost)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """What was seen of each lane: seconds without a commit or a failover quorum, and outages of commits that began."""

    seconds: float
    without_commit: Array
    without_failover: Array
    began: Array


def stretches(
    cluster: Cluster, commit: int, failover: int, warm: float, seconds: float, lanes: int, rng: np.random.Generator
) -> Stretch:
    """Lanes that start all up, are left alone for `warm` seconds, and are watched for `seconds`."""
    without, began = np.zeros((2, lanes)), np.zeros(lanes)
    left, played = np.arange(lanes), Lanes(cluster, lanes, rng)
    end, last = warm + seconds, np.zeros(lanes)
    while len(left):
        now = np.minimum(played.next, end)
        watched = np.maximum(now, warm) - np.maximum(last, warm)
        lost = played.up(False) < commit
        without[0, left] += watched * lost
        without[1, left] += watched * (played.up(True) < failover)
        played.step()
        goes_on = now < end
        began[left] += (played.up(False) < commit) & ~lost & (now >= warm) & goes_on
        played.keep(goes_on)
        left, last = left[goes_on], now[goes_on]
    return Stretch(seconds, without[0], without[1], began)
