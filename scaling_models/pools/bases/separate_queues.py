"""Pools whose balancer asks no server anything, so that every server is a queue of its own."""

from __future__ import annotations

import dataclasses
import functools
import math

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.latency import Deterministic, Distribution, MeanOnly, Never, mixture
from scaling_models.pools.bases.dispatched import ERROR_TIME, Dispatched
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.bases.unequal_stations import UnequalStations

KNOWN = ("utilization", "offered_load", "error_share")
TOO_RARE = Accuracy("simulated", None, "rarer than the lattice tells: extrapolated as the tail of the service")


class SeparateQueues(Dispatched):
    """Base: a subclass says which servers there are, and the share of the requests that each kind of them gets."""

    def _first_and_others(self, station: Station) -> tuple[tuple[float, Station], ...]:
        """Servers that are all like this one, but for the first."""
        if self._equal:
            return ((1.0, station),)
        service = Deterministic(ERROR_TIME) if self._fails_fast else self.service * (1.0 / self.first_speed)
        first = dataclasses.replace(station, service=service)
        alone = 1.0 / self.servers
        return ((alone, first), (1.0 - alone, station)) if self.servers > 1 else ((1.0, first),)

    @property
    def _servers(self) -> tuple[tuple[float, Station | UnequalStations], ...]:
        """The different servers, each with the share of the requests that goes to servers like it."""
        raise NotImplementedError

    @functools.cached_property
    def _stations(self) -> tuple[tuple[float, Station | UnequalStations], ...]:
        return self._servers

    @property
    def _overloaded(self) -> bool:
        return any(station.utilization >= 1.0 for _, station in self._stations)

    @property
    def _shares_memoryless(self) -> bool:
        """Whether servers share themselves among exponential services: who leaves next is forgotten as if FIFO."""
        return self.discipline == "sharing" and all(station.memoryless for _, station in self._stations)

    @property
    def _solved(self) -> bool:
        return self.discipline == "fifo" and all(station.solved for _, station in self._stations)

    def _simulate_it(self) -> NoClosedForm:
        if self.discipline != "fifo":
            return NoClosedForm(f"{type(self).__name__} has a closed form for FIFO servers only (so far): simulate it")
        service = type(self.service).__name__
        if self.workers == 1:
            return NoClosedForm(f"{type(self).__name__}: no lattice resolves this {service} service: simulate it")
        return NoClosedForm(
            f"{type(self).__name__} has a closed form for one worker a server, or for exponential service (so far), "
            f"not for {self.workers} workers and {service} service: simulate it"
        )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact where there is a closed form, to what the lattices tell of their error; else simulated."""
        declared = self._answer(metric).accuracy
        if metric in KNOWN or self._overloaded:
            return declared
        if metric in ("latency", "in_flight") and level is None and self._shares_memoryless:
            return declared
        if not self._solved:
            return SIMULATED
        if level is not None and 1.0 - level < max(station.known_to for _, station in self._stations):
            return TOO_RARE
        error = max(station.error for _, station in self._stations)
        if error == 0.0:
            return declared
        return Accuracy("exact", error, f"everywhere, but for a numerical error of {error:.0e} of a quantile")

    @answer("", "share of the requests that get an error at once, from a first server that fails fast")
    def error_share(self) -> float:
        """The first server's share."""
        return self._stations[0][0] if self._fails_fast else 0.0

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """Of each server, weighted; 1 at overload."""
        if self._overloaded:
            return 1.0
        if not self._solved:
            raise self._simulate_it()
        return math.fsum(share * station.probability_of_wait for share, station in self._stations)

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Of each server, weighted."""
        return self._mixed([(share, station.wait) for share, station in self._solvable])

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """Of each server, weighted; of sharing servers with exponential service the mean, which is FIFO's."""
        if self._overloaded or not self._shares_memoryless:
            return self._mixed([(share, station.latency) for share, station in self._solvable])
        return MeanOnly(math.fsum(share * station.latency.mean() for share, station in self._stations))

    @property
    def _solvable(self) -> tuple[tuple[float, Station | UnequalStations], ...]:
        """The servers where they have a closed form; none at overload."""
        if self._overloaded:
            return ()
        if not self._solved:
            raise self._simulate_it()
        return self._stations

    @staticmethod
    def _mixed(parts: list[tuple[float, Distribution]]) -> Distribution:
        if len(parts) == 1:
            return parts[0][1]
        return mixture(*zip(*parts, strict=True)) if parts else Never()
