"""Strategies: how often each quorum is used, and the load, network and latency that this makes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from scaling_models.latency import Distribution, mixture
from scaling_models.quorums.expressions import Choose, Expression, Leaf
from scaling_models.quorums.systems import Fractions, QuorumSystem, checked_fractions

Quorums = tuple[tuple[frozenset[str], float], ...]


@dataclasses.dataclass(frozen=True, init=False)
class Strategy:
    """How often each read quorum and each write quorum is used; the weights of either are made to sum to one.

    Raises ValueError for sets that are no quorums, and for negative weights.
    """

    system: QuorumSystem
    reads: Quorums
    writes: Quorums

    def __init__(
        self, system: QuorumSystem, reads: Mapping[frozenset[str], float], writes: Mapping[frozenset[str], float]
    ) -> None:
        object.__setattr__(self, "system", system)
        object.__setattr__(self, "reads", _checked(system.reads, reads, "read"))
        object.__setattr__(self, "writes", _checked(system.writes, writes, "write"))

    def node_loads(self, read_fraction: Fractions = 1.0) -> dict[str, float]:
        """The load of each replica: f_r P(read)/its read capacity + f_w P(write)/its write capacity."""
        share = _mean(read_fraction)
        return {name: self._load_of(name, share) for name in self.system.names}

    def load(self, read_fraction: Fractions = 1.0) -> float:
        """That of the busiest replica; for several fractions the mean of it."""
        return sum(weight * self._load(share) for share, weight in checked_fractions(read_fraction).items())

    def capacity(self, read_fraction: Fractions = 1.0) -> float:
        """Requests a second: one over the load; for several fractions the mean of it."""
        return sum(weight / self._load(share) for share, weight in checked_fractions(read_fraction).items())

    def network(self, read_fraction: Fractions = 1.0) -> float:
        """The mean number of replicas that a request asks."""
        share = _mean(read_fraction)
        reads, writes = (
            math.fsum(weight * len(quorum) for quorum, weight in side) for side in (self.reads, self.writes)
        )
        return share * reads + (1.0 - share) * writes

    def latency(self, read_fraction: Fractions = 1.0) -> float:
        """The mean time (s) until those asked hold a quorum, each replying after its mean."""
        share = _mean(read_fraction)
        reads = math.fsum(weight * reply_time(self.system, self.system.reads, quorum) for quorum, weight in self.reads)
        writes = math.fsum(
            weight * reply_time(self.system, self.system.writes, quorum) for quorum, weight in self.writes
        )
        return share * reads + (1.0 - share) * writes

    @property
    def read_latency(self) -> Distribution:
        """The time until the replicas that a read asks hold a read quorum, independent latencies. Exact."""
        return self._replied(self.system.reads, self.reads)

    @property
    def write_latency(self) -> Distribution:
        """The time until the replicas that a write asks hold a write quorum, independent latencies. Exact."""
        return self._replied(self.system.writes, self.writes)

    def _replied(self, side: Expression, quorums: Quorums) -> Distribution:
        laws = [self._reply(side, quorum) for quorum, _ in quorums]
        return laws[0] if len(laws) == 1 else mixture([weight for _, weight in quorums], laws)

    def _reply(self, side: Expression, quorum: frozenset[str]) -> Distribution:
        minimal = side.diagram.minimal(side.diagram.without(side.root, [n for n in side.names() if n not in quorum]))
        sets = [Choose(len(each), tuple(map(Leaf, sorted(each)))) for each in minimal]
        asked = sets[0] if len(sets) == 1 else Choose(1, tuple(sets))
        return asked.latency({name: self.system.replica(name).latency for name in asked.names()})

    def _load(self, share: float) -> float:
        return max(self._load_of(name, share) for name in self.system.names)

    def _load_of(self, name: str, share: float) -> float:
        replica = self.system.replica(name)
        reads, writes = (
            math.fsum(weight for quorum, weight in side if name in quorum) for side in (self.reads, self.writes)
        )
        return share * reads / replica.read_capacity + (1.0 - share) * writes / replica.write_capacity


def reply_time(system: QuorumSystem, side: Expression, quorum: frozenset[str]) -> float:
    """When (s) the replicas asked hold a quorum, each replying after its mean."""
    times = {name: system.replica(name).latency.mean() for name in quorum}
    return next(
        limit for limit in sorted(times.values()) if side.survives([name for name, t in times.items() if t <= limit])
    )


def _mean(read_fraction: Fractions) -> float:
    return math.fsum(share * weight for share, weight in checked_fractions(read_fraction).items())


def _checked(side: Expression, given: Mapping[frozenset[str], float], what: str) -> Quorums:
    for quorum, weight in given.items():
        listed = ", ".join(sorted(quorum))
        if not side.survives(quorum):
            raise ValueError(f"Strategy: {{{listed}}} is no {what} quorum")
        if not 0.0 <= weight < math.inf:
            raise ValueError(f"Strategy: the weight of {{{listed}}} must lie in [0, inf); got {weight!r}")
    total = math.fsum(given.values())
    if not total > 0:
        raise ValueError(f"Strategy: there must be a {what} quorum of positive weight; got {dict(given)!r}")
    return tuple((frozenset(quorum), weight / total) for quorum, weight in given.items() if weight > 0)
