"""M/G/c: approximations for one queue before several equal slots, and any service. Times in mean services."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.pools.formulas.deterministic_queue import deterministic_waiting
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.residuals import residual

Array = NDArray[np.float64]
STEP = 0.02  # mean services: of the lattice of residuals
REACH = 40.0  # means of the sum: how far the lattice goes
HEAVY_REACH = 400.0
HIGHEST = 0.9995  # load above which the constant service's wait is its limit near capacity, half of M/M/c's
MOST = 2**15  # points of the lattice: where more would be needed the step grows
TILT = 20.0  # e^-20 is what comes back from beyond the lattice
KEPT = 1e-8  # above this the lattice's ccdf is taken, below it its tail goes on


def boxma_cohen_huffels(slots: int, load: float, service: Distribution) -> float:
    """The mean wait of M/G/c in mean services: (1 + v)/2 2 W_M W_D / (2 b W_D + (1 - b) W_M).

    W_M and W_D are the mean waits of M/M/c and M/D/c, v the scv of the service, b = ((1 + v)/g - c - 1)/(c - 1), g the
    mean of the least of c residuals. Boxma, Cohen and Huffels 1979. For c = 1 exact (Pollaczek and Khinchine). Above
    load 0.9995 W_D is W_M/2, its limit, which it exceeds there by 0.05% at 100 slots and 0.14% at 1,000. Against
    simulation (2 to 50 slots, load 0.5 to 0.95): -7% to +9% for scv to 4, +-24% for scv 10, to +30% for Pareto 2.5.
    """
    v, a = service.scv, load * slots
    exponential = float(erlang_c(slots, a)) / (slots * (1.0 - load))
    if slots == 1 or exponential == 0.0:
        return exponential * (1.0 + v) / 2.0
    constant = deterministic_waiting(slots, a).mean / a if load <= HIGHEST else exponential / 2.0
    b = ((1.0 + v) / residual(service).least_of(slots) - slots - 1.0) / (slots - 1.0)
    return (1.0 + v) * exponential * constant / (2.0 * b * constant + (1.0 - b) * exponential)


def tijms_van_hoorn_federgruen(slots: int, load: float, service: Distribution) -> float:
    """The mean wait of M/G/c in mean services: ((1 - rho) c g + rho (1 + v)/2) W_M; see `tijms_wait`."""
    return mean_of_those_who_wait(slots, load, service) * float(erlang_c(slots, load * slots))


def mean_of_those_who_wait(slots: int, load: float, service: Distribution) -> float:
    """The same of those who wait, however few they are: Erlang's C left out."""
    least = residual(service).least_of(slots)
    return ((1.0 - load) * slots * least + load * (1.0 + service.scv) / 2.0) / (slots * (1.0 - load))


class Waited(NamedTuple):
    """The wait of those who wait: its `ccdf` at ascending `t` (mean services, from zero on)."""

    t: Array
    ccdf: Array


def tijms_wait(slots: int, load: float, service: Distribution) -> Waited:
    """The wait of M/G/c given that there is one: M + sum of N of R/c (Tijms, van Hoorn and Federgruen 1981).

    M is the least of c residuals, R a residual, N geometric with P(N >= n) = rho^n: when all slots are busy they are
    taken to be one that is c times as fast. Exact for M/M/c and M/G/1; the decay is exact for light tails. By tilted
    Fourier sums on a lattice of the residual (Gruebel 1991), whose step leaves an error of about 1e-4.
    """
    left = residual(service)
    heavy = math.isfinite(service.tail_index)
    mean = load / (1.0 - load) * (1.0 + service.scv) / 2.0 + slots * left.least_of(slots)
    reach = mean * (HEAVY_REACH if heavy else REACH)
    size = min(MOST, 2 ** math.ceil(math.log2(max(reach / STEP, 64.0))))
    edges = (np.arange(size) + 0.5) * max(STEP, reach / size)
    untilt = np.exp(TILT / size * np.arange(size))
    sums, least = (
        np.fft.rfft(-np.diff(late, prepend=1.0) / untilt)
        for late in (left.late(edges), left.late(edges / slots) ** slots)
    )
    chances = np.maximum(np.fft.irfft(least * (1.0 - load) / (1.0 - load * sums), size) * untilt, 0.0)
    late = np.maximum(1.0 - np.cumsum(chances), 0.0)
    kept = max(2, int((late > KEPT).sum()))
    return Waited(np.append(0.0, edges[:kept] / slots), np.append(1.0, np.maximum(late[:kept], KEPT / 10.0)))
