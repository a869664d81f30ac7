"""What waits behind a cache that lost its content, while it fills again: the fluid, and what chance adds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import elementwise

from scaling_models.pools.formulas import load_step

Array = NDArray[np.float64]


class Refill(NamedTuple):
    """Misses that jump from `before` to `first` requests/s and come down again like e^(-t / time), before `slots`
    slots of which each carries `speed` requests/s. Times in s; fields broadcast over arrays."""

    before: Any
    first: Any
    slots: Any
    speed: Any
    time: Any

    @property
    def capacity(self) -> Any:
        """Requests/s of all slots."""
        return self.slots * self.speed

    def at(self, t: ArrayLike) -> Any:
        """Misses/s at t."""
        return self.before + (self.first - self.before) * np.exp(-np.asarray(t, dtype=float) / self.time)

    def arrived(self, t: ArrayLike) -> Any:
        """Mean number of misses from 0 to t."""
        since = np.asarray(t, dtype=float)
        return self.before * since - (self.first - self.before) * self.time * np.expm1(-since / self.time)


def least_hit_ratio(arrival_rate: ArrayLike, capacity: ArrayLike) -> Any:
    """The share of the requests that the cache must answer lest the pool behind it be overloaded: 1 - capacity / rate.

    Both in requests/s; 0 where the pool carries all of them.
    """
    return np.maximum(1.0 - np.asarray(capacity, dtype=float) / np.asarray(arrival_rate, dtype=float), 0.0)[()]


def overload_time(refill: Refill) -> Any:
    """Seconds until the misses have come down to the capacity: time x log((first - before) / (capacity - before)).

    0 where they are never above it, `inf` where they stay above. Exact for the mean load.
    """
    rise, room = refill.first - refill.before, refill.capacity - refill.before
    ends = refill.time * np.log(np.maximum(rise / np.where(room > 0, room, 1.0), 1.0))
    return np.where(room > 0, ends, np.inf)[()]


def filling(refill: Refill, t: ArrayLike) -> Any:
    """Slots that would be busy at t (s), were there enough: m' = misses(t) - speed m, m(0) = before / speed."""
    since, decay = np.asarray(t, dtype=float), 1.0 / refill.time
    slower, gap = np.minimum(decay, refill.speed), np.abs(refill.speed - decay)
    swell = since * np.exp(-slower * since) * special.exprel(-gap * since)
    return refill.before / refill.speed + (refill.first - refill.before) * swell


def start_up(refill: Refill) -> Any:
    """Seconds until all slots are busy; `inf` where they never are. Exact for the fluid, to 1e-12."""
    each = Refill(*np.broadcast_arrays(*(np.asarray(field, dtype=float) for field in refill)))
    ratio = each.speed * each.time
    apart = np.where(np.abs(ratio - 1.0) < 1e-9, 1e-9, ratio - 1.0)
    top = each.time * np.log1p(apart) / apart  # the fullest moment, log(ratio) / (speed - 1 / time)
    reached = (filling(each, top) > each.slots) & (each.before < each.capacity)

    def below(t: Array, *fields: Array) -> Array:
        one = Refill(*fields)
        return np.asarray(filling(one, t) - one.slots)

    some = Refill(0.0, 4.0, 1.0, 1.0, 1.0)  # which fills its slot: to be asked about in place of those that do not
    asked = Refill(*(np.where(reached, mine, other) for mine, other in zip(each, some, strict=True)))
    high = np.where(reached, top, 1.0)
    found = elementwise.find_root(below, (np.zeros_like(high), high), args=tuple(asked), tolerances={"xrtol": 1e-13})
    already = each.before >= each.capacity
    return np.where(reached, np.asarray(found.x), np.where(already, 0.0, np.inf))[()]


def fluid_backlog(refill: Refill, t: ArrayLike) -> Any:
    """Requests that wait at t (s): misses since all slots are busy, less what those have begun. Fluid.

    Once the queue is gone it does not come again, for the misses only get fewer.
    """
    since, begin = np.asarray(t, dtype=float), start_up(refill)
    there = since > begin
    start = np.where(there, begin, 0.0)
    level = refill.arrived(since) - refill.arrived(start) - refill.capacity * (since - start)
    return np.where(there, np.maximum(level, 0.0), 0.0)[()]


def drained(refill: Refill, extra: ArrayLike = 0.0) -> Any:
    """When (s) the last of the backlog, and of `extra` requests more, has been begun; `inf` if that is never. Fluid.

    (capacity - before) (t - t0) = (first - before) time (e^(-t0 / time) - e^(-t / time)) + extra, by Lambert's W; 0
    where no queue builds up.
    """
    begin = np.asarray(start_up(refill), dtype=float)
    there = np.isfinite(begin) & (refill.before < refill.capacity)
    start = np.where(there, begin, 0.0) / refill.time
    rise = np.where(there, refill.first - refill.before, 1.0)
    slope = np.where(there, (refill.capacity - refill.before) / rise, 1.0)
    level = slope * start + np.exp(-start) + np.asarray(extra, dtype=float) / (rise * refill.time)
    root = level / slope + special.lambertw(-np.exp(-level / slope) / slope).real
    return np.where(there, root * refill.time, np.where(refill.before < refill.capacity, 0.0, np.inf))[()]


def added_by_chance(refill: Refill) -> float:
    """Requests that wait beyond the fluid's backlog, on average: what the slots idle while the queue begins (scalars).

    As after a step to the `first` load, which holds while the queue begins: see `load_step.idling`. Exponential
    service, before < capacity < first.
    """
    after = load_step.Step(refill.before, refill.first, refill.slots, refill.slots + 1, refill.speed, 1.0)
    long = after._replace(delay=10.0 * load_step.start_up(after))
    return float(load_step.mean_backlog(long) - load_step.fluid_backlog(long, long.delay))


def beyond_the_top(refill: Refill, variability: float) -> float:
    """Seconds by which the longest wait exceeds that at the fluid's top, on average (scalars).

    0.99615 (I^2 / k)^(1/3) requests, I = `variability` (1 + scv of the service) x capacity, where the load crosses the
    capacity with slope -k: the mean maximum of two-sided Brownian motion less a parabola (Daniels and Skyrme 1985).
    """
    slope = (refill.capacity - refill.before) / refill.time
    return float(0.99615 * np.cbrt((variability * refill.capacity) ** 2 / slope) / refill.capacity)
