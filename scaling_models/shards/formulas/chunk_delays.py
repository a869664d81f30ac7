"""The law of a request's latency at a disk that also copies chunks: M/G/1 on a lattice, by a Fourier transform."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scaling_models.latency import Distribution
from scaling_models.latency.lattices import Survival

Array = NDArray[np.float64]
POINTS = (2**15, 2**18)
FINE = 1000.0  # points for each of the scales that the latency has, in mean services
REACH = 40.0  # scales of the latency: how far the lattice goes
NOTHING = 1e-9  # of the ccdf at its end; and where the straight tail begins
LONGER = 6  # times that the reach may double
NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)


def at_once(load: float, share: float, first: bool) -> float:
    """P(no wait): no request is there, nor a chunk; exact."""
    return (1.0 - load) * (1.0 - _hit(load, share)) if first else 1.0 - load - share


def _hit(load: float, share: float) -> float:
    """P(a chunk is under way | no request is)."""
    return min(share / (1.0 - load), 1.0)


def foreground_survival(
    arrival_rate: float, service: Distribution, chunk: float, share: float, first: bool, *, delayed: bool = False
) -> Survival:
    """P(T > t) of Poisson requests at a disk on which chunks of `chunk` seconds take `share` of the time.

    Requests first (non-preemptive): the wait is that of M/G/1 without chunks, and with probability share / (1 - rho)
    the rest of a chunk, even on (0, chunk) (Fuhrmann and Cooper 1985: whenever chunks come). In order of arrival:
    the wait of M/G/1 whose services are both (Pollaczek and Khinchine), chunks coming as a Poisson stream. Light tails
    only; the load must be below 1. Second order in the step of the lattice, which smears atoms of the service: of
    those that wait (`delayed`) there are none.
    """
    mean = service.mean()
    rest = service.variance() / mean + mean + chunk
    busy = arrival_rate * mean + (0.0 if first else share)
    scale = mean + rest * (1.0 + busy / (1.0 - busy))
    reach, points = REACH * scale, 2 ** math.ceil(math.log2(min(max(FINE * rest / mean, POINTS[0]), POINTS[1])))
    for _ in range(LONGER):
        times, late = _lattice(arrival_rate, service, chunk, share, first, delayed, reach, points)
        if late[-1] < NOTHING:
            break
        reach *= 2.0
    kept = max(int(np.argmax(late < NOTHING)), 8) if (late < NOTHING).any() else len(late)
    times, logs = times[:kept], np.log(np.maximum(late[:kept], 1e-300))
    back = max(kept - max(kept // 10, 2), 0)
    decay = float((logs[back] - logs[-1]) / (times[-1] - times[back]))
    return Survival(np.append(0.0, times), np.append(0.0, logs), decay=decay)


def _lattice(
    arrival_rate: float,
    service: Distribution,
    chunk: float,
    share: float,
    first: bool,
    delayed: bool,
    reach: float,
    points: int,
) -> tuple[Array, Array]:
    """Times halfway between the points of the lattice, and the ccdf there."""
    step = reach / points
    cells = step * np.arange(points)
    inside = (cells[:, None] + step * (NODES + 1.0) / 2.0).ravel()
    late = (np.asarray(service.ccdf(inside)).reshape(points, -1) * WEIGHTS).sum(axis=1) / 2.0
    beyond = np.append(np.cumsum(late[::-1])[::-1], 0.0) / late.sum()
    residual = (beyond[1:] + beyond[:-1]) / 2.0  # of a service; and of a chunk
    ends = np.minimum(np.append(cells, reach) / chunk, 1.0)
    even = np.diff(ends - ends**2 / 2.0) * chunk / step
    own, rest, wait = (fft.rfft(_masses(each), 2 * points) for each in (late, residual, even))
    load = arrival_rate * service.mean()
    if first:
        hit = _hit(load, share)
        waits = (1.0 - load) / (1.0 - load * rest) * (1.0 - hit + hit * wait)
    else:
        waits = (1.0 - load - share) / (1.0 - load * rest - share * wait)
    if delayed:
        none = at_once(load, share, first)
        waits = (waits - none) / (1.0 - none)
    chances = fft.irfft(own * waits, 2 * points)[:points]
    return np.asarray(cells + step / 2.0), np.clip(np.cumsum(chances[::-1])[::-1] - chances, 0.0, 1.0)


def _masses(late: Array) -> Array:
    """The probabilities at the points 0, h, 2h ... whose ccdf in each cell is that cell's mean: the mean is kept."""
    return -np.diff(np.append(1.0, late))
