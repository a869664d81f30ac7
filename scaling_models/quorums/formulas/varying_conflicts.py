"""How often concurrent commands disturb each other where delays vary: an integral over the command's own delays."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Array = NDArray[np.float64]
POINTS, PLACES, TAIL = 512, 64, 12.0  # of Sobol's points, of a start on the line; e-foldings of a delay


def varying_conflict(delays: Array, asked: int, rate: float, jitter: float) -> float:
    """P(the replies that come first differ): 1 - E exp(-rate sum_D w_D), w_D = int P(D's command of s disturbs it) ds.

    It does where it is known to some of the `asked` followers of replica 0 that reply first and not to all of them,
    when the command of 0 gets there after delays a, and was not known to replica 0 when that began. `delays`
    (replicas, replicas) are means one way (s), of which the share `jitter` varies exponentially, from message to
    message. The integral over s at 64 places, the mean over a at 512 of Sobol's points: within 2% for Poisson starts at
    `rate` (1/s) from each other replica. The others' order does not matter.
    """
    if asked < 2 or rate == 0.0:
        return 0.0
    order = sorted(range(1, len(delays)), key=lambda i: (delays[0, i], delays[i, 0], sorted(delays[i])))
    rows = delays[np.ix_([0, *order], [0, *order])]  # a dimension of Sobol's points for the nearest, the next, ...
    windows = np.frombuffer(_windows(tuple(map(tuple, rows.tolist())), asked, jitter))
    return float(-np.expm1(-rate * windows).mean())


@functools.lru_cache(maxsize=32)  # a slider of the rate leaves them as they are
def _windows(delays: tuple[tuple[float, ...], ...], asked: int, jitter: float) -> bytes:
    """sum_D w_D at each point."""
    mean = np.array(delays)
    points = qmc.Sobol(len(mean) - 1, scramble=False).random(POINTS) + 0.5 / POINTS
    own = mean[0, 1:] * (1.0 - jitter - jitter * np.log1p(-points))
    first = np.argsort(own, axis=1)[:, :asked]
    arrive = np.take_along_axis(own, first, axis=1)
    total = sum(_window(mean[other], 1 + first, arrive, jitter) for other in range(1, len(mean)))
    return np.ascontiguousarray(total, dtype=np.float64).tobytes()


def _window(mean: Array, first: NDArray[np.intp], arrive: Array, jitter: float) -> Array:
    """w_D (points) of the replica with these delays: `first` (points, asked) are asked, and hear at `arrive`."""
    longest = 1.0 - jitter + TAIL * jitter
    low = np.maximum(-mean[0] * longest, (arrive - longest * mean[first]).min(axis=1))  # before, all surely know it
    high = (arrive - (1.0 - jitter) * mean[first]).max(axis=1)  # and after, nobody
    step = np.maximum(high - low, 0.0) / PLACES
    grid = low + step * (np.arange(PLACES)[:, None] + 0.5)  # (places, points)
    known = _heard(arrive - grid[..., None], mean[first], jitter)
    some = 1.0 - known.prod(axis=2) - (1.0 - known).prod(axis=2)
    return np.asarray(step * (some * (1.0 - _heard(-grid, mean[0], jitter))).sum(axis=0))


def _heard(within: Array, mean: Array | float, jitter: float) -> Array:
    """P(a delay is less than that)."""
    rest = within - (1.0 - jitter) * np.asarray(mean)
    scale = np.maximum(jitter * np.asarray(mean), 1e-12)
    return np.asarray(np.where(rest > 0.0, -np.expm1(-np.maximum(rest, 0.0) / scale), 0.0))
