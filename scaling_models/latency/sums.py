"""Operations that cost an integral: sums of independent latencies, and k of n behind a delay that several share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from scaling_models.latency.algebra import LATENCY
from scaling_models.latency.counting import at_least
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import gauss, graded
from scaling_models.latency.tables import Table
from scaling_models.parameters import Integer, Rows, Slider, parameter

NODES = 10
AT_ONCE = 400_000  # quadrature nodes held in memory together (3 MB an array)
MANY = 200  # more kinks or atoms than this are integrated over at every call instead of cut at in a table


class Integrated(Distribution):
    """Base: the ccdf at t is the mean over an outer latency X of `_late(t, t - X)`.

    The outer's atoms are summed; its density is integrated by Gauss nodes on panels cut wherever either factor has a
    kink. At and below `_inner_start` of its second argument `_late` is constant.
    """

    @property
    def _outer(self) -> Distribution:
        raise NotImplementedError

    def _late(self, t: Array, s: Array) -> Array:
        raise NotImplementedError

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        """The latencies that `_late` asks at its second argument."""
        raise NotImplementedError

    @property
    def _free(self) -> tuple[Distribution, ...]:
        """The latencies that `_late` asks at its first argument."""
        return ()

    @property
    def _inner_start(self) -> float:
        return min(part.support[0] for part in self._inner)

    @functools.cached_property
    def _inner_cuts(self) -> Array:
        return np.unique(np.concatenate([part.cuts for part in self._inner]))

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Every kink of the outer plus every kink within, and those of the parts that do not wait for it."""
        together = np.add.outer(np.array(self._outer.kinks), np.array([k for part in self._inner for k in part.kinks]))
        own = [kink for part in self._free for kink in part.kinks]
        return tuple(sorted({*together.ravel().tolist(), *own}))

    @functools.cached_property
    def _many(self) -> bool:
        inside = sum(len(part.kinks) for part in self._inner)
        return len(self._outer.kinks) * inside > MANY

    @functools.cached_property
    def cuts(self) -> Array:
        """Graded guesses from the parts' cuts."""
        start = self._outer.support[0] + self._inner_start
        outer, inner = self._outer.cuts - self._outer.support[0], self._inner_cuts - self._inner_start
        points = np.concatenate([outer, inner, [outer[-1] + inner[-1]], *(part.cuts - start for part in self._free)])
        sparse = _thinned(points[points > 0])
        kinks = () if self._many else self.kinks
        return graded([start, *(start + sparse), *kinks], start)

    @functools.cached_property
    def _table(self) -> Table:
        return Table(self._integral, self.cuts)

    @functools.cached_property
    def _pure_atoms(self) -> bool:
        return math.fsum(mass for _, mass in self._outer.atoms) + self._outer.lost > 1.0 - 1e-12

    def _ccdf(self, t: Array) -> Array:
        return np.exp(self._log_ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(self._log_ccdf(t))

    @functools.cached_property
    def _tabulated(self) -> bool:
        """Not for a handful of shifts, nor where there are too many kinks to cut at."""
        few = self._pure_atoms and len(self._outer.atoms) <= 8
        return not (few or self._many or self.lost > 0)

    def _log_ccdf(self, t: Array) -> Array:
        if not self._tabulated:
            return np.log(np.clip(self._integral(np.ravel(t)), 1e-300, 1.0)).reshape(np.shape(t))
        start = self.cuts[0]
        return np.where(t < start, 0.0, np.minimum(self._table(np.maximum(t, start)), 0.0))

    def _integral(self, t: Array) -> Array:
        """P(late at t) for flat t."""
        total = self._beyond(t)
        if self._outer.atoms:
            total += _in_chunks(self._jumps, t, len(self._outer.atoms))
        if not self._pure_atoms:
            total += _in_chunks(self._smooth, t, NODES * (len(self._outer.cuts) + len(self._inner_cuts)))
        return total

    def _jumps(self, t: Array) -> Array:
        places, masses = np.array(self._outer.atoms).T
        late = self._late(np.broadcast_to(t[:, None], (len(t), len(places))), t[:, None] - places)
        return np.asarray(np.where(places <= t[:, None] - self._inner_start, late, 0.0) @ masses)

    def _beyond(self, t: Array) -> Array:
        """The outer alone takes longer than leaves anything to the rest."""
        none_back = np.full(np.shape(t), -1.0)
        return np.asarray(self._late(t, none_back) * self._outer.ccdf(t - self._inner_start))

    def _smooth(self, t: Array) -> Array:
        outer = self._outer
        edges = np.concatenate(
            [np.broadcast_to(outer.cuts, (len(t), len(outer.cuts))), t[:, None] - self._inner_cuts], axis=1
        )
        top = np.minimum(t - self._inner_start, outer.cuts[-1])
        edges = np.sort(np.maximum(np.minimum(edges, top[:, None]), outer.support[0]), axis=1)
        rows, places = np.nonzero(np.diff(edges) > 0)
        low, high = edges[rows, places], edges[rows, places + 1]
        x, w = gauss(NODES)
        at = low[:, None] + (high - low)[:, None] * x
        times = np.broadcast_to(t[rows, None], at.shape)
        each = (outer._pdf(at) * self._late(times, times - at)) @ w
        return np.asarray(np.bincount(rows, weights=each * (high - low), minlength=len(t)), dtype=float)


def _in_chunks(function: Callable[[Array], Array], t: Array, width: int) -> Array:
    """The function over pieces of t that hold AT_ONCE values together, each t being `width` wide."""
    step = max(1, AT_ONCE // width)
    return np.concatenate([function(t[i : i + step]) for i in range(0, len(t), step)] or [np.zeros(0)])


def _thinned(points: Array) -> Array:
    """Ascending points at least a factor four apart: the table refines where it must."""
    kept: list[float] = []
    for point in np.sort(points):
        if not kept or point >= 4.0 * kept[-1]:
            kept.append(float(point))
    last = float(np.max(points)) if points.size else None
    return np.array(kept if last is None or last == kept[-1] else [*kept, last])


class Sum(Integrated):
    """Independent latencies one after the other: ccdf S(t) = P(A > t) + E[S_B(t - A); A <= t]."""

    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY, least=2), unit="s", about="the parts, in order"
    )

    @functools.cached_property
    def _ordered(self) -> tuple[Distribution, ...]:
        return tuple(sorted(self.distributions, key=lambda part: len(part.atoms)))

    @property
    def _outer(self) -> Distribution:
        return self._ordered[-1]  # most atoms: those are summed exactly

    @functools.cached_property
    def _rest(self) -> Distribution:
        rest = self._ordered[:-1]
        return rest[0] if len(rest) == 1 else Sum(rest)

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        return (self._rest,)

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(self._rest.ccdf(s))

    @property
    def support(self) -> tuple[float, float]:
        """The parts' starts and ends added."""
        return (
            math.fsum(part.support[0] for part in self.distributions),
            math.fsum(part.support[1] for part in self.distributions),
        )

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Atoms of the one with atoms of the other; none listed where they are too many."""
        pairs: dict[float, float] = {}
        if len(self._outer.atoms) * len(self._rest.atoms) <= MANY**2:
            for a, p in self._outer.atoms:
                for b, q in self._rest.atoms:
                    pairs[a + b] = pairs.get(a + b, 0.0) + p * q
        return tuple(sorted(pairs.items()))

    @property
    def tail_index(self) -> float:
        """The heaviest part's."""
        return min(part.tail_index for part in self.distributions)

    @property
    def lost(self) -> float:
        """That any part never ends."""
        return 1.0 - math.prod(1.0 - part.lost for part in self.distributions)

    @property
    def spread_known(self) -> bool:
        """True where it is of every part."""
        return all(part.spread_known for part in self.distributions)

    def mean(self) -> float:
        """The parts' means added."""
        return math.fsum(part.mean() for part in self.distributions)

    def variance(self) -> float:
        """The parts' variances added."""
        return math.fsum(part.variance() for part in self.distributions)

    def _pdf(self, t: Array) -> Array:
        """From the table's slope; without a table, the same integral over the density of the rest."""
        if self._tabulated:
            start = self.cuts[0]
            return np.where(t < start, 0.0, self._table.density(np.maximum(t, start)))
        flat = np.ravel(t)
        density = _Density(self.distributions)
        total = np.zeros(len(flat))
        for place, mass in self._rest.atoms:
            total += mass * self._outer.pdf(flat - place)
        if self._outer.atoms:
            total += _in_chunks(density._jumps, flat, len(self._outer.atoms))
        if not self._pure_atoms:
            total += _in_chunks(density._smooth, flat, NODES * (len(self._outer.cuts) + len(self._inner_cuts)))
        return total.reshape(np.shape(t))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(sum(part._draw(shape, rng) for part in self.distributions))

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.distributions)


