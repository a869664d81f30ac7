"""Pauses that outlast timeouts: of a leader for whom all wait, or of a follower who hears nobody meanwhile."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import gauss, graded

Array = NDArray[np.float64]
NODES = 12  # a panel
NEVER = 1e-15  # the chance of so many losses in a row that their number is no longer told apart
MOST_MISSES = 64
ROUNDING = 1e-12
SHORTEST = 1e-6  # of the longest timeout: pauses that are shorter hardly count


class Patience(NamedTuple):
    """Timeouts U(least, least + spread) (s) of so many followers since each last heard of the leader.

    It sends a `heartbeat` (s) apart; each reaches each follower with probability 1 - loss, but not so many in a row
    were missed that its timer had fired before.
    """

    least: float
    spread: float
    heartbeat: float
    followers: int
    loss: float = 0.0

    @property
    def missed(self) -> tuple[Array, Array]:
        """How many heartbeats a follower missed just before, and with which probabilities."""
        most = min(max(math.floor(self.least / self.heartbeat) - 1, 0), MOST_MISSES)
        numbers = np.arange(most + 1.0)
        chances = (1.0 - self.loss) * self.loss**numbers
        chances[-1] = self.loss**most
        kept = chances > NEVER
        return numbers[kept], chances[kept]

    @property
    def kinks(self) -> Array:
        """Where the density of the first timeout after the pause's start changes its form (s)."""
        back = np.add.outer(self.heartbeat * self.missed[0], [0.0, self.heartbeat]).ravel()
        ends = np.subtract.outer([self.least, self.least + self.spread], back).ravel()
        return np.maximum(ends, 0.0)

    def still(self, t: ArrayLike) -> Array:
        """P(no timer has fired t after the last heartbeat arrived)."""
        numbers, chances = self.missed
        late = np.asarray(t, dtype=float)[..., None] + self.heartbeat * numbers
        one = np.clip((self.least + self.spread - late) / self.spread, 0.0, 1.0) @ chances
        return np.asarray(one**self.followers)

    def density(self, t: ArrayLike) -> Array:
        """Of the first timeout, counted from a moment between two heartbeats that is as likely as any other."""
        time = np.asarray(t, dtype=float)
        return (self.still(time) - self.still(time + self.heartbeat)) / self.heartbeat


class Waiting(NamedTuple):
    """Nodes (s) up to the longest timeout, their weights, and there the density and ccdf of the first timeout."""

    time: Array
    weight: Array
    density: Array
    ccdf: Array

    def outlasted(self, pause: Distribution, scale: ArrayLike = 1.0) -> tuple[Array, Array]:
        """P(pause > first timeout), and E min(pause, first timeout) (s), all timeouts `scale` times as long."""
        factor = np.asarray(scale, dtype=float)
        lasts = np.asarray(pause.ccdf(factor[..., None] * self.time))
        at_once = 1.0 - float(self.density @ self.weight)  # timers that fire between two heartbeats
        at_once = at_once if at_once > ROUNDING else 0.0
        return at_once + lasts @ (self.weight * self.density), factor * (lasts @ (self.weight * self.ccdf))

    def mean(self) -> float:
        """Of the first timeout (s)."""
        return float(self.ccdf @ self.weight)


def waiting(patience: Patience, cuts: ArrayLike = ()) -> Waiting:
    """The time F from a moment at random between two heartbeats until the first timer fires, for quadrature.

    F = min_i (T_i - H missed_i) - U(0, H), whose density between its kinks is a polynomial; exact with `cuts` where the
    law of the pause has its own, to the 1e-9 of the nodes, and flat to a per cent or so without them.
    """
    end = patience.least + patience.spread
    inside = np.asarray(cuts, dtype=float)
    inside = inside[(inside > 0.0) & (inside < end)]
    places = np.union1d(graded([0.0, SHORTEST * end, *patience.kinks, *inside, end], 0.0), [0.0])
    x, w = gauss(NODES)
    width = np.diff(places)
    time = places[:-1, None] + width[:, None] * x
    density = patience.density(time)
    after = np.cumsum((width * (density @ w))[::-1])[::-1] - width * (density @ w)
    left = (places[1:, None] - time)[..., None]
    rest = (patience.density(time[..., None] + left * x) * left) @ w
    return Waiting(time.ravel(), (width[:, None] * w).ravel(), density.ravel(), (after[:, None] + rest).ravel())
