"""The balance of requests and retries: the rates of attempts that sustain themselves, and where they part."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from scaling_models.pools.formulas.retries import Fates, fates, sends

Array = NDArray[np.float64]
POINTS = 400  # at which the balance of attempts is looked at
HAIR = 1e-9  # relative: the ends of a search are put this far outside


class Branches(NamedTuple):
    """Requests and attempts (both 1/s) of the states that sustain themselves: rows of (2, points), by their kind."""

    good: Array
    border: Array
    bad: Array


class States(NamedTuple):
    """Where visits balance (1/s): the low state, the border, the high state; NaN where there is none."""

    low: float
    border: float
    high: float


@dataclasses.dataclass(frozen=True)
class Balance:
    """Requests at `arrival_rate` (1/s) whose attempts share one queue: the rates that sustain themselves.

    x = L sends(fates(x)): where the right side falls below the left the state is stable. Rates x are visits to the
    queue a second; times in seconds; `budget` retries a request at most (`retries` if there is none); of `queue_limit`
    and `deadline` one is infinite. See `fates` and `sends`.
    """

    arrival_rate: float
    workers: int
    mean_service: float
    timeout: float
    retries: int
    budget: float
    queue_limit: float = math.inf
    deadline: float = math.inf
    at_once: bool = True

    @property
    def capacity(self) -> float:
        """c mu (1/s)."""
        return self.workers / self.mean_service

    def fates(self, visits: ArrayLike) -> Fates:
        """What becomes of the attempts at these rates."""
        return fates(visits, self.workers, self.mean_service, self.timeout, self.queue_limit, self.deadline)

    def sends(self, visits: ArrayLike) -> tuple[Array, Array]:
        """Visits and attempts a request at these rates."""
        return sends(self.fates(visits), self.retries, self.budget, self.at_once)

    def fresh(self, visits: ArrayLike) -> Array:
        """The rate of requests that these rates need to sustain themselves: x / sends(x)."""
        return np.asarray(visits, dtype=float) / self.sends(visits)[0]

    def attempts(self, visits: float) -> float:
        """Attempts a second, those repeated at once included."""
        return self.arrival_rate * float(self.sends(visits)[1])

    def goodput(self, visits: ArrayLike) -> Any:
        """Requests answered in time, a second: x P(in time)."""
        seen = self.fates(visits)
        return visits * np.maximum(0.0, 1.0 - seen.timed_out - seen.rejected)

    @functools.cached_property
    def states(self) -> States:
        """The crossings on a grid of 400 points from L to L (1 + budget), and more near capacity; refined to 1e-12."""
        low, high = self.arrival_rate * (1.0 - HAIR), self.arrival_rate * (1.0 + self.budget) * (1.0 + HAIR)
        near = self.capacity * (1.0 - np.geomspace(1e-5, 0.9, POINTS // 4))
        grid = np.unique(np.concatenate([np.linspace(low, high, POINTS), near[(near > low) & (near < high)]]))
        rising = self._excess(grid) > 0
        rising[0], rising[-1] = True, False
        turns = np.flatnonzero(rising[:-1] != rising[1:])
        found = [self._crossing(float(grid[at]), float(grid[at + 1])) for at in turns]
        return States(found[0], found[1] if len(found) > 1 else math.nan, found[-1])

    def _excess(self, visits: Any) -> Any:
        return self.arrival_rate * self.sends(visits)[0] - visits

    def _crossing(self, low: float, high: float) -> float:
        ends = [float(self._excess(end)) for end in (low, high)]
        if ends[0] * ends[1] >= 0.0:  # the end of the range itself
            return low if abs(ends[0]) < abs(ends[1]) else high
        return float(optimize.brentq(lambda x: float(self._excess(x)), low, high, xtol=1e-12 * high, rtol=1e-12))

    @functools.cached_property
    def fold(self) -> tuple[float, float]:
        """(L, x): the requests a second from which there is no good state, and the visits there; else (inf, inf).

        The first peak of x / sends(x), where good state and border meet; without one, and without a limit to the
        queue, where x reaches capacity.
        """
        grid = np.concatenate([np.linspace(0.0, 0.99, POINTS)[1:], 1.0 - np.geomspace(0.01, 1e-6, 50)[1:], [1.0]])
        grid = self.capacity * np.concatenate([grid, np.linspace(1.0, 1.0 + self.budget, POINTS)[1:]])
        values = self.fresh(grid)
        falls = np.flatnonzero(values[1:] < values[:-1] * (1.0 - HAIR))
        if not falls.size:
            endless = math.isinf(self.queue_limit) and math.isinf(self.deadline)
            return (self.capacity / (1.0 + self.budget), self.capacity) if endless else (math.inf, math.inf)
        ends = (float(grid[max(int(falls[0]) - 1, 0)]), float(grid[falls[0] + 1]))
        best = optimize.minimize_scalar(
            lambda x: -float(self.fresh(x)), bounds=ends, method="bounded", options={"xatol": 1e-9 * ends[1]}
        )
        return float(-best.fun), float(best.x)

    @property
    def late(self) -> float:
        """Share of attempts in the good state that fail because of the queue, not of their own service."""
        seen = self.fates(self.states.low)
        return float(seen.timed_out + seen.rejected) - math.exp(-self.timeout / self.mean_service)

    def branches(self) -> Branches:
        """The curve of all balanced states: from idle to the fold, back along the border, and up the bad branch."""
        near = self.capacity * (1.0 - np.geomspace(0.3, 1e-4, POINTS // 4))
        whole = np.linspace(1e-3, 1.25 * (1.0 + self.budget), POINTS) * self.capacity
        visits = np.unique(np.concatenate([whole, near, [self.capacity]]))
        fresh = self.fresh(visits)
        curve = np.array([fresh, fresh * self.sends(visits)[1]])
        turn = int(np.searchsorted(visits, self.fold[1], side="right"))
        rises = np.flatnonzero(np.diff(fresh[turn:]) > 0)
        again = turn + (int(rises[0]) if rises.size else 0)
        return Branches(curve[:, :turn], curve[:, max(turn - 1, 0) : again + 1], curve[:, again:])
