"""A load that goes up and down like a wave before one queue, M_t/M/c: the exact chain over a period.

Time is counted in mean services here, and load in erlangs, as in `modified_load`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.linalg import lapack, solve_banded
from scipy.sparse.linalg import LinearOperator, gmres

from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.modified_load import Wave, lag, modified_load

Array = NDArray[np.float64]
ROOT = math.sqrt(6.0)
RADAU = np.array(  # the coefficients of the three-stage Radau IIA method, of order 5
    [
        [(88 - 7 * ROOT) / 360, (296 - 169 * ROOT) / 1800, (-2 + 3 * ROOT) / 225],
        [(296 + 169 * ROOT) / 1800, (88 + 7 * ROOT) / 360, (-2 - 3 * ROOT) / 225],
        [(16 - ROOT) / 36, (16 + ROOT) / 36, 1 / 9],
    ]
)
NODES, STAGES = RADAU.sum(axis=1), len(RADAU)
INVERSE = np.linalg.inv(RADAU)
BAND = 3  # sub- and superdiagonals where the stages of a state lie side by side
LEFT_OUT = 1e-12  # probability of the states that are left out
FEWEST_STEPS, MOST_STEPS = 16, 512  # in a period
SETTLED, AT_FIRST = 1e-10, 1e-8  # the distance of a period's end from its start, and with the fewest steps
SETTLED_BESIDE = 0.01  # of the change that is allowed: what it may be where more is known already
SHARP, TINY = 1e-4, 3e-10  # relative and absolute change as the steps are halved: what is left is a tenth of it


class Course(NamedTuple):
    """The chain over a period: P(n requests at `times`), n = `first`, first + 1, ..., (times, states), with the
    `shares` of the requests that come about each of the times. Times in mean services."""

    times: Array
    shares: Array
    first: int
    chances: Array

    @property
    def requests(self) -> Array:
        """The states' numbers of requests."""
        return self.first + np.arange(float(self.chances.shape[1]))

    def found(self) -> Array:
        """P(a request finds n others), n as in `requests`: of the average request of a period."""
        return np.asarray(self.shares @ self.chances)

    def waiting(self, servers: int) -> Array:
        """P(a request that comes at each of the times waits)."""
        return np.asarray(self.chances[:, self.requests >= servers].sum(axis=1))

    def in_system(self) -> Array:
        """The mean number of requests at each of the times."""
        return np.asarray(self.chances @ self.requests)

    def at(self, time: float) -> Array:
        """P(n requests at a time within the period), n as in `requests`."""
        return np.maximum(self.along(self.chances)(time), 0.0)

    def along(self, values: Array) -> CubicSpline:
        """Values at the times as a periodic function of time."""
        return CubicSpline(np.append(0.0, self.times), np.concatenate([values[-1:], values]), bc_type="periodic")


def states(wave: Wave) -> tuple[int, int]:
    """The fewest and the most requests that are not rarer than about 1e-12 at all times of the period.

    Never fewer than Poisson(m(t)), which infinitely many servers hold. Far up, where all servers are busy, a state is
    rarer than the one below it by the mean utilization r, with a factor that swings within the period by
    exp((1/r - 1) x what comes in half a wave beyond the mean). Nor more than at the peak load for ever, nor than the
    fluid's backlog with its fluctuations.
    """
    low, high = (float(modified_load(wave, turn * wave.period + lag(wave))) for turn in (0.75, 0.25))
    fewest = max(0, int(stats.poisson.ppf(LEFT_OUT / 10.0, low)) - 2)
    c, r, peak = wave.servers, wave.load / wave.servers, wave.load * (1.0 + wave.amplitude) / wave.servers
    far, swing = -math.log(LEFT_OUT / 10.0), wave.load * wave.amplitude * wave.period / math.pi
    most = [c + (far + (1.0 / r - 1.0) * swing) / -math.log(r)]
    if peak < 1.0:
        top = max(float(erlang_c(c, peak * c)), 1e-300)
        queue = c - (far + math.log(top)) / math.log(peak)
        most.append(queue if top > LEFT_OUT / 10.0 else float(stats.poisson.isf(LEFT_OUT / 10.0, high)) + 2.0)
    else:
        half = math.acos((1.0 / r - 1.0) / wave.amplitude)  # the angle for which the load lies above the servers
        backlog = swing * math.sin(half) - (c - wave.load) * half * wave.period / math.pi
        spread = math.sqrt(2.0 * c * half * wave.period / math.pi + backlog)
        most.append(c + backlog + 8.0 * spread - far / math.log(r))
    return fewest, max(math.ceil(min(most)), fewest + 3)


