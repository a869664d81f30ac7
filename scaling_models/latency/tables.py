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
DEEPEST = 40  # halvings of a panel: towards the end of a bounded support, one panel a level
FLOOR = 1e-14  # below this ccdf the table ends


@functools.cache
def _basis() -> tuple[Array, Array]:
    """Chebyshev nodes on [-1, 1], and the matrix from values there to coefficients."""
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    fit = 2.0 / NODES * np.cos(np.outer(np.arange(NODES), angle))
    fit[0] /= 2.0
    return np.cos(angle), fit


class Table:
    """log ccdf on panels [breaks[i], breaks[i + 1]] down to a ccdf of FLOOR, and from there on extrapolated.

    `tail_index` is the power with which the ccdf falls at last; infinite: it falls exponentially, at its last slope.
    """

    def __init__(
        self,
        ccdf: Callable[[Array], Array],
        breaks: Array,
        tolerance: float = TOLERANCE,
        tail_index: float = math.inf,
    ) -> None:
        self.ccdf, self.tolerance, self.tail_index = ccdf, tolerance, tail_index
        lows, highs = breaks[:-1], breaks[1:]
        kept: list[tuple[Array, Array, Array]] = []
        for _ in range(DEEPEST):
            if not len(lows):
                break
            rows, good, alive = self._fit(lows, highs)
            kept.append((lows[good], highs[good], rows[good]))
            lows, highs = _halve(lows[alive & ~good], highs[alive & ~good], breaks[0])
        rows, _, alive = self._fit(lows, highs)  # what no halving resolved is negligibly narrow by now
        kept.append((lows[alive], highs[alive], rows[alive]))
        low, high, rows = (np.concatenate(column) for column in zip(*kept, strict=True))
        order = np.argsort(low)
        self.low, self.high = low[order], high[order]
        self.columns = np.ascontiguousarray(rows[order].T)

    def _fit(self, lows: Array, highs: Array) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
        nodes, fit = _basis()
        t = lows[:, None] + (highs - lows)[:, None] * (nodes + 1.0) / 2.0
        values = self.ccdf(t.ravel()).reshape(t.shape)
        logs = np.log(np.maximum(values, 1e-300))
        rows = logs @ fit.T
        good = np.abs(rows[:, -3:]).max(axis=1) <= self.tolerance
        return rows, good, values[:, -1] > FLOOR  # nodes run downwards: the last is the panel's left

    def __call__(self, t: Array) -> Array:
        """The log of the ccdf at t >= the first break."""
        last = self.high[-1]
        flat = np.minimum(np.ravel(t), last)
        panel = np.maximum(np.searchsorted(self.low, flat, side="right") - 1, 0)
        beyond = np.maximum(np.ravel(t), last)
        out = self._evaluate(self.columns, flat, panel) + self._fall(beyond)
        return np.asarray(out.reshape(np.shape(t)))

    def _fall(self, t: Array) -> Array:
        """How much the log falls from the end of the table to t."""
        last = self.high[-1]
        if math.isinf(self.tail_index):
            return np.asarray(min(self._last_slope, 0.0) * (t - last))
        return np.asarray(-self.tail_index * np.log(t / last))

    @functools.cached_property
    def _last_slope(self) -> float:
        return float(self._evaluate(self._slopes, self.high[-1:], np.array([len(self.low) - 1]))[0])

    @functools.cached_property
    def _slopes(self) -> Array:
        """Coefficients of the derivative of the log on each panel."""
        return np.asarray(chebyshev.chebder(self.columns, axis=0) * (2.0 / (self.high - self.low)))

    def density(self, t: Array) -> Array:
        """-S (log S)' at t >= the first break; zero beyond the table, where less than FLOOR is left."""
        flat = np.ravel(t)
        panel = np.maximum(np.searchsorted(self.low, flat, side="right") - 1, 0)
        inside = (flat >= self.low[panel]) & (flat <= self.high[panel])
        slope = self._evaluate(self._slopes, flat, panel)
        value = -slope * np.exp(self._evaluate(self.columns, flat, panel))
        return np.where(inside, np.maximum(value, 0.0), 0.0).reshape(np.shape(t))

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
