"""A step or a ramp of load that capacity follows late: backlog, waits and drain of the fluid, and what chance adds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise

from scaling_models.pools.formulas.erlang import erlang_c

Array = NDArray[np.float64]


class Step(NamedTuple):
    """Load that goes from `before` to `after` within `ramp` s, and capacity from `few` to `many` servers at `delay` s.

    Rates in requests/s; a server carries `speed` requests/s. Fields broadcast over arrays.
    """

    before: Any
    after: Any
    few: Any
    many: Any
    speed: Any
    delay: Any
    ramp: Any = 0.0

    @property
    def capacity(self) -> Any:
        """Requests/s of the first servers."""
        return self.few * self.speed


def arrived(step: Step, t: ArrayLike) -> Any:
    """Mean number of requests that arrive from 0 to t (s)."""
    time = np.asarray(t, dtype=float)
    rising = np.minimum(time, step.ramp)
    slope = (step.after - step.before) / np.where(np.asarray(step.ramp) > 0, step.ramp, 1.0)
    return step.before * rising + slope * rising**2 / 2.0 + step.after * (time - rising)


def filling(step: Step, t: ArrayLike) -> Any:
    """Servers that would be busy at t, were there enough: m' = lambda(t) - mu m, m(0) = before / mu."""
    time = np.asarray(t, dtype=float)
    rising, beyond = np.minimum(time, step.ramp), np.maximum(time - step.ramp, 0.0)
    slope = (step.after - step.before) / np.where(np.asarray(step.ramp) > 0, step.ramp, 1.0) / step.speed
    top = step.before / step.speed + slope * (rising + np.expm1(-step.speed * rising) / step.speed)
    end = step.after / step.speed
    return np.where(beyond > 0, end + (top - end) * np.exp(-step.speed * beyond), top)


def start_up(step: Step) -> Any:
    """Seconds until all the first servers are busy: log((after - before) / (after - capacity)) / mu after a step.

    `inf` where the load stays below their capacity, 0 where it is above from the start. Exact for the fluid.
    """
    fields = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in step))
    each = Step(*fields)
    gap = np.where(each.after > each.capacity, each.after - each.capacity, 1.0)
    rise = np.maximum((each.after - each.before) / gap, 1.0)
    end = each.ramp + np.log(rise) / np.where(each.speed > 0, each.speed, 1.0)  # of speed 0 all are busy at once
    at = end if (each.ramp == 0).all() else _filled(each, end)
    return np.where(each.after <= each.capacity, np.inf, np.where(each.before >= each.capacity, 0.0, at))[()]


def _filled(step: Step, end: Array) -> Array:
    """When `filling` reaches the first servers, by a root search up to `end`, when it surely has."""

    def below(t: Array, *fields: Array) -> Array:
        each = Step(*fields)
        return np.asarray(filling(each, t) - each.few)

    high = np.where(step.before < step.capacity, end, 1.0) * (1.0 + 1e-9) + 1e-12
    return np.asarray(elementwise.find_root(below, (np.zeros_like(high), high), args=tuple(step)).x)


def fluid_backlog(step: Step, t: ArrayLike) -> Any:
    """Requests that wait at t (s): arrivals since the start-up, less what the servers there are have begun. Fluid."""
    time = np.asarray(t, dtype=float)
    begin = start_up(step)
    since = np.maximum(np.minimum(time, step.delay) - begin, 0.0)
    till = np.minimum(begin, time)
    level = arrived(step, np.maximum(time, till)) - arrived(step, till) - step.capacity * since
    later = time > step.delay
    taken = np.where(later, step.many - step.few + step.many * step.speed * (time - step.delay), 0.0)
    return np.maximum(np.where(time >= begin, level - taken, 0.0), 0.0)


def fluid_wait(step: Step, t: ArrayLike) -> Any:
    """Seconds that a request waits that arrives at t. Fluid.

    Backlog over capacity while that suffices before the delay is over; the longest, D (1 - capacity / after) less the
    start-up, is that of the request which starts as the new servers come, for whom nobody before was served by these.
    """
    time = np.asarray(t, dtype=float)
    ahead = fluid_backlog(step, time)
    rest = np.maximum(step.delay - time, 0.0)
    left = ahead - step.capacity * rest
    taken = np.where(time < step.delay, step.many - step.few, 0.0)
    after = rest + np.maximum(left - taken, 0.0) / (step.many * step.speed)
    return np.where(left > 0, after, ahead / step.capacity)


