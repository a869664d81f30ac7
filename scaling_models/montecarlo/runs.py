"""Runs of a simulated system: settled lanes advanced in units of work, the same whoever does them, and added up."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from concurrent.futures import Executor
from typing import Any

import numpy as np

from scaling_models.montecarlo import settling
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.bins import BinnedLatency, Counting, Counts
from scaling_models.montecarlo.controls import Controls, drawn_beside_expected
from scaling_models.montecarlo.estimates import Estimate, Sampled, SimulatedLatency, ratio
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.settling import Start
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.systems import BLOCK, LANES, System, block_of, lanes_of
from scaling_models.montecarlo.workers import in_order

MAIN = 1
BATCHES = 64  # families of lanes that stem from the same settled lanes, independent of each other: as many at most
KEPT = 2**20  # samples of a latency up to which each is kept; beyond, they are counted in bins
MOST_UNITS = 64


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the work is cut, whoever does it: `units` of `copies` of settled `lanes`, `steps` each, a `block` at once."""

    copies: int
    units: int
    steps: int
    lanes: int = LANES
    block: int = BLOCK

    @property
    def batches(self) -> int:
        """Families of lanes."""
        return min(BATCHES, self.lanes)

    @property
    def requests(self) -> int:
        """How many steps are made in all."""
        return self.lanes * self.copies * self.units * self.steps


