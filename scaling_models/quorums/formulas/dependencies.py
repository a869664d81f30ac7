"""EPaxos: how long a command waits until it can be executed, for Poisson commands on one key and fixed delays."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.quorums.formulas.conflicts import discord_bounds

Array = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclasses.dataclass(frozen=True, eq=False)
class Execution:
    """When a command of replica 0 that starts at 0 is executed, of its dependencies the direct ones waited for.

    A command of b that starts at s < W_b, W_b = max over the replicas j that are asked of (d_0j - d_bj), is a
    dependency, and its commit is known at s + L_b + d_b0, L_b = F_b or F_b + S_b as its fast quorum agrees or not. So

    P(T > t) = 1 - exp(-rate sum_b |s < W_b that are known after t|), t >= F_0, and those that make the replies differ
    count up to t = F_0 + S_0. A dependency's second round is known where the command itself causes it, else independent
    with its probability. First order in the rate: what dependencies depend on is left out. `delays` (replicas,
    replicas) one way, `fast` F and `slow` S (replicas), s; `asked` followers of each fast quorum, the nearest; `rate`
    of the conflicting commands that each replica starts (1/s). The phenomenon: Tollman, Park, Ousterhout, EPaxos
    Revisited (NSDI 2021), section 3.
    """

    delays: Array
    fast: Array
    slow: Array
    asked: int
    rate: float

    @functools.cached_property
    def _bounds(self) -> tuple[Array, Array]:
        """Between when a command of b (column) must start to disturb one of a (row)."""
        d, n = self.delays, len(self.delays)
        near = [[j for j in np.argsort(d[a], kind="stable") if j != a][: self.asked] for a in range(n)]
        each = [discord_bounds(d[:, a], d[:, near[a]], d[a, near[a]]) for a in range(n)]
        begins, ends = (np.array(part) for part in zip(*each, strict=True))
        np.fill_diagonal(begins, 0.0)
        np.fill_diagonal(ends, 0.0)  # its own are known to all
        return begins, ends

    @property
    def _windows(self) -> Array:
        """How long those are; one reply differs from none."""
        begins, ends = self._bounds
        return np.asarray(np.maximum(ends - begins, 0.0) * (self.asked > 1))

    @property
    def reach(self) -> Array:
        """W: how long after a command of a (row) one of b (column) may start that it depends on (s)."""
        return np.asarray(np.maximum(self._bounds[1], -self.delays.T))

    @functools.cached_property
    def _elsewhere(self) -> Array:
        """P(a command of b needs a second round for another's sake than the one at 0)."""
        return np.asarray(-np.expm1(-self.rate * self._windows[:, 1:].sum(axis=1)))

    @property
    def crowding(self) -> float:
        """How many commands start within the reach of one, at the most crowded replica."""
        return float(self.rate * np.maximum(self.reach, 0.0).sum(axis=1).max())

    def _late(self, t: Array) -> Array:
        """How long (t, replicas) the starts are that are dependencies and not known to be committed by t."""
        begins, ends = self._bounds
        latest, known = self.reach[0], self.fast + self.delays[:, 0]
        once, twice = t[:, None] - known, t[:, None] - known - self.slow
        disturbed = self._windows[:, 0] > 0.0  # by the command at 0, if they start then:
        low, high = -ends[:, 0], np.minimum(-begins[:, 0], latest)
        both = np.where(disturbed, np.maximum(high - np.maximum(twice, low), 0.0), 0.0)
        fast_too = np.where(disturbed, np.maximum(high - np.maximum(once, low), 0.0), 0.0)
        fast, slow = np.maximum(latest - once, 0.0), np.maximum(latest - twice, 0.0)
        return np.asarray(fast + both - fast_too + self._elsewhere * (slow - both - fast + fast_too))

    def ccdf(self, t: ArrayLike) -> Any:
        """P(T > t), t in s."""
        times = np.asarray(t, dtype=float)
        flat = times.ravel()
        discord = np.where(flat[:, None] < self.fast[0] + self.slow[0], self._windows[0], 0.0)
        found = -np.expm1(-self.rate * np.maximum(self._late(flat), discord).sum(axis=1))
        return np.where(flat < self.fast[0], 1.0, found).reshape(times.shape)[()]

    @property
    def mean(self) -> float:
        """E T: Gauss's rule between the places where the ccdf bends or jumps."""
        begins, ends = self._bounds
        known = self.fast + self.delays[:, 0]
        places = np.concatenate([s + known for s in (self.reach[0], -ends[:, 0], -begins[:, 0])])
        own = self.fast[0] + self.slow[0]
        knots = np.concatenate([places, (places.reshape(3, -1) + self.slow).ravel(), [own]])
        knots = np.unique(np.append(knots[knots > self.fast[0]], self.fast[0]))
        half, middle = np.diff(knots)[:, None] / 2.0, (knots[1:] + knots[:-1])[:, None] / 2.0
        return float(self.fast[0] + (half * WEIGHTS * self.ccdf(middle + half * NODES)).sum())