def course(wave: Wave) -> Course:
    """The chain's periodic course: n + 1 at load(t), n - 1 at min(n, servers), by collocation in time.

    Steps by Radau IIA of order 5 (Hairer and Wanner, Solving Ordinary Differential Equations II, 1996, section IV.8),
    each a banded system, as stiff as it may be: long periods are as easy as short ones. The period's end equals its
    start by GMRES. States and steps are changed until the answers stay: exact to about 1e-5 on average and
    at the peaks, 1e-4 at other times. Scalars; the
    cost grows with the number of `states`. Raises ValueError for a load that is not below the servers.
    """
    if not 0.0 < wave.load < wave.servers:
        raise ValueError(f"load must lie in (0, {wave.servers}) erlangs, below the servers; got {wave.load!r}")
    first, last = states(wave)
    steps, start, told, settled = FEWEST_STEPS, None, np.full(4, math.inf), AT_FIRST
    while True:
        chain = _Chain(wave, steps, first, last)
        found = chain.course(start, settled)
        seen = found.chances.max(axis=0)
        if seen[-1] > 1e3 * LEFT_OUT:  # too few: the estimate was short
            last, start = last + max((last - first) // 2, 1), None
            continue
        change, told = np.abs(_told(found, wave.servers) - told), _told(found, wave.servers)
        if (change <= np.maximum(SHARP * told, TINY)).all() or steps == MOST_STEPS:
            return found
        settled = max(SETTLED, SETTLED_BESIDE * max(SHARP * float(told.min()), TINY))
        kept = np.flatnonzero(seen > LEFT_OUT / 100.0)
        start = found.chances[-1, kept[0] : kept[-1] + 1]
        first, last, steps = first + int(kept[0]), first + int(kept[-1]), 2 * steps


def _told(found: Course, servers: int) -> Array:
    """What must not change any more: waiting and number in the system, on average and at their peaks."""
    waiting, number = found.waiting(servers), found.in_system()
    return np.array([found.shares @ waiting, found.shares @ number, peak(found, waiting)[1], peak(found, number)[1]])


def peak(found: Course, values: Array) -> tuple[float, float]:
    """When values at the course's times are largest, and how large they are then."""
    curve = found.along(values)
    level = curve.derivative().roots(extrapolate=False)  # NaN on pieces that are flat
    at = np.append(level[np.isfinite(level)], 0.0)
    heights = curve(at)
    return float(at[heights.argmax()]), float(heights.max())


class _Chain:
    """The factors of a period's steps: (A^-1 x 1 - h Q(t_j)) Y = A^-1 1 p, states by stages."""

    def __init__(self, wave: Wave, steps: int, first: int, last: int) -> None:
        requests = np.arange(first, last + 1)
        self.wave, self.first, self.size, self.step = wave, first, len(requests), wave.period / steps
        self.times = (np.arange(steps)[:, None] + NODES) * self.step
        leaving = np.where(requests > first, np.minimum(requests, wave.servers), 0.0)
        coming = np.where(requests < last, 1.0, 0.0)
        rates = wave.at(self.times)
        fixed = np.zeros((3 * BAND + 1, self.size, STAGES))
        for i, row in enumerate(INVERSE):
            for j, each in enumerate(row):
                fixed[2 * BAND + i - j, :, j] = each
        fixed[2 * BAND] += self.step * leaving[:, None]
        fixed[BAND, 1:] = -self.step * leaving[1:, None]
        self.factors, self.into = [], INVERSE.sum(axis=1)
        for rate in rates * self.step:
            bands = fixed.copy()
            bands[2 * BAND] += coming[:, None] * rate
            bands[3 * BAND, :-1] = -rate
            factors, pivots, _ = lapack.dgbtrf(np.asfortranarray(bands.reshape(len(bands), -1)), BAND, BAND)
            self.factors.append((factors, pivots))
        shares = np.tile(RADAU[-1], steps) * rates.ravel()
        self.shares = shares / shares.sum()
        self.mean = np.zeros((3, self.size))  # the chain at the mean load, kept from being singular
        self.mean[0, 1:], self.mean[2, :-1] = leaving[1:], wave.load
        self.mean[1] = -(wave.load * coming + leaving) - 1e-9

    def stages(self, start: Array) -> list[Array]:
        """The chances (states, stages) in each step of a period."""
        told, now = list[Array](), start
        for factors, pivots in self.factors:
            right = np.multiply.outer(now, self.into).ravel()
            told.append(lapack.dgbtrs(factors, BAND, BAND, right, pivots)[0].reshape(self.size, STAGES))
            now = told[-1][:, -1]
        return told

    def course(self, start: Array | None, settled: float = SETTLED) -> Course:
        """The periodic course, from a guess of its start."""
        guess = self._stationary() if start is None else start / start.sum()

        def change(chances: Array) -> Array:
            return np.asarray(chances - self.stages(chances)[-1][:, -1])

        def nearer(change: Array) -> Array:  # (1 - e^(PQ))^-1 is about 1 - (PQ)^-1, be the period P short or long
            return np.asarray(change - solve_banded((1, 1), self.mean, change) / self.wave.period)

        shape = (self.size, self.size)
        more, _ = gmres(
            LinearOperator(shape, change, dtype=float),
            -change(guess),
            M=LinearOperator(shape, nearer, dtype=float),
            rtol=0.0,
            atol=settled,
            restart=60,
            maxiter=3,
        )
        begin = guess + more
        told = self.stages(begin / begin.sum())
        chances = np.concatenate([each.T for each in told])
        return Course(self.times.ravel(), self.shares, self.first, np.maximum(chances, 0.0))

    def _stationary(self) -> Array:
        """The chain that stays at the load of the period's start, or a little less."""
        load = min(float(modified_load(self.wave, 0.0)), 0.98 * self.wave.servers)
        ratios = load / np.minimum(np.arange(self.first + 1, self.first + self.size), self.wave.servers)
        logs = np.append(0.0, np.cumsum(np.log(ratios)))
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())
