"""A decreasing ccdf kept as an adaptive piecewise Chebyshev table of its logarithm."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.interpolate import PPoly

Array = NDArray[np.float64]
NODES = 14
TOLERANCE = 1e-9  # of log ccdf, so a relative error of the ccdf; looser where the function holds tables itself
LOOSER = 1e-8  # below this ccdf the tolerance grows as 1/sqrt(ccdf): near a bounded end the function itself is rough
DEEPEST = 40  # halvings of a panel: towards the end of a bounded support, one panel a level
NARROWEST = 1e-11  # of the time where it lies: a panel so narrow is kept as it is
MOST = 3000  # panels tried in all: a function that is rough everywhere must not be chased for ever
HAIR = 1e-12  # relative: to the right of a jump, whatever rounding made of its place
LOG_NOTHING = math.log(1e-300)
FLOOR = 1e-14  # below this ccdf the table ends
FINE = 0.03  # of the tolerance, for a table that stands for a law which holds none
STEEP = 8.0  # the log falls by no more from one cut to the next, so that Gauss nodes between them see it
LEAST_PANEL = 1e-20  # of the table's end: powers of less would overflow
LOOSEST = 1e-7  # however many tables lie under each other
STRAIGHT, AS_STRAIGHT = 100, 1e-6  # the depth of straight pieces between the nodes of a lattice, and how rough they are


def tolerance_at(depth: int) -> float:
    """Of log ccdf, with tables so many deep beneath: their own roughness would be chased in vain."""
    return AS_STRAIGHT if depth >= STRAIGHT else min(TOLERANCE * 4.0**depth, LOOSEST)


@functools.cache
def _powers() -> Array:
    """From coefficients of Chebyshev polynomials on [-1, 1] to those of powers of the share of the panel, on [0, 1]."""
    matrix = np.zeros((NODES, NODES))
    share = np.polynomial.Polynomial([-1.0, 2.0])
    for order, row in enumerate(np.eye(NODES)):
        matrix[: order + 1, order] = np.polynomial.Polynomial(chebyshev.cheb2poly(row[: order + 1]))(share).coef
    return matrix


@functools.cache
def _basis() -> tuple[Array, Array]:
    """Chebyshev nodes on [-1, 1], and the matrix from values there to coefficients."""
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    fit = 2.0 / NODES * np.cos(np.outer(np.arange(NODES), angle))
    fit[0] /= 2.0
    return np.cos(angle), fit


class Table:
    """log ccdf on contiguous panels from the first of `breaks` down to a ccdf of `floor`, and from there extrapolated.

    `tail_index` is the power with which the ccdf falls at last, `end` where its support ends; with neither it falls
    exponentially, at its last slope.
    """

    def __init__(
        self,
        ccdf: Callable[[Array], Array],
        breaks: Array,
        tolerance: float = TOLERANCE,
        tail_index: float = math.inf,
        end: float = math.inf,
        floor: float = FLOOR,
    ) -> None:
        self.ccdf, self.tolerance, self.tail_index, self.end, self.floor = ccdf, tolerance, tail_index, end, floor
        lows, highs = breaks[:-1], breaks[1:]
        kept: list[tuple[Array, Array, Array]] = []
        tried = 0
        for depth in range(DEEPEST):
            rows, good, alive = self._fit(lows, highs)
            tried += len(lows)
            last = depth == DEEPEST - 1 or tried > MOST
            done = alive & (good | (highs - lows < NARROWEST * highs) | last)
            kept.append((lows[done], highs[done], rows[done]))
            lows, highs = _halve(lows[alive & ~done], highs[alive & ~done], breaks[0])
            if not len(lows):
                break
        low, high, rows = (np.concatenate(column) for column in zip(*kept, strict=True))
        order = np.argsort(low)
        # The ccdf falls, so that beyond the first panel that was not alive none is: the table ends there.
        gaps = np.flatnonzero(low[order][1:] > high[order][:-1])
        order = order[: gaps[0] + 1] if gaps.size else order
        if not len(order):  # nothing is left from the first break on
            order, low, high, rows = np.array([0]), breaks[:1], breaks[1:2], np.full((1, NODES), 0.0)
            rows[0, 0] = LOG_NOTHING
        self.low, self.high = low[order], high[order]
        # As powers scipy evaluates them ten times faster than Clenshaw's recursion would be here, and to 1e-14.
        columns = _powers() @ rows[order].T / self._widths ** np.arange(NODES)[:, None]
        self._logs = PPoly(np.ascontiguousarray(columns[::-1]), np.append(self.low, self.high[-1]) / self._unit)
        # Where the last thing is a jump, the tail goes on from its foot.
        foot = float(ccdf(self.high[-1:] * (1.0 + HAIR))[0])
        self.foot = math.log(foot) if foot > 1e-300 else LOG_NOTHING

    def _fit(self, lows: Array, highs: Array) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
        nodes, fit = _basis()
        t = lows[:, None] + (highs - lows)[:, None] * (nodes + 1.0) / 2.0
        values = self.ccdf(t.ravel()).reshape(t.shape)
        logs = np.log(np.maximum(values, 1e-300))
        rows = logs @ fit.T
        left = values[:, -1]  # nodes run downwards: the last is the panel's left
        allowed = self.tolerance * np.sqrt(np.maximum(1.0, LOOSER / np.maximum(left, 1e-300)))
        return rows, np.abs(rows[:, -3:]).max(axis=1) <= allowed, left > self.floor

    def __call__(self, t: Array) -> Array:
        """The log of the ccdf at t >= the first break."""
        times, last = np.asarray(t), self.high[-1]
        out = np.asarray(self._logs(self._inside(times)))
        if (beyond := times >= last).any():
            out[beyond] = self.foot + self._fall(times[beyond])
        return out

    def _inside(self, t: Array) -> Array:
        return np.asarray(np.clip(t, self.low[0], self.high[-1]) / self._unit)

    def _fall(self, t: Array) -> Array:
        """How much the log falls from the end of the table to t."""
        last, slope = self.high[-1], min(self._last_slope, 0.0)
        if math.isfinite(self.end):
            left = np.maximum(self.end - t, 1e-300) / max(self.end - last, 1e-300)
            return np.asarray(-slope * (self.end - last) * np.log(np.minimum(left, 1.0)))
        if math.isfinite(self.tail_index):
            return np.asarray(-self.tail_index * np.log(t / last))
        return np.asarray(slope * (t - last))

    @functools.cached_property
    def _last_slope(self) -> float:
        return float(self._slopes(self._inside(self.high[-1:]))[0]) / float(self._unit)

    @functools.cached_property
    def _slopes(self) -> PPoly:
        return self._logs.derivative()

    @property
    def _unit(self) -> float:
        return float(self.high[-1])

    @property
    def _widths(self) -> Array:
        return np.asarray(np.maximum((self.high - self.low) / self._unit, LEAST_PANEL))

    def density(self, t: Array) -> Array:
        """-S (log S)' at t >= the first break; zero beyond the table, where less than `floor` is left."""
        times = np.asarray(t)
        at = self._inside(times)
        value = np.maximum(-self._slopes(at) / self._unit * np.exp(self._logs(at)), 0.0)
        return np.where((times >= self.low[0]) & (times <= self.high[-1]), value, 0.0)

    @functools.cached_property
    def cuts(self) -> Array:
        """The ends of the panels, and more where the log falls by more than STEEP: between them Gauss nodes do well."""
        ends = np.append(self.low, self.high[-1])
        falls = -np.diff(np.append(self._logs(self.low / self._unit), self.foot))
        pieces = np.clip(np.ceil(falls / STEEP), 1, DEEPEST).astype(int)
        parts = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts, widths = np.repeat(self.low, pieces), np.repeat(np.diff(ends) / pieces, pieces)
        return np.append(starts + parts * widths, ends[-1])


def _halve(lows: Array, highs: Array, start: float) -> tuple[Array, Array]:
    """Panels cut in two: at the geometric middle where they span much seen from the start, else in the middle."""
    near, far = lows - start, highs - start
    wide = (near > 0) & (far > 4.0 * near)
    middle = np.where(wide, start + np.sqrt(np.maximum(near, 1e-300) * far), (lows + highs) / 2.0)
    return np.concatenate([lows, middle]), np.concatenate([middle, highs])
