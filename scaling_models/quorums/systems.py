"""Quorum systems: reads and writes that meet, on replicas of given capacity."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling_models.quorums.expressions import Expression
from scaling_models.quorums.expressions.diagrams import FALSE, Diagram
from scaling_models.quorums.expressions.symmetry import alike, symmetric
from scaling_models.quorums.replicas import Replica

if TYPE_CHECKING:
    from scaling_models.quorums.strategies import Strategy

Fractions = float | Mapping[float, float]


@dataclasses.dataclass(frozen=True, init=False)
class QuorumSystem:
    """Read and write quorums, each read quorum meeting each write quorum, on replicas that may differ.

    Of `reads` and `writes` one may be left out: it is the dual of the other, the most that meets it. `replicas` tells
    those that are not `Replica()`, with capacities of one request a second. A node's load is the share of its capacity
    that one request a second takes, the system's that of its busiest node under the best strategy, and its capacity
    one over that: Naor and Wool, SIAM J. Computing 27 (1998); with reads and writes Whittaker et al. (PaPoC 2021).
    Raises ValueError where a read and a write quorum do not meet, and for replicas that are in neither.
    """

    reads: Expression
    writes: Expression
    replicas: tuple[tuple[str, Replica], ...]

    def __init__(
        self,
        reads: Expression | None = None,
        writes: Expression | None = None,
        replicas: Mapping[str, Replica] | tuple[tuple[str, Replica], ...] = (),
    ) -> None:
        if reads is None and writes is None:
            raise ValueError(
                "QuorumSystem must be given reads or writes, such as QuorumSystem(majority('a', 'b', 'c'))"
            )
        for side in (reads, writes):
            if not (side is None or isinstance(side, Expression)):
                raise ValueError(f"QuorumSystem: reads and writes must be quorum expressions; got {side!r}")
        object.__setattr__(self, "reads", writes.dual() if reads is None and writes is not None else reads)
        object.__setattr__(self, "writes", reads.dual() if writes is None and reads is not None else writes)
        object.__setattr__(self, "replicas", tuple(dict(replicas).items()))
        self._check(reads is not None and writes is not None)

    def _check(self, both: bool) -> None:
        for name, replica in self.replicas:
            if name not in self.names:
                known = ", ".join(map(repr, self.names))
                raise ValueError(f"QuorumSystem: {name!r} is in no quorum; the replicas are {known}")
            if not isinstance(replica, Replica):
                raise ValueError(f"QuorumSystem.replicas[{name!r}] must be a Replica; got {replica!r}")
        strangers = apart(self.reads, self.writes) if both else None
        if strangers:
            read, write = (", ".join(sorted(quorum)) for quorum in strangers)
            raise ValueError(
                f"QuorumSystem: every read quorum must meet every write quorum; {{{read}}} and {{{write}}} do not"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All replicas, those of the reads first."""
        return tuple(dict.fromkeys((*self.reads.names(), *self.writes.names())))

    def replica(self, name: str) -> Replica:
        """The replica of that name."""
        if name not in self.names:
            raise ValueError(f"there is no replica {name!r}; there are {', '.join(map(repr, self.names))}")
        return dict(self.replicas).get(name, Replica())

    @property
    def read_resilience(self) -> int:
        """How many replicas may fail, whichever they are, and reads go on."""
        return self.reads.resilience

    @property
    def write_resilience(self) -> int:
        """How many replicas may fail, whichever they are, and writes go on."""
        return self.writes.resilience

    @property
    def resilience(self) -> int:
        """How many replicas may fail, whichever they are, and both reads and writes go on."""
        return min(self.read_resilience, self.write_resilience)

    def load(self, read_fraction: Fractions = 1.0, f: int = 0) -> float:
        """The least possible load of the busiest replica, per request a second. Exact.

        `read_fraction` is the share of reads, or a mapping of shares to their weights: one strategy for all of them,
        the mean load. With `f` each quorum must still be one after any f of its replicas fail. Equal replicas in a
        symmetric expression need no linear programme: the even strategy is optimal, for averaging an optimal one over
        the symmetries keeps its load.
        """
        weights = checked_fractions(read_fraction)
        if self.symmetric:
            return sum(weight * self._even(share, f) for share, weight in weights.items())
        return self.strategy(read_fraction, f).load(read_fraction)

    def capacity(self, read_fraction: Fractions = 1.0, f: int = 0) -> float:
        """Requests a second, with nothing but quorum work: one over the load; for several fractions its mean. Exact."""
        if self.symmetric:
            return sum(weight / self._even(share, f) for share, weight in checked_fractions(read_fraction).items())
        return self.strategy(read_fraction, f).capacity(read_fraction)

    def strategy(
        self,
        read_fraction: Fractions = 1.0,
        f: int = 0,
        minimize: str = "load",
        load_limit: float | None = None,
        network_limit: float | None = None,
        latency_limit: float | None = None,
    ) -> Strategy:
        """Which quorums to use how often: the least load, network or latency within limits on the others. Exact.

        The network is the mean number of replicas a request asks; the latency (s) the mean time until those asked hold
        a quorum, each replying after its mean; the load is per request a second. Raises ValueError where the limits
        cannot be met, and where no quorum survives `f` failures.
        """
        from scaling_models.quorums.programmes import best  # a strategy is of a system

        limits = {"load": load_limit, "network": network_limit, "latency": latency_limit}
        return best(self, checked_fractions(read_fraction), f, minimize, limits)

    def uniform_strategy(self, f: int = 0) -> Strategy:
        """Every minimal quorum equally often; with `f`, those that survive f failures."""
        from scaling_models.quorums.strategies import Strategy

        return Strategy(self, *(_evenly(self, side, f) for side in (self.reads, self.writes)))

    @property
    def symmetric(self) -> bool:
        """Whether all replicas are equal, and the expressions symmetric in them."""
        capacities = {(each.read_capacity, each.write_capacity) for each in map(self.replica, self.names)}
        sides = (self.reads, self.writes)
        return len(capacities) == 1 and all(map(symmetric, sides)) and alike(*sides)

    def least_quorum(self, side: Expression, f: int = 0) -> int:
        """How many replicas the least quorum has that survives `f` failures. ValueError where there is none."""
        number = survivors(side, f)
        if number == 0:
            what = "reads" if side is self.reads else "writes"
            raise ValueError(
                f"QuorumSystem: no quorum of the {what} survives {f} failures; it survives {side.resilience}"
            )
        return int(side.diagram.least(number))

    def _even(self, share: float, f: int) -> float:
        one = self.replica(self.names[0])
        reads, writes = (self.least_quorum(side, f) / len(self.names) for side in (self.reads, self.writes))
        return share * reads / one.read_capacity + (1.0 - share) * writes / one.write_capacity

    def __repr__(self) -> str:
        tail = f", {dict(self.replicas)!r}" if self.replicas else ""
        return f"QuorumSystem({self.reads!r}, {self.writes!r}{tail})"


