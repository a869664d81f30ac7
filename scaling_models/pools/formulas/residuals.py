"""What is left of a service that has begun: the residual life, on a grid, in units of the mean service."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import panels

Array = NDArray[np.float64]
FROM, TO = 1e-4, 1e5  # means
POINTS = 3000
NODES = 4
STEEP = 1e-4  # relative fall of a power between two places, below which it is as good as linear


class Residual(NamedTuple):
    """At ascending `t` (means of the service): the residual's `ccdf`, and the `area` below it up to there.

    `ccdf` is the equilibrium distribution's 1 - E min(S, t)/E S; all of its area is (1 + scv)/2. `skew` is
    E S^3 E S/(E S^2)^2, the residual's second moment over the square of its first, times 3/4: 1.5 if exponential.
    """

    t: Array
    ccdf: Array
    area: Array
    skew: float

    def late(self, t: Array) -> Array:
        """P(residual > t)."""
        return np.asarray(np.interp(t, self.t, self.ccdf))

    def least_of(self, number: int) -> float:
        """The mean of the least of several residuals: of the power of a ccdf that is linear between its places."""
        near, far = self.ccdf[:-1], self.ccdf[1:]
        fall = near - far
        steep = number * fall > STEEP * near
        high, low = near ** (number + 1), far ** (number + 1)
        power = np.where(
            steep, (high - low) / ((number + 1) * np.where(steep, fall, 1.0)), (near**number + far**number) / 2.0
        )
        return float(np.diff(self.t) @ power)


@functools.lru_cache(maxsize=64)
def residual(service: Distribution) -> Residual:
    """The residual life of a service of finite mean."""
    mean = service.mean()
    inside = [kink / mean for kink in service.kinks if FROM < kink / mean < TO]
    t = np.unique(np.concatenate([[0.0], np.geomspace(FROM, TO, POINTS), inside]))
    at, weight = panels(t, NODES)
    cells = (np.asarray(service.ccdf(at * mean)) * weight).reshape(-1, NODES).sum(axis=1)
    index = service.tail_index
    beyond = TO * float(service.ccdf(TO * mean)) / (index - 1.0) if math.isfinite(index) else 0.0
    late = np.append(np.cumsum(cells[::-1])[::-1], 0.0) + beyond
    late /= late[0]
    steps = np.diff(t) * (late[1:] + late[:-1]) / 2.0
    first = (1.0 + service.scv) / 2.0
    second = math.inf if index <= 3 else 2.0 * float((steps * (t[1:] + t[:-1]) / 2.0).sum())
    return Residual(
        t, late, np.append(0.0, np.cumsum(steps)), 0.75 * second / first**2 if first < math.inf else math.inf
    )
