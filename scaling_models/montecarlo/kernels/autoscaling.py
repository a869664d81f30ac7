"""A pool whose number of slots changes while it works: by a control rule on its utilization, or by a timetable."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.timelines import Timelines, counts_at, drawn_until
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.traffic.flows import Flow

CHANGE, TICK, READY, LOOK = range(4)  # what happens at one and the same time, in this order


@dataclasses.dataclass(frozen=True)
class ScalingRule:
    """How many slots are wanted: those in use over the target, as Kubernetes' horizontal pod autoscaler reckons.

    Every `interval` seconds, wanted = ceil(ordered x utilization / target) = ceil(busy / target), where busy is the
    mean number of busy slots over the last `window` seconds (whole intervals; of the time since the start until then),
    and ordered counts slots still to come, which are not busy; within [least, most]. While utilization / target lies
    within `tolerance` of 1, ordered stays. More slots are ready `provisioning` seconds after they are ordered (fewer
    ordered by then: the newest do not come). Fewer are taken only down to the most that was wanted at any time in the
    last `stabilization` seconds; they begin nothing new from that moment, and finish what they serve.
    """

    target: float = 0.6
    interval: float = 15.0
    window: float = 30.0
    provisioning: float = 30.0
    stabilization: float = 300.0
    least: int = 1
    most: int = 100
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        part = self.window / self.interval % 1.0 if 0 < self.interval <= self.window < math.inf else 0.5
        legal = {
            "target must lie in (0, 1]": 0 < self.target <= 1,
            "interval and window must satisfy 0 < interval, and window be whole intervals": min(part, 1 - part) < 1e-9,
            "provisioning and stabilization must lie in [0, inf) s": min(self.provisioning, self.stabilization) >= 0,
            "least and most must satisfy 1 <= least <= most": 1 <= self.least <= self.most,
            "tolerance must lie in [0, inf)": self.tolerance >= 0,
        }
        for sentence, holds in legal.items():
            if not holds:
                raise ValueError(f"ScalingRule.{sentence}; got {self!r}")

    @property
    def intervals(self) -> int:
        """The window in intervals."""
        return round(self.window / self.interval)

    def wanted(self, busy: Array, ordered: Indices) -> Indices:
        """Slots wanted where `busy` are busy on average and `ordered` are ordered (lanes)."""
        steady = np.abs(busy / (self.target * ordered) - 1.0) <= self.tolerance
        enough = np.clip(np.ceil(busy / self.target - 1e-9), self.least, self.most)
        return np.where(steady, ordered, enough.astype(np.intp))


@dataclasses.dataclass(frozen=True)
class ChangingPool:
    """One FIFO queue before slots that change: `slots` at the start, then by the `rule`, or as `changes` says.

    `changes` are (time, slots) in ascending order; what is beyond the new number finishes what it serves. With a rule
    there are none.
    """

    flow: Flow
    slots: int
    rule: ScalingRule | None = None
    changes: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        times = [time for time, _ in self.changes]
        if self.rule is not None and self.changes:
            raise ValueError(f"ChangingPool takes a rule or changes, not both; got {self!r}")
        if times != sorted(times) or min([self.slots, *(slots for _, slots in self.changes)]) < 1:
            raise ValueError(f"ChangingPool: times must ascend, and slots must lie in [1, inf); got {self!r}")

    @property
    def most(self) -> int:
        """The most slots there can ever be."""
        return max(self.slots, self.rule.most if self.rule else 1, *(slots for _, slots in self.changes), 1)

    def follow(self, times: Array, lanes: int, seed: int) -> Timelines:
        """The pool from empty at time 0, looked at at the given times (s, ascending)."""
        services, arrivals = drawn_until(self.flow, float(times[-1]), lanes, seed)
        return _Run(self, services, arrivals).follow(np.asarray(times, dtype=float))


class _Run:
    """A run in progress: from one moment at which something may change to the next, requests are started in order.

    `ends` (most slots, lanes) are the sorted times at which what was begun ends: with c slots the next request starts
    when the c-th largest of them has come. `busy` is counted as all work begun less what is left of it.
    """

    def __init__(self, pool: ChangingPool, services: Array, arrivals: Array) -> None:
        lanes = services.shape[1]
        self.pool, self.services, self.arrivals = pool, services, arrivals
        self.waits = np.full_like(services, math.nan)
        self.ends, self.spare = np.zeros((pool.most, lanes)), np.empty((pool.most, lanes))
        self.slots = np.full(lanes, pool.slots, dtype=np.intp)
        self.ordered = self.slots.copy()
        self.customer = np.zeros(lanes, dtype=np.intp)
        self.begun, self.slot_time, self.now = np.zeros(lanes), np.zeros(lanes), 0.0
        self.orders, self.recommended, self.used = [self.ordered], [self.ordered], [np.zeros(lanes)]

    def follow(self, times: Array) -> Timelines:
        found: list[tuple[NDArray[Any], ...]] = []
        came = counts_at(self.arrivals, times)
        agenda = self._agenda(times)
        for i in progress(range(len(agenda)), "timeline"):
            time, kind, which = agenda[i]
            self._serve(time)
            if kind == CHANGE:
                self.slots[:] = self.ordered[:] = self.pool.changes[which][1]
            elif kind == TICK and self.pool.rule is not None:
                self._decide(self.pool.rule)
            elif kind == READY:
                self.slots = np.maximum(self.slots, np.min(self.orders[which:], axis=0))
            else:
                waiting = came[which] - self.customer
                flying = waiting + (self.ends > time).sum(axis=0)
                found.append((self.slots.copy(), self.ordered.copy(), flying, self._busy(), self.slot_time.copy()))
        slots, ordered, flying, busy, slot_time = (np.array(column, dtype=float) for column in zip(*found, strict=True))
        since = np.diff(slot_time, axis=0, prepend=0.0)
        utilization = np.diff(busy, axis=0, prepend=0.0) / np.where(since > 0, since, math.nan)
        arrivals = np.where(np.isnan(self.waits), math.nan, self.arrivals)
        latencies = self.waits + self.services
        return Timelines(times, slots, ordered, flying, utilization, arrivals, self.waits, latencies)

    def _agenda(self, times: Array) -> list[tuple[float, int, int]]:
        agenda = [(float(time), LOOK, i) for i, time in enumerate(times)]
        agenda += [(time, CHANGE, i) for i, (time, _) in enumerate(self.pool.changes)]
        if self.pool.rule is not None:
            interval = self.pool.rule.interval
            ticks = [(k * interval, k) for k in range(1, int(times[-1] / interval) + 1)]
            agenda += [(time, TICK, k) for time, k in ticks]
            agenda += [(time + self.pool.rule.provisioning, READY, k) for time, k in ticks]
        return sorted(entry for entry in agenda if entry[0] <= times[-1])

    def _serve(self, until: float) -> None:
        """Start all requests whose turn comes before `until`."""
        lanes = np.arange(len(self.slots))
        place = self.pool.most - self.slots
        while True:
            start = np.maximum(self.arrivals[self.customer, lanes], self.ends[place, lanes])
            np.maximum(start, self.now, out=start)  # a new slot serves no one before it is there
            going = start < until
            if not going.any():
                break
            service = self.services[self.customer, lanes]
            new = np.where(going, start + service, -math.inf)  # which leaves the ends as they are
            self.ends, self.spare = insert(self.ends, new, self.spare)
            gone = lanes[going]
            self.waits[self.customer[gone], gone] = (start - self.arrivals[self.customer, lanes])[gone]
            self.begun += np.where(going, service, 0.0)
            self.customer += going
        self.slot_time += self.slots * (until - self.now)
        self.now = until

    def _busy(self) -> Array:
        """Slot-seconds of work done since the start."""
        return np.asarray(self.begun - np.maximum(self.ends - self.now, 0.0).sum(axis=0))

    def _decide(self, rule: ScalingRule) -> None:
        self.used.append(self._busy())
        span = min(rule.intervals, len(self.used) - 1)
        busy = (self.used[-1] - self.used[-1 - span]) / (span * rule.interval)
        wanted = rule.wanted(busy, self.ordered)
        self.recommended.append(wanted)
        kept = int(rule.stabilization / rule.interval + 1e-9) + 1
        calm = np.max(self.recommended[-kept:], axis=0)
        self.ordered = np.maximum(wanted, np.minimum(self.ordered, calm))
        self.orders.append(self.ordered)
        self.slots = np.minimum(self.slots, self.ordered)
