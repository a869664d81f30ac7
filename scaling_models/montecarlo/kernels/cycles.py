"""One queue under a load that comes round again and again: who waits, and how many there are, by the time of day."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.bins import BinnedLatency, Counting
from scaling_models.montecarlo.estimates import Estimate, ratio
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import TimeVarying

BLOCK = 512  # customers dealt together
BATCHES = 64  # lanes whose samples are counted apart
HARMONICS = 5  # of a curve through the day by which its peak is looked for


@dataclasses.dataclass(frozen=True, eq=False)
class CycleOutcome:
    """Waits and latencies (s) of all that came in whole periods, and by lane and time of day (lanes, looks): requests
    that `came` in that part of the period, how many of them `waited`, and the sum of those `in_system` as it begins.

    `looked` is how often each time of day was looked at.
    """

    wait: BinnedLatency
    latency: BinnedLatency
    came: Array
    waited: Array
    in_system: Array
    looked: int

    @property
    def share_waiting(self) -> Estimate:
        """Of all requests."""
        return ratio(self.waited.sum(axis=1), self.came.sum(axis=1))

    @property
    def peak_waiting(self) -> Estimate:
        """The share of those that wait, at the time of day when it is highest."""
        return _peak(self.waited, self.came)

    @property
    def peak_in_system(self) -> Estimate:
        """The mean number in the system at the time of day when it is highest."""
        return _peak(self.in_system, np.full(self.came.shape, float(self.looked)))


def _peak(above: Array, below: Array) -> Estimate:
    """The highest ratio by time of day: where it is, one half of the lanes tells the other, lest chance choose."""
    half = np.arange(len(above)) % 2 == 0
    top, bottom = np.empty(len(above)), np.empty(len(above))
    for mine, others in ((half, ~half), (~half, half)):
        at = int(_smooth(above[others].sum(axis=0) / np.maximum(below[others].sum(axis=0), 1.0)).argmax())
        top[mine], bottom[mine] = above[mine, at], below[mine, at]
    return ratio(top, bottom)


def _smooth(curve: Array) -> Array:
    """The curve by its first harmonics: chance is mostly in the others."""
    spectrum = np.fft.rfft(curve)
    spectrum[HARMONICS + 1 :] = 0.0
    return np.fft.irfft(spectrum, len(curve))


def follow_cycles(
    flow: TimeVarying, slots: int, lanes: int, warm: int, cycles: int, looks: int, seed: int
) -> CycleOutcome:
    """Lanes from empty at time 0 before `slots` slots: `warm` periods are left out, the next `cycles` are told.

    By Kiefer and Wolfowitz's recursion; exact but for what is left of the start.
    """
    begin, end = warm * flow.period, (warm + cycles) * flow.period
    part = flow.period / looks
    batch = np.arange(lanes) * BATCHES // lanes
    free, now, state = np.zeros((slots, lanes)), np.zeros(lanes), flow.start(lanes, streams_of(seed, 0))
    came, waited, changes = np.zeros((lanes, looks)), np.zeros((lanes, looks)), np.zeros((lanes, looks + 1))
    wait, latency = Counting(batch, BATCHES), Counting(batch, BATCHES)
    for block in progress(range(1, 10**9), "periods"):
        services, gaps, state = flow.draw(state, streams_of(seed, block), BLOCK)
        arrivals = now + np.cumsum(gaps, axis=0)
        waits, free = central_waits(services, gaps, free)
        now = arrivals[-1]
        told = (arrivals >= begin) & (arrivals < end)
        if told.any():
            at = ((arrivals - begin) / part).astype(np.intp) % looks
            came += _by_lane(at, told, looks)
            waited += _by_lane(at, told & (waits > 0.0), looks)
            wait.add(np.where(told, waits, np.nan))
            latency.add(np.where(told, waits + services, np.nan))
        first = np.maximum(np.ceil((arrivals - begin) / part), 0.0).astype(np.intp)
        last = np.minimum(np.ceil((arrivals + waits + services - begin) / part), cycles * looks).astype(np.intp)
        changes += _spans(first, np.maximum(last, first), looks)
        if now.min() >= end:
            break
    known = BinnedLatency(wait.told()), BinnedLatency(latency.told())
    return CycleOutcome(*known, came, waited, np.cumsum(changes, axis=1)[:, :-1], cycles)


def _by_lane(at: Indices, where: Flags, looks: int) -> Array:
    """How many of the columns' entries lie at each place, (lanes, looks)."""
    lanes = at.shape[1]
    found = np.bincount((at + np.arange(lanes) * looks)[where], minlength=lanes * looks)
    return found.reshape(lanes, looks).astype(float)


def _spans(first: Indices, last: Indices, looks: int) -> Array:
    """What the looks from `first` to before `last`, which go round, add to the counts of a day: their differences."""
    lanes = first.shape[1]
    rounds, rest = np.divmod(last - first, looks)
    there = (last > first).astype(float)
    begin, width = first % looks, looks + 1
    over = begin + rest > looks
    offset = np.arange(lanes) * width

    def added(places: Indices, weights: Array) -> Array:
        each = np.bincount((places + offset).ravel(), weights=weights.ravel(), minlength=lanes * width)
        return np.asarray(each.reshape(lanes, width), dtype=float)

    found = added(begin, there) - added(np.where(over, looks, begin + rest), there)
    found += added(np.zeros_like(begin), there * over) - added(np.where(over, begin + rest - looks, 0), there * over)
    found[:, 0] += (rounds * there).sum(axis=0)
    return found