class _Density(Sum):
    """A sum whose inner function is the density of the rest instead of its ccdf."""

    def _late(self, t: Array, s: Array) -> Array:
        return np.asarray(self._rest.pdf(s))


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
        chances = [part.ccdf(t) for part in self.free] + [part.ccdf(s) for part in self.delayed]
        return at_least(self._against, chances)

    @functools.cached_property
    def support(self) -> tuple[float, float]:
        """The k-th smallest start and the k-th smallest end."""
        ends = [
            sorted([*(p.support[e] + self.shared.support[e] for p in self.delayed), *(p.support[e] for p in self.free)])
            for e in (0, 1)
        ]
        return (ends[0][self.k - 1], ends[1][self.k - 1])

    @functools.cached_property
    def cuts(self) -> Array:
        """As for a sum, from the true start."""
        points = np.concatenate([self.shared.cuts + self._inner_start, *(p.cuts for p in self.free)])
        points = np.concatenate([points, self._inner_cuts + self.shared.support[0]])
        points = np.append(points, self.shared.cuts[-1] + self._inner_cuts[-1])
        start = self.support[0]
        kinks = () if self._many else tuple(k for k in self.kinks if k >= start)
        return graded([start, *(start + _thinned(points[points > start] - start)), *kinks], start)

    @property
    def tail_index(self) -> float:
        """At most the shared delay's, and that of the n - k + 1 heaviest parts together."""
        parts = sorted(part.tail_index for part in (*self.delayed, *self.free))
        return min(self.shared.tail_index, math.fsum(parts[: self._against]))

    @property
    def spread_known(self) -> bool:
        """True where it is of every part."""
        return all(part.spread_known for part in (*self.delayed, *self.free, self.shared))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        wait = self.shared._draw(shape, rng)
        drawn = [wait + part._draw(shape, rng) for part in self.delayed]
        drawn += [part._draw(shape, rng) for part in self.free]
        return np.asarray(np.partition(np.stack(drawn), self.k - 1, axis=0)[self.k - 1])
