"""k of n behind a delay that several of the parts share."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import NoClosedForm
from scaling_models.latency.affine import Shifted
from scaling_models.latency.algebra import HAIR, LEAST_MASS, KOfN, level_known
from scaling_models.latency.condensed import condensed
from scaling_models.latency.counting import at_least
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.integrals import Integrated
from scaling_models.latency.quadrature import merged
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Integer, Rows, Slider, parameter


class SharedKOfN(Integrated):
    """The k-th smallest of n latencies of which some wait for one shared delay X first: T_i = X + D_i, else F_i.

    Conditioned on X the parts are independent: ccdf E[P(at least n - k + 1 late | X)]. Exact.
    """

    k: int = parameter(
        default=1, domain=Integer(1, 10**6), symbol="k", about="how many have to end", slider=Slider(1, 10, 1)
    )
    delayed: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY), unit="s", about="what the parts that wait take afterwards"
    )
    free: tuple[Distribution, ...] = parameter(
        default=(), domain=Rows(LATENCY, least=0), unit="s", about="the parts that do not wait"
    )
    shared: Distribution = parameter(
        default=0.001, domain=LATENCY, unit="s", about="the delay that all of the delayed parts share"
    )

    def _check(self) -> None:
        if self.k > self._size:
            raise ValueError(f"SharedKOfN.k must lie in [1, {self._size}], the number of parts; got {self.k}")

    @property
    def _size(self) -> int:
        return len(self.delayed) + len(self.free)

    @property
    def _against(self) -> int:
        return self._size - self.k + 1

    @property
    def _outer(self) -> Distribution:
        return self.shared

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        return self.delayed

    @property
    def _free(self) -> tuple[Distribution, ...]:
        return self.free

    def _late(self, t: Array, s: Array) -> Array:
        chances = [condensed(part).ccdf(t) for part in self.free] + [condensed(part).ccdf(s) for part in self.delayed]
        return at_least(self._against, chances)

    @functools.cached_property
    def support(self) -> tuple[float, float]:
        """The k-th smallest start and the k-th smallest end."""
        ends = [
            sorted([*(p.support[e] + self.shared.support[e] for p in self.delayed), *(p.support[e] for p in self.free)])
            for e in (0, 1)
        ]
        return (ends[0][self.k - 1], ends[1][self.k - 1])

    @property
    def tail_index(self) -> float:
        """At most the shared delay's, and that of the n - k + 1 heaviest parts together."""
        parts = sorted(part.tail_index for part in (*self.delayed, *self.free))
        return min(self.shared.tail_index, math.fsum(parts[: self._against]))

    @functools.cached_property
    def lost(self) -> float:
        """That n - k + 1 parts never end: the delayed ones together where the shared delay never does."""
        free, delayed = [np.array(p.lost) for p in self.free], [np.array(p.lost) for p in self.delayed]
        ends = float(at_least(self._against, [*free, *delayed]))
        never = float(at_least(self._against, [*free, *(np.ones(()) for _ in delayed)]))
        return (1.0 - self.shared.lost) * ends + self.shared.lost * never

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Where the ccdf jumps: at atoms of free parts, and of delayed parts together with the shared delay."""
        shared = np.array([place for place, _ in self.shared.atoms])
        delayed = np.array([place for part in self.delayed for place, _ in part.atoms])
        free = np.array([place for part in self.free for place, _ in part.atoms])
        places, _ = merged(np.concatenate([np.add.outer(shared, delayed).ravel(), free]))
        if not places.size:
            return ()
        # Both sides of the jump, a hair away; what the density adds between them is far below a mass that counts.
        masses = self._integral(places * (1.0 - HAIR)) - self._integral(places * (1.0 + HAIR))
        return tuple((float(p), float(m)) for p, m in zip(places, masses, strict=True) if m > LEAST_MASS)

    def _direct_pdf(self, t: Array) -> Array:
        """Where the shared delay is a few atoms (or there are very many): a mixture over them."""
        total = np.zeros(len(t))
        for place, mass in self.shared.atoms:
            parts = (*(Shifted(part, place) for part in self.delayed), *self.free)
            total += mass * KOfN(self.k, parts)._pdf(t)
        if not self._pure_atoms:
            raise NoClosedForm("the density behind a shared delay with very many atoms is not known: simulate it")
        return total

    @functools.cached_property
    def highest_level(self) -> float:
        """Its level at the time up to which every part, and the shared delay, are known."""
        return level_known(self, (*self.delayed, *self.free, self.shared))

    @property
    def mean_known(self) -> bool:
        """Only where all laws are: which part is the k-th depends on how they spread."""
        return self.spread_known and all(part.mean_known for part in (*self.delayed, *self.free, self.shared))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        wait = self.shared._draw(shape, rng)
        drawn = [wait + part._draw(shape, rng) for part in self.delayed]
        drawn += [part._draw(shape, rng) for part in self.free]
        return np.asarray(np.partition(np.stack(drawn), self.k - 1, axis=0)[self.k - 1])
