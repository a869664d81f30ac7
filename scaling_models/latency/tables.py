"""A decreasing ccdf kept as an adaptive piecewise Chebyshev table of its logarithm."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

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
LOOSEST = 1e-7  # however many tables lie under each other
STRAIGHT, AS_STRAIGHT = 100, 1e-6  # the depth of straight pieces between the nodes of a lattice, and how rough they are


def tolerance_at(depth: int) -> float:
    """Of log ccdf, with tables so many deep beneath: their own roughness would be chased in vain."""
    return AS_STRAIGHT if depth >= STRAIGHT else min(TOLERANCE * 4.0**depth, LOOSEST)


@functools.cache
def _basis() -> tuple[Array, Array]:
    """Chebyshev nodes on [-1, 1], and the matrix from values there to coefficients."""
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    fit = 2.0 / NODES * np.cos(np.outer(np.arange(NODES), angle))
    fit[0] /= 2.0
    return np.cos(angle), fit


class Table:
    """log ccdf on contiguous panels from the first of `breaks` down to a ccdf of FLOOR, and from there extrapolated.

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
    ) -> None:
        self.ccdf, self.tolerance, self.tail_index, self.end = ccdf, tolerance, tail_index, end
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
        self.columns = np.ascontiguousarray(rows[order].T)
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
        return rows, np.abs(rows[:, -3:]).max(axis=1) <= allowed, left > FLOOR

    def __call__(self, t: Array) -> Array:
        """The log of the ccdf at t >= the first break."""
        flat, last = np.ravel(t), self.high[-1]
        inside, panel = self._locate(flat)
        beyond = self.foot + self._fall(np.maximum(flat, last))
        out = np.where(flat < last, self._evaluate(self.columns, inside, panel), beyond)
        return np.asarray(out.reshape(np.shape(t)))

    def _locate(self, t: Array) -> tuple[Array, NDArray[np.intp]]:
        inside = np.clip(t, self.low[0], self.high[-1])
        return inside, np.maximum(np.searchsorted(self.low, inside, side="right") - 1, 0)

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
        return float(self._evaluate(self._slopes, self.high[-1:], np.array([len(self.low) - 1]))[0])

    @functools.cached_property
    def _slopes(self) -> Array:
        """Coefficients of the derivative of the log on each panel."""
        return np.asarray(chebyshev.chebder(self.columns, axis=0) * (2.0 / (self.high - self.low)))

    def density(self, t: Array) -> Array:
        """-S (log S)' at t >= the first break; zero beyond the table, where less than FLOOR is left."""
        inside, panel = self._locate(np.ravel(t))
        slope = self._evaluate(self._slopes, inside, panel)
        value = np.maximum(-slope * np.exp(self._evaluate(self.columns, inside, panel)), 0.0)
        return np.where(np.ravel(t) == inside, value, 0.0).reshape(np.shape(t))

    def _evaluate(self, columns: Array, t: Array, panel: NDArray[np.intp]) -> Array:
        low, high = self.low[panel], self.high[panel]
        x = (2.0 * t - low - high) / (high - low)
        twice = 2.0 * x
        b1 = b2 = np.zeros(np.shape(t))
        for column in columns[:0:-1]:  # Clenshaw
            b1, b2 = twice * b1 - b2 + column[panel], b1
        return np.asarray(x * b1 - b2 + columns[0][panel])


def _halve(lows: Array, highs: Array, start: float) -> tuple[Array, Array]:
    """Panels cut in two: at the geometric middle where they span much seen from the start, else in the middle."""
    near, far = lows - start, highs - start
    wide = (near > 0) & (far > 4.0 * near)
    middle = np.where(wide, start + np.sqrt(np.maximum(near, 1e-300) * far), (lows + highs) / 2.0)
    return np.concatenate([lows, middle]), np.concatenate([middle, highs])