def survivors(side: Expression, f: int) -> int:
    """The node of `side.diagram` of the sets that hold a quorum after any `f` of them fail."""
    if isinstance(f, bool) or not isinstance(f, int) or f < 0:
        raise ValueError(f"f must be a whole number of failures in [0, inf); got {f!r}")
    return side.diagram.hardened(side.root, f)


def apart(reads: Expression, writes: Expression) -> tuple[frozenset[str], frozenset[str]] | None:
    """A read and a write quorum without a common replica, or None where there are none such."""
    diagram = Diagram(tuple(dict.fromkeys((*reads.names(), *writes.names()))))
    alone = diagram.choose(reads.dual().draw(diagram), FALSE, writes.draw(diagram))  # write quorums that miss a read's
    if alone == FALSE:
        return None
    write = diagram.smallest(alone)
    left = reads.diagram.without(reads.root, [name for name in reads.names() if name in write])
    return reads.diagram.smallest(left), write


def checked_fractions(given: Fractions) -> dict[float, float]:
    """Shares of reads with their weights, which sum to one, or a `ValueError`."""
    pairs = dict(given) if isinstance(given, Mapping) else {given: 1.0}
    for share, weight in pairs.items():
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"read_fraction must lie in [0, 1]; got {share!r}")
        if not 0.0 <= weight < float("inf"):
            raise ValueError(f"the weight of a read_fraction must lie in [0, inf); got {weight!r}")
    total = sum(pairs.values())
    if not total > 0:
        raise ValueError(f"the weights of read_fraction must have a positive sum; got {given!r}")
    return {float(share): weight / total for share, weight in pairs.items() if weight > 0}


def _evenly(system: QuorumSystem, side: Expression, f: int) -> dict[frozenset[str], float]:
    system.least_quorum(side, f)
    quorums = tuple(side.quorums()) if f == 0 else side.diagram.minimal(survivors(side, f))
    return dict.fromkeys(quorums, 1.0 / len(quorums))
