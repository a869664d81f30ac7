"""Servers that come cold: what they carry while they warm up, and what waits meanwhile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class WarmUp(NamedTuple):
    """A server's speed, from `first` (of the full one) up to 1, evenly within `time` s. Fields broadcast."""

    first: Any
    time: Any

    @property
    def _rise(self) -> Any:
        """Of the speed, a second."""
        time = np.asarray(self.time, dtype=float)
        return np.where(time > 0, (1.0 - self.first) / np.where(time > 0, time, 1.0), 0.0)

    def speed(self, x: ArrayLike) -> Any:
        """Share of the full speed, x seconds after the server came."""
        since = np.asarray(x, dtype=float)
        return np.where(since < self.time, self.first + self._rise * since, 1.0)[()]

    def lost(self, x: ArrayLike) -> Any:
        """Seconds of full work that are not done by x, for the server was cold: (1 - first) time / 2 in the end."""
        within = np.minimum(np.asarray(x, dtype=float), self.time)
        return within * (1.0 - self.first - self._rise * within / 2.0)

    def work(self, x: ArrayLike) -> Any:
        """Seconds of full work that are done by x."""
        return np.asarray(x, dtype=float) - self.lost(x)

    def when(self, done: ArrayLike, steady: ArrayLike = 0.0) -> Any:
        """The x by which that many seconds of work are done, by the cold server and `steady` warm ones beside it.

        work(x) + steady x = done: the root of a quadratic while it warms up, and of a line then. A negative `steady`
        is work that comes meanwhile; `inf` where more comes than is ever done.
        """
        work, slope = np.asarray(done, dtype=float), np.asarray(steady, dtype=float) + self.first
        root = slope + np.sqrt(np.maximum(slope**2 + 2.0 * self._rise * work, 0.0))
        early = np.where(root > 0, 2.0 * work / np.where(root > 0, root, 1.0), np.inf)
        warm = 1.0 + np.asarray(steady, dtype=float)
        late = (work + self.lost(self.time)) / np.where(warm > 0, warm, 1.0)
        return np.where(early <= self.time, early, np.where(warm > 0, late, np.inf))[()]


def turning(warm: WarmUp, missing: ArrayLike) -> Any:
    """Seconds until a server works at the share `missing` of its speed, and so carries what the others do not.

    0 where it does from the start; `inf` where it never does (missing above 1).
    """
    share = np.asarray(missing, dtype=float)
    at = (share - warm.first) / np.where(np.asarray(warm.first) < 1.0, 1.0 - warm.first, 1.0) * warm.time
    return np.where(share > 1.0, np.inf, np.maximum(at, 0.0))[()]
