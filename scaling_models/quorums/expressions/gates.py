"""Expressions that ask several members: k of n, and votes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from scaling_models.latency import Distribution, k_of_n
from scaling_models.latency.counting import at_least
from scaling_models.quorums.expressions.diagrams import Diagram
from scaling_models.quorums.expressions.expression import Array, Expression


class Gate(Expression):
    """Base of what asks several members for votes."""

    members: tuple[Expression, ...]

    @property
    def votes(self) -> tuple[int, tuple[int, ...]]:
        """The least votes, and those of each member."""
        raise NotImplementedError

    def _leaves(self) -> Iterator[str]:
        for member in self.members:
            yield from member._leaves()

    def draw(self, diagram: Diagram) -> int:
        """The members' nodes, counted."""
        needed, weights = self.votes
        return diagram.votes(needed, [member.draw(diagram) for member in self.members], weights)


@dataclasses.dataclass(frozen=True)
class Choose(Gate):
    """At least k of several expressions; `choose`, `+` and `*` build it."""

    k: int
    members: tuple[Expression, ...]

    def __post_init__(self) -> None:
        whole = isinstance(self.k, int | np.integer) and not isinstance(self.k, bool)
        if not (whole and 1 <= self.k <= len(self.members)):
            raise ValueError(
                f"choose: k must lie in [1, {len(self.members)}], the number of members; got {self.k!r}"
                if self.members
                else "choose: there must be one member at least; got none"
            )

    @property
    def votes(self) -> tuple[int, tuple[int, ...]]:
        """k, of one each."""
        return (self.k, (1,) * len(self.members))

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """The k-th smallest of the members' latencies, where no replica appears in two of them."""
        if not self.read_once:
            return super().latency(latencies)
        self._known(latencies, "latency")
        return k_of_n(self.k, [member.latency(latencies) for member in self.members])

    def dual(self) -> Choose:
        """n - k + 1 of the members' duals."""
        return Choose(len(self.members) - self.k + 1, tuple(member.dual() for member in self.members))

    def zoned(self, zones: Mapping[str, str]) -> Choose:
        """k of the members, zoned."""
        return Choose(self.k, tuple(member.zoned(zones) for member in self.members))

    def _tree(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        return at_least(self.k, [member._tree(probabilities) for member in self.members])

    def _products(self) -> Iterator[frozenset[str]]:
        for chosen in itertools.combinations(self.members, self.k):
            for parts in itertools.product(*(list(member._products()) for member in chosen)):
                yield frozenset().union(*parts)

    def __repr__(self) -> str:
        return f"choose({self.k}, {', '.join(map(repr, self.members))})"

    def __str__(self) -> str:
        if len(self.members) > 1 and self.k in (1, len(self.members)):
            inside = (f"({each})" if isinstance(each, Choose) and each.k == 1 else f"{each}" for each in self.members)
            return " + ".join(map(str, self.members)) if self.k == 1 else "*".join(inside)
        return f"choose({self.k}, {', '.join(map(str, self.members))})"


@dataclasses.dataclass(frozen=True)
class Weighted(Gate):
    """Members that hold at least `needed` votes together, each with its own; `weighted` builds it. Gifford (1979)."""

    needed: int
    members: tuple[Expression, ...]
    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.members) or not all(isinstance(w, int) and w >= 0 for w in self.weights):
            raise ValueError(f"weighted: votes must be whole numbers in [0, inf), one a member; got {self.weights!r}")
        if not 1 <= self.needed <= sum(self.weights):
            raise ValueError(
                f"weighted: the votes needed must lie in [1, {sum(self.weights)}], all there are; got {self.needed!r}"
            )

    @property
    def votes(self) -> tuple[int, tuple[int, ...]]:
        """Those needed, and those of each member."""
        return (self.needed, self.weights)

    def dual(self) -> Weighted:
        """All votes but needed - 1."""
        least = sum(self.weights) - self.needed + 1
        return Weighted(least, tuple(member.dual() for member in self.members), self.weights)

    def zoned(self, zones: Mapping[str, str]) -> Weighted:
        """As many votes of the members, zoned."""
        return Weighted(self.needed, tuple(member.zoned(zones) for member in self.members), self.weights)

    def _tree(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        chances = [member._tree(probabilities) for member in self.members]
        state = np.zeros((self.needed + 1, *np.broadcast_shapes(*(p.shape for p in chances))))
        state[0] = 1.0
        for p, weight in zip(chances, self.weights, strict=True):
            moved = state * (1.0 - p)
            for votes, chance in enumerate(state):
                moved[min(votes + weight, self.needed)] += chance * p
            state = moved
        return np.asarray(np.clip(state[-1], 0.0, 1.0))

    def _products(self) -> Iterator[frozenset[str]]:
        return iter(self.diagram.minimal(self.root))

    def __repr__(self) -> str:
        votes = ", ".join(f"({member!r}, {weight})" for member, weight in zip(self.members, self.weights, strict=True))
        return f"weighted({self.needed}, {votes})"


def either(one: Expression, other: Expression) -> Choose:
    """`one + other`, sums of sums as one sum."""
    return Choose(1, (*_alternatives(one), *_alternatives(other)))


def both(one: Expression, other: Expression) -> Choose:
    """`one * other`, products of products as one product."""
    members = (*_requirements(one), *_requirements(other))
    return Choose(len(members), members)


def _alternatives(one: Expression) -> tuple[Expression, ...]:
    return one.members if isinstance(one, Choose) and one.k == 1 else (one,)


def _requirements(one: Expression) -> tuple[Expression, ...]:
    return one.members if isinstance(one, Choose) and one.k == len(one.members) else (one,)
