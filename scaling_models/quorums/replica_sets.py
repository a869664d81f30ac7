"""The replicas of a partial quorum as one coordinator sees them, and how old a write must be to be seen by a read."""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import Any

import numpy as np

from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import Distribution, k_of_n, mixture
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.quorums.formulas.staleness import Place, Staleness
from scaling_models.quorums.legs import LEGS, Legs, ProductionLegs

LEVELS = np.array([0.999, 0.9, 0.5, 0.1, 1e-2, 1e-4, 1e-7, 1e-10, 1e-13])  # of the writes' tails
MOST_KINKS = 300
View = tuple[tuple[Place, int], ...]  # kinds of replica, and how many of each


def views(replicas: tuple[Legs, ...], between: float) -> dict[View, float]:
    """How often a write and a read see the replicas so: each begins at one drawn evenly, `between` (s) from all others.

    Without a distance all see the same.
    """
    if not between:
        return {_view([(legs.four, 0.0, 0.0) for legs in replicas]): 1.0}
    found: Counter[View] = Counter()
    share = 1.0 / len(replicas) ** 2
    for written in range(len(replicas)):
        for read in range(len(replicas)):
            seen = [(legs.four, between * (at != written), between * (at != read)) for at, legs in enumerate(replicas)]
            found[_view(seen)] += share  # type: ignore[assignment]  # counts here are shares
    return dict(found)


def _view(seen: list[Place]) -> View:
    return tuple(sorted(Counter(seen).items(), key=repr))


_staleness = functools.lru_cache(maxsize=64)(Staleness)  # kept from one move of a slider to the next


def nth_reply(seen: dict[View, float], quorum: int, *, read: bool) -> Distribution:
    """The `quorum`-th smallest of the replicas' two messages together, a read's or a write's. Exact."""
    laws: Counter[Distribution] = Counter()
    for view, share in seen.items():
        sums = [
            (four[2] + four[3] if read else four[0] + four[1]) + 2.0 * delays[read]
            for (four, *delays), count in view
            for _ in range(count)
        ]
        laws[k_of_n(quorum, sums)] += share  # type: ignore[assignment]
    if len(laws) == 1:
        return next(iter(laws))
    total = math.fsum(laws.values())
    return mixture([share / total for share in laws.values()], list(laws))


class Visibility(Distribution):
    """The age at which a write is seen by a read that begins then: P(T > t) = P(a read of age t is stale).

    See `formulas.staleness`. Exact but for the quadrature's 1e-5; zero for most reads, an atom.
    """

    replicas: tuple[Legs, ...] = parameter(
        default=(ProductionLegs(),) * 3, domain=Rows(LEGS, most=100), about="the legs of each replica"
    )
    read_quorum: int = parameter(default=1, domain=Integer(1, 100), symbol="R", about="responses a read waits for")
    write_quorum: int = parameter(default=1, domain=Integer(1, 100), symbol="W", about="acknowledgements of a write")
    between: float = parameter(
        default=0.0, domain=Real(open_low=False), unit="s", about="one way to any other replica than the nearest"
    )

    @functools.cached_property
    def _parts(self) -> list[tuple[float, Staleness]]:
        seen = views(self.replicas, self.between)
        return [(share, _staleness(view, self.read_quorum, self.write_quorum)) for view, share in seen.items()]

    @functools.cached_property
    def _stale_at_once(self) -> float:
        return float(self._ccdf(np.array(0.0)))

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Zero, unless every read is stale at once."""
        fresh = 1.0 - self._stale_at_once
        return ((0.0, fresh),) if fresh > 0 else ()

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Zero, and what a kink of a write is later than one of the others' completion and of the request."""
        found = {0.0}
        for view in views(self.replicas, self.between):
            late, done, asked = set[float](), set[float](), set[float]()
            for (four, write_delay, read_delay), _ in view:
                if max(len(leg.places) for leg in four[:3]) > MOST_KINKS:
                    continue
                late |= {kink + write_delay for kink in four[0].kinks}
                done |= {kink + 2.0 * write_delay for kink in (four[0] + four[1]).kinks}
                asked |= {kink + read_delay for kink in four[2].kinks}
            if len(late) * len(done) * len(asked) <= MOST_KINKS:
                found |= {a - b - c for a in late for b in done for c in asked if a - b - c > 0}
        return tuple(sorted(found))

    @property
    def hidden_atoms(self) -> bool:
        """Where writes and requests have atoms, so may the difference."""
        return all(len(legs.four[0].places) and len(legs.four[2].places) for legs in self.replicas)

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of the writes, which it cannot outlast, and its kinks."""
        writes = [law.icdf_levels(LEVELS, upper=True) for law in {legs.four[0] for legs in self.replicas}]
        return graded([*self.kinks, *np.concatenate(writes)], 0.0)

    @property
    def tail_index(self) -> float:
        """All R readers must be late: their indices add up."""
        indices = sorted(legs.four[0].tail_index for legs in self.replicas)
        return math.fsum(indices[: self.read_quorum])

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        """By the integral over the age within that over the write."""
        first, second = np.sum([share * np.array(stale.moments) for share, stale in self._parts], axis=0)
        mean = float(first) if self.tail_index > 1.0 else math.inf
        return mean, max(2.0 * float(second) - mean**2, 0.0) if self.tail_index > 2.0 else math.inf

    def _ccdf(self, t: Array) -> Array:
        found: Any = sum(share * stale(t) for share, stale in self._parts)
        return np.asarray(np.minimum(found, 1.0))

    def _pdf(self, t: Array) -> Array:
        found: Any = sum(share * stale.density(t) for share, stale in self._parts)
        return np.asarray(found)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self._iccdf(rng.random(shape)))
