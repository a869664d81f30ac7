"""Quorum expressions as algebra: a*b + c*d, k of n, votes. One evaluation gives latency, availability and survival."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.latency import Distribution
from scaling_models.quorums.expressions.diagrams import Diagram

if TYPE_CHECKING:
    from scaling_models.quorums.expressions.gates import Choose

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of a probability that was computed


class Expression:
    """Base of monotone expressions over named replicas: `a + b` is either, `a * b` both; a replica may appear again."""

    # The imports are late because gates and times derive from, or hold, this class.
    def __add__(self, other: Expression) -> Choose:
        from scaling_models.quorums.expressions.gates import either

        return either(self, _expression(other, "+"))

    def __mul__(self, other: Expression) -> Choose:
        from scaling_models.quorums.expressions.gates import both

        return both(self, _expression(other, "*"))

    def evaluate(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        """P(the quorum is there), each replica being there independently with its probability; broadcasts. Exact.

        At p_i = F_i(t) it is the latency's cdf, at p_i = A_i the availability, at 0 and 1 what survives. The dual at
        1 - p_i is one minus that, without loss. Where each replica appears once the tree is followed; elsewhere a
        decision diagram. For what fails together see `zoned`. Raises ValueError for a replica that is not given.
        """
        self._known(probabilities, "probability")
        for name in self.names():
            given = np.asarray(probabilities[name], dtype=float)
            if ((given < -ROUNDING) | (given > 1.0 + ROUNDING)).any():
                raise ValueError(f"the probability of {name!r} must lie in [0, 1]; got {probabilities[name]!r}")
        return self._tree(probabilities) if self.read_once else self.diagram.evaluate(self.root, probabilities)

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """The time until the quorum has replied, each replica after its own independent latency. Exact."""
        self._known(latencies, "latency")
        from scaling_models.quorums.expressions.times import QuorumTime

        return QuorumTime(self, tuple(latencies[name] for name in self.names()))

    def dual(self) -> Expression:
        """The expression whose quorums are the sets that meet every quorum of this one: the writes for given reads."""
        raise NotImplementedError

    def zoned(self, zones: Mapping[str, str]) -> Expression:
        """The same where a replica counts only while its zone, a further leaf, is there: `zones` by replica.

        Evaluated with the probabilities of zones beside those of replicas, it has zones that fail as one.
        """
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        """The replicas, each once, in the order of their first appearance."""
        return self._names

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._leaves()))

    @functools.cached_property
    def read_once(self) -> bool:
        """Whether each replica appears once."""
        return sum(1 for _ in self._leaves()) == len(self._names)

    def survives(self, alive: Collection[str]) -> bool:
        """Whether the replicas alive contain a quorum."""
        return self.diagram.holds(self.root, alive)

    @property
    def least(self) -> int:
        """How many replicas the smallest quorum has."""
        return int(self.diagram.least(self.root))

    @property
    def resilience(self) -> int:
        """How many replicas may fail, whichever they are, and a quorum is left."""
        return self.dual().least - 1

    def quorums(self) -> Iterator[frozenset[str]]:
        """The minimal quorums, one by one; there may be very many."""
        return self._products() if self.read_once else iter(self.diagram.minimal(self.root))

    @functools.cached_property
    def diagram(self) -> Diagram:
        """Its decision diagram, of which `root` is the node."""
        return Diagram(self.names())

    @functools.cached_property
    def root(self) -> int:
        """Its node in the `diagram`."""
        return self.draw(self.diagram)

    def _known(self, given: Mapping[str, Any], what: str) -> None:
        for name in self.names():
            if name not in given:
                listed = ", ".join(map(repr, given)) or "none"
                raise ValueError(f"there is no {what} for the replica {name!r} of the expression; given are {listed}")

    def _leaves(self) -> Iterator[str]:
        raise NotImplementedError

    def _tree(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        raise NotImplementedError

    def draw(self, diagram: Diagram) -> int:
        """Its node in a diagram over its replicas and perhaps more."""
        raise NotImplementedError

    def _products(self) -> Iterator[frozenset[str]]:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Leaf(Expression):
    """One replica."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a Leaf must have a name, such as Leaf('a'); got {self.name!r}")

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """Its own latency."""
        self._known(latencies, "latency")
        return latencies[self.name]

    def dual(self) -> Leaf:
        """Itself."""
        return self

    def zoned(self, zones: Mapping[str, str]) -> Expression:
        """Both the zone and the replica; a replica that has no zone as it is."""
        return Leaf(zones[self.name]) * self if self.name in zones else self

    def _leaves(self) -> Iterator[str]:
        yield self.name

    def _tree(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        return np.asarray(probabilities[self.name], dtype=float)

    def draw(self, diagram: Diagram) -> int:
        """The leaf's node."""
        return diagram.leaf(self.name)

    def _products(self) -> Iterator[frozenset[str]]:
        yield frozenset([self.name])

    def __repr__(self) -> str:
        return f"Leaf({self.name!r})"

    def __str__(self) -> str:
        return self.name


def _expression(other: Any, sign: str) -> Expression:
    if not isinstance(other, Expression):
        raise TypeError(f"{sign} joins quorum expressions, such as Leaf('a') {sign} Leaf('b'); got {other!r}")
    return other
