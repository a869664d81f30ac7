"""Monotone functions of replicas as decision diagrams, where a replica may matter in many places."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
FALSE, TRUE = 0, 1
MOST_NODES = 1_000_000


class Diagram:
    """Reduced ordered decision diagrams over replicas in a fixed order (Bryant 1986); a function is a node's number.

    Node 0 is false, 1 true; every other is (level of its replica, node if that is absent, node if it is there). A node
    has a larger number than those below it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.levels = {name: level for level, name in enumerate(self.names)}
        self.nodes: list[tuple[int, int, int]] = [(len(self.names), 0, 0), (len(self.names), 1, 1)]
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._chosen: dict[tuple[int, int, int], int] = {}
        self._hardened: dict[tuple[int, int], int] = {}

    def node(self, level: int, low: int, high: int) -> int:
        """The one node with these parts."""
        if low == high:
            return low
        key = (level, low, high)
        if key not in self._numbers:
            if len(self.nodes) >= MOST_NODES:
                raise ValueError(
                    f"the quorum expression over {len(self.names)} replicas repeats them so often that its decision "
                    f"diagram exceeds {MOST_NODES:,} nodes; name replicas that belong together one after the other"
                )
            self._numbers[key] = len(self.nodes)
            self.nodes.append(key)
        return self._numbers[key]

    def leaf(self, name: str) -> int:
        """That the replica is there."""
        return self.node(self.levels[name], FALSE, TRUE)

    def choose(self, test: int, yes: int, no: int) -> int:
        """`yes` where `test` holds, `no` elsewhere."""
        if test in (FALSE, TRUE) or yes == no:
            return yes if test == TRUE or yes == no else no
        key = (test, yes, no)
        if key not in self._chosen:
            level = min(self.nodes[part][0] for part in key)
            low = self.choose(*(self._part(part, level, 1) for part in key))
            high = self.choose(*(self._part(part, level, 2) for part in key))
            self._chosen[key] = self.node(level, low, high)
        return self._chosen[key]

    def _part(self, number: int, level: int, side: int) -> int:
        node = self.nodes[number]
        return node[side] if node[0] == level else number

    def votes(self, needed: int, members: Sequence[int], weights: Sequence[int]) -> int:
        """That members with at least `needed` votes hold."""
        after = [TRUE] + [FALSE] * needed  # by the votes still needed, once all members are asked
        for member, weight in zip(reversed(members), reversed(weights), strict=True):
            after = [self.choose(member, after[max(0, need - weight)], after[need]) for need in range(needed + 1)]
        return after[needed]

    def hardened(self, number: int, failures: int) -> int:
        """That the function still holds after any `failures` of the replicas that are there are taken away."""
        if failures == 0 or number in (FALSE, TRUE):
            return number
        key = (number, failures)
        if key not in self._hardened:
            level, low, high = self.nodes[number]
            kept, lost = self.hardened(high, failures), self.hardened(low, failures - 1)
            self._hardened[key] = self.node(level, self.hardened(low, failures), self.choose(kept, lost, FALSE))
        return self._hardened[key]

    def without(self, number: int, names: Sequence[str]) -> int:
        """The function where these replicas are absent."""
        absent, found = {self.levels[name] for name in names}, {FALSE: FALSE, TRUE: TRUE}
        for each in self.below(number):
            level, low, high = self.nodes[each]
            found[each] = found[low] if level in absent else self.node(level, found[low], found[high])
        return found[number]

    def below(self, number: int) -> list[int]:
        """The nodes that it reaches, itself among them but not false and true; those below come first."""
        seen, left = {FALSE, TRUE}, [number]
        while left:
            each = left.pop()
            if each not in seen:
                seen.add(each)
                left += self.nodes[each][1:]
        return sorted(seen)[2:]

    def evaluate(self, number: int, probabilities: Mapping[str, ArrayLike]) -> Array:
        """P(the function holds), replicas being there independently; no term is negative."""
        chances = [np.asarray(probabilities[name], dtype=float) for name in self.names]
        shape = np.broadcast_shapes(*(p.shape for p in chances))
        values = {FALSE: np.zeros(shape), TRUE: np.ones(shape)}
        for each in self.below(number):
            level, low, high = self.nodes[each]
            p = chances[level]
            values[each] = p * values[high] + (1.0 - p) * values[low]
        return values[number]

    def holds(self, number: int, alive: Collection[str]) -> bool:
        """Whether the function holds of these replicas."""
        there = set(alive)
        while number not in (FALSE, TRUE):
            level, low, high = self.nodes[number]
            number = high if self.names[level] in there else low
        return number == TRUE

    def least(self, number: int) -> float:
        """How many replicas make it hold, at the fewest; infinite where nothing does."""
        sizes = {FALSE: math.inf, TRUE: 0.0}
        for each in self.below(number):
            _, low, high = self.nodes[each]
            sizes[each] = min(sizes[low], 1.0 + sizes[high])
        return sizes[number]

    def smallest(self, number: int) -> frozenset[str]:
        """A set of as few replicas that makes it hold, which must be possible."""
        found = set()
        while number != TRUE:
            level, low, high = self.nodes[number]
            skipped = low != FALSE and self.least(low) == self.least(number)
            found |= set() if skipped else {self.names[level]}
            number = low if skipped else high
        return frozenset(found)

    @functools.cache  # noqa: B019  # as long-lived as the diagram, which keeps all of its nodes anyway
    def minimal(self, number: int) -> tuple[frozenset[str], ...]:
        """The least sets of replicas that make it hold."""
        if number in (FALSE, TRUE):
            return (frozenset(),) if number else ()
        level, low, high = self.nodes[number]
        without = self.minimal(low)
        more = (each for each in self.minimal(high) if not any(other <= each for other in without))
        return (*without, *(each | {self.names[level]} for each in more))
