"""What sums and shared delays have in common: the ccdf is a mean over an outer latency, an integral."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from scaling_models.latency.condensed import condensed
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.quadrature import gauss, graded, merged
from scaling_models.latency.tables import Table, tolerance_at

NODES = 10
AT_ONCE = 400_000  # quadrature nodes held in memory together (3 MB an array)
ROUNDING = 1e-15  # relative
MOST_KINKS = 10_000  # of a sum: of more only the ends of the support are told
MANY = 200  # more kinks or atoms than this are integrated over at every call instead of cut at in a table


class Integrated(Distribution):
    """Base: the ccdf at t is the mean over an outer latency X of `_late(t, t - X)`, which broadcasts.

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
        return merged(np.concatenate([condensed(part).cuts for part in self._inner]))[0]

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Every kink of the outer plus every kink within, and those of the parts that do not wait for it."""
        inside = np.concatenate([part.kinks for part in self._inner])
        if len(inside) * len(self._outer.kinks) > MOST_KINKS:
            return super().kinks
        together = np.add.outer(np.array(self._outer.kinks), inside)
        own = [kink for part in self._free for kink in part.kinks]
        return tuple(merged(np.concatenate([together.ravel(), own]))[0].tolist())

    @functools.cached_property
    def _many(self) -> bool:
        inside = sum(len(part.kinks) for part in self._inner)
        return len(self._outer.kinks) * inside > MANY

    @functools.cached_property
    def cuts(self) -> Array:
        """The table's own panels, which resolve it; without a table, all that the parts' cuts give."""
        if not self._tabulated:
            kinks = () if self._many else self.kinks
            return graded([self.support[0], *self._guesses, *kinks], self.support[0])
        return np.append(self._table.low, self._table.high[-1])

    @functools.cached_property
    def _guesses(self) -> Array:
        """Times by which the scales of the parts come together, after the start."""
        outer, inner = self._outer.cuts - self._outer.support[0], self._inner_cuts - self._inner_start
        together = self._outer.support[0] + self._inner_start
        waited = together + np.concatenate([outer, inner, [outer[-1] + inner[-1]]])
        points = np.concatenate([waited, *(part.cuts for part in self._free)])
        return points[points > self.support[0]]

    @functools.cached_property
    def _breaks(self) -> Array:
        """What the table begins with: every kink, and few of the guesses, for it refines where it must."""
        start = self.support[0]
        sparse = start + thinned(self._guesses - start)
        return graded([start, *sparse, *(kink for kink in self.kinks if kink > start)], start)

    @property
    def _depth(self) -> int:
        """How many tables lie under this one."""
        return max(condensed(part).depth for part in (self._outer, *self._inner, *self._free))

    @property
    def depth(self) -> int:
        """Its own table too."""
        return self._depth + 1

    @functools.cached_property
    def _table(self) -> Table:
        return _table_of(self)

    @functools.cached_property
    def _pure_atoms(self) -> bool:
        return float(self._outer.atom_table[1].sum()) + self._outer.lost > 1.0 - 1e-12

    def _ccdf(self, t: Array) -> Array:
        return np.exp(self._log_ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(self._log_ccdf(t))

    @functools.cached_property
    def _tabulated(self) -> bool:
        """Not for a handful of shifts, nor where there are too many kinks to cut at."""
        few = self._pure_atoms and len(self._outer.atom_table[0]) <= 8
        return not (few or self._many or self.lost > 0)

    def _pdf(self, t: Array) -> Array:
        """From the table's slope; else as `_direct_pdf` tells."""
        if not self._tabulated:
            return self._direct_pdf(np.ravel(t)).reshape(np.shape(t))
        start = self.support[0]
        return np.where(t < start, 0.0, self._table.density(np.maximum(t, start)))

    def _direct_pdf(self, t: Array) -> Array:
        """The density where there is no table, for flat t."""
        raise NotImplementedError

    def _log_ccdf(self, t: Array) -> Array:
        if not self._tabulated:
            return np.log(np.clip(self._integral(np.ravel(t)), 1e-300, 1.0)).reshape(np.shape(t))
        start, end = self.support
        logs = np.minimum(self._table(np.maximum(t, start)), 0.0)
        return np.where(t < start, 0.0, np.where(t >= end, -np.inf, logs))

    def _integral(self, t: Array) -> Array:
        """P(late at t) for flat t."""
        total = self._beyond(t)
        if atoms := len(self._outer.atom_table[0]):
            total += in_chunks(self._jumps, t, atoms)
        if not self._pure_atoms:
            total += in_chunks(self._smooth, t, NODES * (len(condensed(self._outer).cuts) + len(self._inner_cuts)))
        return total

    def _jumps(self, t: Array) -> Array:
        places, masses = self._outer.atom_table
        # A hair later: what is left after an atom may miss an atom of the rest by one rounding.
        left = t[:, None] * (1.0 + ROUNDING) - places
        late = self._late(t[:, None], left)
        return np.asarray(np.where(left >= self._inner_start, late, 0.0) @ masses)

    def _beyond(self, t: Array) -> Array:
        """The outer alone takes longer than leaves anything to the rest."""
        none_back = np.full(np.shape(t), -1.0)
        return np.asarray(self._late(t, none_back) * self._outer.ccdf(t * (1.0 + ROUNDING) - self._inner_start))

    def _smooth(self, t: Array) -> Array:
        outer = condensed(self._outer)
        edges = np.concatenate(
            [np.broadcast_to(outer.cuts, (len(t), len(outer.cuts))), t[:, None] - self._inner_cuts], axis=1
        )
        top = np.minimum(t - self._inner_start, outer.cuts[-1])
        edges = np.sort(np.maximum(np.minimum(edges, top[:, None]), outer.support[0]), axis=1)
        rows, places = np.nonzero(np.diff(edges) > 0)
        low, high = edges[rows, places], edges[rows, places + 1]
        x, w = gauss(NODES)
        at = low[:, None] + (high - low)[:, None] * x
        times = t[rows, None]
        each = (outer._pdf(at) * self._late(times, times - at)) @ w
        return np.asarray(np.bincount(rows, weights=each * (high - low), minlength=len(t)), dtype=float)


@functools.lru_cache(maxsize=256)  # a slider leaves most sums within a model as they are
def _table_of(law: Integrated) -> Table:
    return Table(law._integral, law._breaks, tolerance_at(law._depth), law.tail_index, law.support[1])


def in_chunks(function: Callable[[Array], Array], t: Array, width: int) -> Array:
    """The function over pieces of t that hold AT_ONCE values together, each t being `width` wide."""
    step = max(1, AT_ONCE // width)
    return np.concatenate([function(t[i : i + step]) for i in range(0, len(t), step)] or [np.zeros(0)])


def thinned(points: Array) -> Array:
    """Ascending points at least a factor four apart: the table refines where it must."""
    kept: list[float] = []
    for point in np.sort(points):
        if not kept or point >= 4.0 * kept[-1]:
            kept.append(float(point))
    last = float(np.max(points)) if points.size else None
    return np.array(kept if last is None or last == kept[-1] else [*kept, last])
