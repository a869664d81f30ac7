"""EPaxos: how long a command waits until it can be executed, for Poisson commands on one key and fixed delays."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.quorums.formulas.conflicts import discord_bounds, nearest_quorums

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
    replicas) one way, `fast` F and `slow` S (replicas), s; `asked` followers of each fast quorum, the nearest, any
    of them where some are equally far; `rate` of the conflicting commands that each replica starts (1/s). The
    phenomenon: Tollman, Park, Ousterhout, EPaxos Revisited (NSDI 2021), section 3.
    """

    delays: Array
    fast: Array
    slow: Array
    asked: int
    rate: float

    @functools.cached_property
    def _choices(self) -> tuple[Array, Array, Array]:
        """Between when a command of b (last) must start to disturb one of a (middle), by the choice of a's fast quorum
        where some are equally far (first); and how likely each choice is (choices, a)."""
        each = [self._of_row(a) for a in range(len(self.delays))]
        most = max(len(begins) for begins, _ in each)
        begins, ends = (np.stack([part[k][np.arange(most) % len(part[k])] for part in each], axis=1) for k in (0, 1))
        likely = np.stack([(np.arange(most) < len(begins)) / len(begins) for begins, _ in each], axis=1)
        return begins, ends, likely

    def _of_row(self, a: int) -> tuple[Array, Array]:
        """The bounds of a's commands (choices, replicas)."""
        d, others = self.delays, np.delete(np.arange(len(self.delays)), a)
        near = others[nearest_quorums(d[a, others], self.asked)]
        each = [discord_bounds(d[:, a], d[:, quorum], d[a, quorum]) for quorum in near]
        begins, ends = (np.array(part) for part in zip(*each, strict=True))
        begins[:, a] = ends[:, a] = 0.0  # its own are known to all
        return begins, ends

    @property
    def _windows(self) -> Array:
        """How long those are; one reply differs from none."""
        begins, ends, _ = self._choices
        return np.asarray(np.maximum(ends - begins, 0.0) * (self.asked > 1))

    @property
    def reach(self) -> Array:
        """W: how long after a command of a (middle) one of b (last) may start that it depends on (s), by a's choice."""
        return np.asarray(np.maximum(self._choices[1], -self.delays.T))

    @functools.cached_property
    def _elsewhere(self) -> Array:
        """P(a command of b needs a second round for another's sake than the one at 0), by the choice of b."""
        return np.asarray(-np.expm1(-self.rate * self._windows[:, :, 1:].sum(axis=2)))

    @property
    def crowding(self) -> float:
        """How many commands start within the reach of one, at the most crowded replica."""
        return float(self.rate * np.maximum(self.reach, 0.0).sum(axis=2).max())

    def _late(self, t: Array, latest: Array) -> Array:
        """How long (t, replicas) the starts up to `latest` are that are not known to be committed by t, on average over
        what their leaders choose."""
        begins, ends, likely = self._choices
        known = self.fast + self.delays[:, 0]
        once, twice = (t[:, None, None] - each for each in (known, known + self.slow))
        disturbed = self._windows[:, :, 0] > 0.0  # by the command at 0, if they start then:
        low, high = -ends[:, :, 0], np.minimum(-begins[:, :, 0], latest)
        both = np.where(disturbed, np.maximum(high - np.maximum(twice, low), 0.0), 0.0)
        fast_too = np.where(disturbed, np.maximum(high - np.maximum(once, low), 0.0), 0.0)
        fast, slow = np.maximum(latest - once, 0.0), np.maximum(latest - twice, 0.0)
        found = fast + both - fast_too + self._elsewhere * (slow - both - fast + fast_too)
        return np.asarray((likely * found).sum(axis=1))

    def ccdf(self, t: ArrayLike) -> Any:
        """P(T > t), t in s."""
        times = np.asarray(t, dtype=float)
        flat = times.ravel()
        chosen = range(np.count_nonzero(self._choices[2][:, 0]))
        found = np.mean([self._later(flat, choice) for choice in chosen], axis=0)
        return np.where(flat < self.fast[0], 1.0, found).reshape(times.shape)[()]

    def _later(self, t: Array, choice: int) -> Array:
        """P(T > t) for one of the command's own fast quorums, from its commit on."""
        discord = np.where(t[:, None] < self.fast[0] + self.slow[0], self._windows[choice, 0], 0.0)
        late = self._late(t, self.reach[choice, 0])
        return np.asarray(-np.expm1(-self.rate * np.maximum(late, discord).sum(axis=1)))

    @property
    def mean(self) -> float:
        """E T: Gauss's rule between the places where the ccdf bends or jumps."""
        begins, ends, _ = self._choices
        own = self.reach[:, 0][self._choices[2][:, 0] > 0.0]
        places = np.concatenate([own, -ends[:, :, 0], -begins[:, :, 0]]) + self.fast + self.delays[:, 0]
        knots = np.append((places, places + self.slow), self.fast[0] + self.slow[0])
        knots = np.unique(np.append(knots[knots > self.fast[0]], self.fast[0]))
        half, middle = np.diff(knots)[:, None] / 2.0, (knots[1:] + knots[:-1])[:, None] / 2.0
        return float(self.fast[0] + (half * WEIGHTS * self.ccdf(middle + half * NODES)).sum())