def longest_wait(step: Step) -> Any:
    """Seconds: backlog over load after a step; in a ramp that of who comes when arrived(t) is begun by the delay."""
    begin = start_up(step)
    begun = arrived(step, begin) + step.capacity * np.maximum(step.delay - begin, 0.0)
    # The last of them comes while the load climbs, at the positive root of a quadratic, or when it has.
    slope = (step.after - step.before) / np.where(np.asarray(step.ramp) > 0, step.ramp, 1.0)
    climbing = 2.0 * begun / (step.before + np.sqrt(step.before**2 + 2.0 * slope * begun))
    level = step.ramp + (begun - arrived(step, step.ramp)) / step.after
    return np.maximum(step.delay - np.where(level > step.ramp, level, climbing), 0.0)


def idling(step: Step) -> Any:
    """Requests that the first servers could have begun, but for want of requests, after a step: what chance adds.

    h_n, lost on the way from n requests to n + 1, is ((c - n) mu + n mu h_{n-1}) / lambda; the way is gone from the
    stationary number (M/M/c at the load before) up to c, and the last part of it again c mu / (lambda - c mu) times.
    Then E N(t) = E N(0) + (lambda - c mu) t + idling, exact once the queue does not empty any more; exponential
    service, scalars, before < capacity < after.
    """
    few, load = int(step.few), step.before / step.speed
    h, lost, weight, within, below = 0.0, 0.0, 1.0, 1.0, 0.0
    for n in range(few):
        h = ((few - n) * step.speed + n * step.speed * h) / step.after
        lost += within * h  # of all that start at n or below
        weight *= load / (n + 1)
        below = within
        within += weight
        if within > 1e200:
            lost, weight, below, within = lost / within, weight / within, below / within, 1.0
    waiting = float(erlang_c(few, load))
    chance = (1.0 - waiting) / below
    again, r, q = step.capacity / (step.after - step.capacity), step.capacity / step.after, step.before / step.capacity
    # Those that start with j waiting come down to c with probability r^j, and j is geometric with q.
    returning = (1.0 - waiting) + waiting * (1.0 - q) / (1.0 - q * r)
    return lost * chance + again * h * returning


def mean_backlog(step: Step) -> float:
    """Mean number of requests that wait as the new servers come: the fluid's, and what chance adds (scalars).

    After a step exact once the queue does not empty any more: see `idling`. During a ramp the queue is kept from
    emptying for the first time about 0.99615 (I^2 / k)^(1/3) requests above the fluid, where the load crosses the
    capacity at slope k (requests/s^2) with arrivals and services together varying by I = 2 capacity: the mean of the
    maximum of two-sided Brownian motion less a parabola (Daniels and Skyrme 1985; Newell 1968). Exponential service.
    """
    load, q = step.before / step.speed, step.before / step.capacity
    waiting = float(erlang_c(int(step.few), load))
    lost = idling(step)
    if step.ramp > 0:
        slope = (step.after - step.before) / step.ramp
        crossing = 0.99615 * float((2.0 * step.capacity) ** 2 / slope) ** (1.0 / 3.0)
        return float(fluid_backlog(step, step.delay) + max(crossing, lost))
    start = load + waiting * q / (1.0 - q)
    return float(start - step.few + (step.after - step.capacity) * step.delay + lost)


def beyond_the_relief(step: Step) -> Any:
    """Seconds by which the longest wait exceeds that of the request which starts as the new servers come, on average.

    To either side of it waits go down as a random walk does: the farthest that it comes up again is the wait of M/M/1
    with rates capacity and after on one side, after and the new capacity on the other, and the larger counts.
    """
    grown = step.many * step.speed
    before, later = step.capacity / step.after, step.after / grown
    up, down = step.after - step.capacity, grown - step.after
    return before / up + later / down - before * later / (up + down)