def plan(system: System, requests: int, start: Start) -> Plan:
    """Lanes that run for four times their memory at least, and no more of them than help.

    A lane that hardly moves tells one state of the system, of which so few say too little of what is rare: so few
    requests become as many as that takes. And C copies of a settled lane begin alike: what they share for a memory m
    of their n steps adds m C / 2 n to their variance, relative to what C independent ones would have. With
    C = sqrt(all steps / 4 m) that is an eighth.
    """
    least = max(4 * start.memory, settling.rounds(system))
    settled = lanes_of(system)
    each = max(least, -(-requests // settled))
    lanes = min(math.isqrt(each // least), system.copies * MOST_UNITS)
    units = max(1, lanes // system.copies)  # wide ones: a narrow unit takes as long as a wide one
    copies = min(lanes // units, system.copies)
    block = max(BLOCK, block_of(system) // copies)
    return Plan(copies, units, -(-each // (copies * units)), settled, block)


Times = list[Array] | Counts  # samples (batches, ...) of some units of work, or counts of them


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """What one or more units of work told: times by name, and tallies (batches,)."""

    times: dict[str, Times]
    tallies: dict[str, Array]

    def plus(self, other: Part) -> Part:
        """Both together."""
        times = {name: _together(mine, other.times[name]) for name, mine in self.times.items()}
        return Part(times, {name: mine + other.tallies[name] for name, mine in self.tallies.items()})


def _together(one: Times, other: Times) -> Times:
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    return _counts(one).plus(_counts(other))


def _counts(times: Times) -> Counts:
    return times if isinstance(times, Counts) else functools.reduce(Counts.plus, map(counted, times))


def counted(times: Array) -> Counts:
    """Samples (batches, ...) as counts in bins."""
    return Counts.of(times.T, np.arange(len(times)), len(times))


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a run answers: simulated latencies by name, and ratios of what was tallied."""

    times: dict[str, Sampled]
    tallies: dict[str, Array]
    start: Start
    cut: Plan
    requests: int
    controls: Controls

    def ratio(self, above: str, below: str, scale: float = 1.0) -> Estimate:
        """The sum of one tally over the sum of another, times `scale`."""
        return ratio(self.tallies[above], self.tallies[below], scale)

    def share(self, above: str, below: str) -> Estimate:
        """The same, corrected for what the batches drew."""
        return ratio(self.tallies[above], self.tallies[below], controls=self.controls)


def run(
    system: System,
    requests: int,
    seed: int,
    *,
    executor: Executor | None = None,
    start: Start | None = None,
    cut: Plan | None = None,
) -> Run:
    """Settle the system, run it for `requests` steps at least, and check that both starts agree.

    The units of work have their own streams, and are added up in their order: the same seed gives the same bytes
    whoever computes them: this process, or the workers of any `executor` of concurrent.futures (what a worker that
    dies had to do is done here). Interrupted, it answers from the units done so far, with a warning. `start` and `cut`
    spare the settling, and fix the plan. Raises `NotSettled`.
    """
    start = settling.settle(system, seed) if start is None else start
    cut = plan(system, requests, start) if cut is None else cut
    keep = cut.requests <= KEPT
    jobs = [(system, start.state, cut, seed, keep, unit) for unit in range(cut.units)]
    whole: Part | None = None
    done = 0
    try:
        for part in in_order(executor, unit_of_work, jobs):
            whole = part if whole is None else whole.plus(part)
            done += 1
    except KeyboardInterrupt:
        if whole is None:
            raise
        warnings.warn(f"interrupted: {done} of {cut.units} units of the simulation were done", stacklevel=3)
    assert whole is not None
    controls = drawn_beside_expected(system, whole.tallies)
    times = {name: _latency(found, controls) for name, found in whole.times.items()}
    settling.check(times["latency"])
    return Run(times, whole.tallies, start, cut, done * cut.requests // cut.units, controls)


def _latency(found: Times, controls: Controls) -> Sampled:
    if isinstance(found, Counts):
        return BinnedLatency(found, controls)
    return SimulatedLatency(found[0] if len(found) == 1 else np.concatenate(found, axis=1), controls)


def unit_of_work(system: System, state: Any, cut: Plan, seed: int, keep: bool, unit: int) -> Part:
    """The copies of one unit advanced by the plan's steps."""
    lanes = np.tile(np.arange(cut.lanes), cut.copies)
    own = system.pick(state, lanes * lanes_of(system) // cut.lanes)
    batch = lanes * cut.batches // cut.lanes
    tallies: dict[str, Array] = {}
    folder = _Folder(batch, cut, keep)
    blocks = -(-cut.steps // cut.block)
    for block in progress(range(blocks), f"unit {unit + 1} of {cut.units}"):
        size = min(cut.block, cut.steps - block * cut.block)
        told, own = system.advance(own, streams_of(seed, MAIN, unit, block), size)
        folder.add(told.times, size)
        for name, sums in told.tallies.items():
            tallies[name] = tallies.get(name, 0.0) + sums
    added = {name: np.bincount(batch, sums, cut.batches).astype(float) for name, sums in tallies.items()}
    return Part(folder.told(), added)


class _Folder:
    """Samples of many blocks: all kept where every step has one, or counted in bins."""

    def __init__(self, batch: Indices, cut: Plan, keep: bool) -> None:
        self.batch, self.batches, self.steps, self.keep = batch, cut.batches, cut.steps, keep
        self.place = np.argsort(np.argsort(batch, kind="stable"))  # of each lane, by batch
        self.done = 0
        self.kept: dict[str, Array] = {}
        self.counts: dict[str, Counting] = {}

    def add(self, times: dict[str, Array], steps: int) -> None:
        """A block of steps: it is turned, or counted, while it is in the caches."""
        for name, rows in times.items():
            if self.keep and len(rows) == steps:
                if name not in self.kept:
                    self.kept[name] = np.empty((len(self.batch), self.steps))
                self.kept[name][self.place, self.done : self.done + steps] = rows.T
            else:
                if name not in self.counts:
                    self.counts[name] = Counting(self.batch, self.batches)
                self.counts[name].add(rows)
        self.done += steps

    def told(self) -> dict[str, Times]:
        """The samples of each time, or counts where some step had none, or they were too many."""
        counts = {name: counting.told() for name, counting in self.counts.items()}
        return {**counts, **{name: self._batched(samples) for name, samples in self.kept.items()}}

    def _batched(self, samples: Array) -> Times:
        """Samples (lanes by batch, steps) by batch."""
        if np.isfinite(samples).all():
            return [samples.reshape(self.batches, -1)]
        return Counts.of(samples.T, np.sort(self.batch), self.batches)
