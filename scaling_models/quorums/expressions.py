"""Quorum expressions: leaves and k of n. One evaluation gives latency, availability and what survives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.latency import Distribution, k_of_n
from scaling_models.latency.counting import at_least
from scaling_models.latency.quadrature import gauss, panels

Array = NDArray[np.float64]
TIE = 1e-12  # relative distance of two times that are the same


class Expression:
    """Base of monotone expressions over named replicas."""

    def evaluate(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        """P(the quorum is there), each replica being there independently with its probability; broadcasts. Exact.

        At p_i = F_i(t) it is the latency's cdf, at p_i = A_i the availability, at 0 and 1 what survives.
        """
        raise NotImplementedError

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """The time until the quorum has replied, each replica after its own independent latency. Exact."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        """The replicas, in order."""
        raise NotImplementedError

    def survives(self, alive: Collection[str]) -> bool:
        """Whether the replicas alive contain a quorum."""
        return bool(self.evaluate({name: float(name in alive) for name in self.names()}) > 0.5)


class Leaf(Expression):
    """One replica."""

    def __init__(self, name: str) -> None:
        self.name = name

    def evaluate(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        """Its own probability."""
        return np.asarray(probabilities[self.name], dtype=float)

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """Its own latency."""
        return latencies[self.name]

    def names(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def __repr__(self) -> str:
        return f"Leaf({self.name!r})"


class Choose(Expression):
    """At least k of several expressions; `choose` builds it."""

    def __init__(self, k: int, members: tuple[Expression, ...]) -> None:
        self.k, self.members = k, members

    def evaluate(self, probabilities: Mapping[str, ArrayLike]) -> Array:
        """The counting law over the members."""
        return at_least(self.k, [member.evaluate(probabilities) for member in self.members])

    def latency(self, latencies: Mapping[str, Distribution]) -> Distribution:
        """The k-th smallest of the members' latencies."""
        return k_of_n(self.k, [member.latency(latencies) for member in self.members])

    def names(self) -> tuple[str, ...]:
        """Those of the members."""
        return tuple(name for member in self.members for name in member.names())

    def __repr__(self) -> str:
        return f"choose({self.k}, {', '.join(map(repr, self.members))})"


def choose(k: int, *members: Expression | str) -> Choose:
    """At least `k` of the members, which are expressions or names of replicas; a replica may appear once.

    Raises ValueError for k outside 1 to the number of members, and for a repeated replica, which would need factoring.
    """
    if not 1 <= k <= len(members):
        raise ValueError(f"choose: k must lie in [1, {len(members)}], the number of members; got {k}")
    made = Choose(k, tuple(Leaf(member) if isinstance(member, str) else member for member in members))
    names = made.names()
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"choose: a replica may appear once in an expression; {twice!r} appears {names.count(twice)} times"
        )
    return made


def completion(expression: Expression, latencies: Mapping[str, Distribution]) -> dict[str, float]:
    """P(replica i's reply is the one that completes the quorum), for every replica. Exact.

    int [Q(p_i = 1) - Q(p_i = 0)] dF_i(t) at p_j = F_j(t): Gauss nodes where F_i has a density; at an atom the tie is
    broken evenly, by spreading the atoms there over one common unit of u.
    """
    names = expression.names()
    cuts = np.unique(np.concatenate([latencies[name].cuts for name in names]))
    return {name: _deciding(expression, name, latencies, cuts) for name in names}


def _deciding(expression: Expression, name: str, latencies: Mapping[str, Distribution], cuts: Array) -> float:
    own = latencies[name]
    total = 0.0
    if len(cuts) > 1:
        t, w = panels(cuts)
        others = {other: law.cdf(t) for other, law in latencies.items()}
        total += float((w * own.pdf(t) * _influence(expression, name, others)).sum())
    if own.atoms:
        places, masses = np.array(own.atoms).T
        u, w = gauss(len(latencies) // 2 + 1)
        before, after = places * (1.0 - TIE), places * (1.0 + TIE)  # atoms that only rounding tells apart are one
        others = {
            other: law.cdf(before)[:, None] + (law.cdf(after) - law.cdf(before))[:, None] * u
            for other, law in latencies.items()
        }
        total += float(masses @ _influence(expression, name, others) @ w)
    return total


def _influence(expression: Expression, name: str, probabilities: Mapping[str, Any]) -> Array:
    shape = np.shape(probabilities[name])  # an expression of this replica alone depends on no other
    with_it = expression.evaluate({**probabilities, name: np.ones(shape)})
    return with_it - expression.evaluate({**probabilities, name: np.zeros(shape)})
