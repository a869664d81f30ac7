"""Rare waits of one FIFO server by exponential twisting: tails that plain simulation never sees."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize

from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.far_tails.twists import twist
from scaling_models.montecarlo.streams import stream
from scaling_models.wording import short

LANES = 2**13
BLOCK = 32  # customers between two looks
MOST_STEPS = 1e10  # of all walks together, some minutes
MARGIN = 10.0  # the walks go on to a tail so many times smaller than asked for, so that intervals have an end
SPLIT = "use splitting instead"


def decay(gap: Distribution, service: Distribution) -> float:
    """The decay rate theta* > 0 (1/s) of the wait of GI/G/1: E e^{theta (S - A)} = 1.

    P(W > t) <= e^{-theta* t} (Kingman 1964), and it falls like that at last. Raises `NotSettled` at overload and
    `ValueError` where there is no such rate: heavy-tailed services (log-normal, Pareto), tails too far from their own
    rate, and queues in which nobody ever waits.
    """
    load = service.mean() / gap.mean()
    if not load < 1.0:
        raise NotSettled(f"the load is {load:.4g}, at or over capacity: there is no steady state to simulate")
    if service.support[1] <= gap.support[0]:
        raise ValueError("nobody ever waits here: no service is longer than the shortest gap")

    def exponent(theta: float) -> float:
        return twist(service, theta).log_mgf + twist(gap, -theta).log_mgf

    low, high = brackets(exponent, 1.0 / gap.mean(), service)
    return float(optimize.brentq(exponent, low, high, xtol=1e-300, rtol=1e-14, maxiter=200))


def brackets(exponent: Callable[[float], float], guess: float, service: Distribution) -> tuple[float, float]:
    """Rates between which the exponent, which is convex and falls at zero, comes back through zero."""
    low = high = guess
    while exponent(low) >= 0:
        low, high = low / 2.0, low
        if low < 1e-9 * guess:
            raise ValueError(
                f"the wait of {short(service)} has no exponential decay rate, or one too near zero: its tail is "
                f"heavy, or the load is too near capacity; {SPLIT}"
            )
    while exponent(high) < 0:
        low, high = high, high * 2.0
    while math.isinf(exponent(high)):
        middle = (low + high) / 2.0
        if middle in (low, high) or high - low < 1e-9 * high:
            raise ValueError(f"E e^(theta (S - A)) ends below one for {short(service)}: there is no theta*; {SPLIT}")
        low, high = (middle, high) if exponent(middle) < 0 else (low, middle)
    return low, high


@dataclasses.dataclass(frozen=True, eq=False)
class TwistedTail(RareTail):
    """P(T > t) = scale x E_theta e^{-theta H(t)}, H(t) the first height over t of a random walk whose drift is upwards.

    `heights` (seconds) are the records of all walks, one walk after the other, each from its place in `starts` on.
    """

    rate: float
    scale: float
    reach: float
    heights: Array
    starts: Indices

    def contributions(self, t: float) -> Array:
        """One value a walk: scale x e^{-theta H(t)}."""
        passed = np.add.reduceat(self.heights <= t, self.starts, dtype=np.intp)
        return self.scale * np.exp(-self.rate * self.heights[self.starts + passed])


def rare_waits(
    gap: Distribution, service: Distribution, seed: int, smallest: float = 1e-9, lanes: int = LANES
) -> TwistedTail:
    """Waits of GI/G/1 in the steady state, by Siegmund's algorithm: P(W > t) = E_theta* e^{-theta* U_tau(t)}.

    W is the maximum of the walk U with steps S - A (Lindley; reversal of time). Steps drawn from the law twisted by
    theta* of `decay` make it pass every level, with the likelihood ratio e^{-theta* U}; tau(t) is the first passage
    over t, strictly. All levels are read from the same walks, which end at t = log(1 / smallest) / theta* and a
    little: there P(W > t) <= smallest. `lanes` walks, independent. Unbiased, and the relative error is bounded as
    t grows. Arrivals are independent gaps (in distribution the twisted laws of `twists`). Where S - A lives on a
    lattice, levels on it are subject to rounding. Raises as `decay` does, and `ValueError` so near capacity that the
    walks would not end. Siegmund 1976; Asmussen and Glynn,
    Stochastic Simulation, chapter VI.
    """
    return _walked(gap, service, Deterministic(0.0), seed, smallest, lanes)


def rare_latencies(
    gap: Distribution, service: Distribution, seed: int, smallest: float = 1e-9, lanes: int = LANES
) -> TwistedTail:
    """Latencies T = W + S of GI/G/1 in the steady state: as `rare_waits`, but the walk starts from a twisted service.

    P(T > t) = E e^{theta* S} x E_theta* e^{-theta* H(t)}, H(t) = S if that is over t, else the first height of S + U.
    """
    return _walked(gap, service, service, seed, smallest, lanes)


def _walked(
    gap: Distribution, service: Distribution, first: Distribution, seed: int, smallest: float, lanes: int
) -> TwistedTail:
    if not 0 < smallest < 1:
        raise ValueError(f"the smallest tail must lie in (0, 1); got {smallest!r}")
    if lanes < 2:
        raise ValueError(f"lanes must lie in [2, inf), or there is no error to tell; got {lanes!r}")
    rate = decay(gap, service)
    begin = twist(first, rate)
    reach = (begin.log_mgf + math.log(MARGIN / smallest)) / rate
    # The exponent is convex: from half the rate on it rises by no more than at theta*, where that is the drift.
    drift = -2.0 / rate * (twist(service, rate / 2.0).log_mgf + twist(gap, -rate / 2.0).log_mgf)
    if not lanes * reach < MOST_STEPS * drift:
        raise ValueError(
            f"the load is {service.mean() / gap.mean():.6g}, so near capacity that {lanes} walks down to a tail of "
            f"{smallest:.3g} would take over {MOST_STEPS:.0e} customers; ask for fewer lanes or a larger tail"
        )
    up, down = twist(service, rate), twist(gap, -rate)
    rngs = [stream(seed, purpose) for purpose in range(3)]

    def steps(count: int, width: int) -> Array:
        return up.draw((count, width), rngs[0]) - down.draw((count, width), rngs[1])

    heights, starts = records(begin.draw((lanes,), rngs[2]), steps, reach)
    return TwistedTail(rate, math.exp(begin.log_mgf), reach, heights, starts)


def records(start: Array, steps: Callable[[int, int], Array], reach: float) -> tuple[Array, Indices]:
    """Ascending record heights of every walk from `start` (> 0: itself a record) to the first over `reach`."""
    lanes, heights = [np.flatnonzero(start > 0)], [start[start > 0]]
    alive = np.flatnonzero(start <= reach)
    at = top = start[alive]
    while len(alive):
        walk = steps(BLOCK, len(alive))
        walk[0] += at
        np.cumsum(walk, axis=0, out=walk)
        tops = np.maximum.accumulate(np.vstack([top, walk]), axis=0)
        new = (tops[1:] > tops[:-1]) & (tops[:-1] <= reach)
        lane, step = np.nonzero(new.T)
        lanes.append(alive[lane])
        heights.append(walk[step, lane])
        on = tops[-1] <= reach
        alive, at, top = alive[on], walk[-1][on], tops[-1][on]
    owner = np.concatenate(lanes)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(heights)[order], np.searchsorted(owner[order], np.arange(len(start)))
