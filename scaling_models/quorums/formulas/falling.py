"""A falling probability known at some places: between them, its slope, and what lies beyond."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from scaling_models.latency.quadrature import gauss

Array = NDArray[np.float64]
NEAR = 1e-14  # relative: too near to be told apart
CELL = 6  # Gauss nodes from one entry to the next


class Falling:
    """A table of a falling probability; between its places monotone cubics through the logarithms of both axes."""

    def __init__(self, places: Array, values: Array) -> None:
        self.scale = float(np.median(places)) or 1.0
        logs = np.log(places + self.scale)
        there = (values > 0) & (np.diff(logs, prepend=-math.inf) > NEAR)
        self.start, self.end = places[0], places[there][-1] if there.sum() > 1 else -math.inf
        self.places = places[there]
        if there.sum() > 1:
            self.table = PchipInterpolator(logs[there], np.log(values[there]))
            self.slope = self.table.derivative()

    def __call__(self, at: Array) -> Array:
        """The probability at places from the first entry on."""
        if self.end < self.start:
            return np.zeros(at.shape)
        known = np.clip(at, self.start, self.end)
        return np.where(at <= self.end, np.exp(self.table(np.log(known + self.scale))), 0.0)

    def density(self, at: Array) -> Array:
        """Minus its slope."""
        if self.end < self.start:
            return np.zeros(at.shape)
        inside = (at >= self.start) & (at <= self.end)
        known = np.clip(at, self.start, self.end) + self.scale
        logs = np.log(known)
        return np.where(inside, -np.exp(self.table(logs)) * self.slope(logs) / known, 0.0)

    def beyond(self, at: Array) -> Array:
        """The integrals from each place on, of the probability and of it times the distance from there (places, 2)."""
        if self.end < self.start:
            return np.zeros((len(at), 2))
        edges, (first, second) = self.places, self._left
        after = np.clip(np.searchsorted(edges, at, side="right"), 1, len(edges) - 1)
        low = np.clip(at, edges[0], edges[after])
        inside, further = self._over(low, edges[after])
        width, flat = edges[after] - low, np.maximum(edges[0] - at, 0.0)
        whole = inside + first[after]
        further = further + width * first[after] + second[after]
        height = float(self(edges[:1])[0])  # before the first entry it is constant
        return np.stack([whole + height * flat, further + flat * whole + height * flat**2 / 2.0], axis=1)

    @functools.cached_property
    def _left(self) -> tuple[Array, Array]:
        """The same from each entry on."""
        inside, further = self._over(self.places[:-1], self.places[1:])
        first = np.append(np.cumsum(inside[::-1])[::-1], 0.0)
        further = further + np.diff(self.places) * first[1:]
        return first, np.append(np.cumsum(further[::-1])[::-1], 0.0)

    def _over(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Between two places: the integral of the probability, and of it times the distance from the first."""
        u, w = gauss(CELL)
        width = high - low
        away = width[:, None] * u
        each = self(low[:, None] + away) * w
        return width * each.sum(axis=1), width * (away * each).sum(axis=1)
