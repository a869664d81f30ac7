"""M/D/c: one queue before several equal slots whose service always takes the same time, exact."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from scaling_models.latency.integrals import in_chunks

Array = NDArray[np.float64]
Chance = Callable[[NDArray[np.intp]], Array]
DIGITS = 37.0  # -log of what the Fourier sum may leave out
MOST_DIGITS = 40.0  # of the scale, that a small chance of waiting takes off
WIDE = 9.0  # standard deviations of a Poisson number that are summed over
KEPT = 23.0  # -log of the tilted chance down to which the sum has nine digits at least


class Waiting(NamedTuple):
    """How many wait in M/D/c at a random instant.

    `ccdf[q]` = P(Q >= q) for q = 0, 1, ...; beyond the last it falls as `decay`^-q. `mean` and `variance` of Q.
    """

    ccdf: Array
    decay: float
    mean: float
    variance: float

    def at_least(self, number: NDArray[np.intp]) -> Array:
        """P(Q >= number)."""
        last = len(self.ccdf) - 1
        inside = self.ccdf[np.clip(number, 0, last)]
        return np.asarray(inside * np.exp(-math.log(self.decay) * np.maximum(number - last, 0)))


@functools.lru_cache(maxsize=64)
def deterministic_waiting(slots: int, offered_load: float) -> Waiting:
    """How many wait in M/D/c, for `slots` c >= 1 and `offered_load` a < c erlangs.

    What is there one service later is what waits now and the Poisson(a) arrivals, so that Q is the maximum of a random
    walk with steps Poisson(a) - c (Crommelin 1932): log E[z^Q] = sum_{j>0} nu_j (z^j - 1), nu_j = sum_n P(S_n = j)/n
    (Spitzer). nu are the positive Fourier coefficients of -log(1 - e^{a(z-1)}/z^c), taken on the circle |z| = c/a where
    they keep their relative precision, and so does the exponential. Exact to about 1e-11 down to chances of 1e-20.
    """
    a, c = offered_load, slots
    tilt = c / a
    decay = decay_of_waiting(c, a)
    little = -c * (1.0 - 1.0 / tilt - math.log(tilt))  # the log of e^{a(z-1)}/z^c at z = tilt, but for its sign
    reach = min(math.log(tilt), math.log(decay / tilt))
    half = max((DIGITS + min(max(little, 0.0), MOST_DIGITS)) / reach, WIDE * math.sqrt(c)) + 40.0
    size = 2 ** math.ceil(math.log2(2.0 * half))
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    step = np.exp(a * (tilt * turn - 1.0) - c * math.log(tilt)) * turn**-c
    nu = np.fft.irfft(-np.log1p(-step), size)
    nu[0] = nu[size // 2 :] = 0.0
    untilt = np.exp(-math.log(tilt) * np.arange(size // 2))
    plain = np.maximum(nu[: size // 2], 0.0) * untilt
    tilted = np.fft.irfft(np.exp(np.fft.rfft(nu) - plain.sum()), size)[: size // 2]
    kept = max(2, min(size // 2, int(KEPT / math.log(decay / tilt))))
    chances = np.maximum(tilted[:kept], 0.0) * untilt[:kept]
    beyond = chances[-1] / (decay - 1.0)
    ccdf = np.cumsum(chances[::-1])[::-1] + beyond
    at = np.arange(size // 2)
    return Waiting(ccdf / ccdf[0], decay, float(at @ plain), float(at**2 @ plain))


def decay_of_waiting(slots: int, offered_load: float) -> float:
    """z > 1 with e^{a(z-1)} = z^c: P(Q >= q) falls as z^-q at last."""
    load = offered_load / slots
    least, most = -math.log(load), 2.0
    while math.log(most) / (most - 1.0) > load:
        most *= 2.0
    return float(optimize.brentq(lambda z: math.log(z) - load * (z - 1.0), math.exp(least), most, xtol=1e-15))


def deterministic_wait_ccdf(t: Array, arrival_rate: float, slots: int, service: float) -> Array:
    """P(W > t) of M/D/c for flat t >= 0 (s): P(Q + Poisson(lambda (k D - t)) >= k c) for (k-1) D <= t < k D.

    `service` D in s. Franx 2001, eq. 1. Exact to about 1e-10, relative.
    """
    queue = deterministic_waiting(slots, arrival_rate * service)
    return _over_arrivals(t, arrival_rate, slots, service, queue.decay, len(queue.ccdf), queue.at_least)


def deterministic_wait_pdf(t: Array, arrival_rate: float, slots: int, service: float) -> Array:
    """The density (1/s) of the positive waits of M/D/c: the derivative of `deterministic_wait_ccdf`, exact."""
    queue = deterministic_waiting(slots, arrival_rate * service)

    def exactly_one_less(number: NDArray[np.intp]) -> Array:
        chance = queue.at_least(number - 1) - queue.at_least(number)
        return np.where(number > 0, chance, 0.0)

    known = len(queue.ccdf) + 1
    return arrival_rate * _over_arrivals(t, arrival_rate, slots, service, queue.decay, known, exactly_one_less)


def _over_arrivals(
    t: Array, arrival_rate: float, slots: int, service: float, decay: float, known: int, chance: Chance
) -> Array:
    """The mean of `chance`(k c - A) over A ~ Poisson(lambda (k D - t)); from `known` on it falls as `decay`^-q."""
    most = arrival_rate * service * decay  # where the tail of Q weighs, the arrivals are more than expected
    number = np.arange(int(most + WIDE * math.sqrt(most) + 30.0))[::-1]
    log_factorials = special.gammaln(number + 1.0)
    end = known + len(number)  # from there on only the fall is left, and the Poisson number's generating function
    first = slots - len(number) + 1
    windows = np.lib.stride_tricks.sliding_window_view(chance(np.arange(first, end + 1)), len(number))
    foot, fall = float(chance(np.array([end]))[0]), math.log(decay)

    def means(t: Array) -> Array:
        k = np.floor(t / service) + 1.0
        expected = np.maximum(arrival_rate * (k * service - t), 1e-300)
        queued = k * slots
        near = queued <= end
        out = np.empty(len(t))
        out[~near] = foot * np.exp(expected[~near] * (decay - 1.0) - fall * (queued[~near] - end))
        few = expected[near, None]
        logs = np.log(few) * number
        logs -= few
        logs -= log_factorials
        rows = windows[queued[near].astype(int) - slots]
        out[near] = np.einsum("ij,ij->i", np.exp(logs, out=logs), rows)
        return out

    return in_chunks(means, t, len(number))
