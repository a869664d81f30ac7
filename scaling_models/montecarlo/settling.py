"""How long a system remembers its start, measured on the system: lanes from empty and from overfull must meet."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.controls import TALLIES, Controls, drawn_beside_expected
from scaling_models.montecarlo.estimates import NotSettled, Sampled, ratio, student
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import Streams, streams_of
from scaling_models.montecarlo.systems import BLOCK, System, block_of, lanes_of

VISITS = 100  # to the state of the traffic that comes most seldom, over all lanes
LONGEST = 4_000_000  # steps of a lane
MARGIN = 1.5  # on the steps after which the starts had met
SHARP = 0.033  # standard error of the difference, relative to the level, that counts as having looked
APART = 0.10  # relative difference at which the starts are taken to have met: three such errors
FULL, FULLER = 1.2, 1.5  # mean latencies that an overfull backlog must be on average, and is begun again with
STILL = 1.1  # times what it was half as long ago, up to which the mean latency of empty lanes is about the level
SOONER, LATER = 1.1, 2.0  # times the steps of one look are those of the next, at least and at most
EARLY = 0.8  # of the steps after which the difference should be known well enough: when to look again
FALSE_ALARM = 1e-6  # of the check that the two halves agree
PILOT = 0


@dataclasses.dataclass(frozen=True)
class Start:
    """Where the lanes stand once they have forgotten how they began, the first half from empty, the rest from overfull.

    `steps` were run in all, `met` of them until the two halves were no longer seen to differ; `gap` is their relative
    difference over the steps thereafter, and `memory` the steps after which a lane resembles itself 1/e as much.
    """

    state: Any
    steps: int
    met: int
    gap: float
    backlog: float
    memory: int


def settle(system: System, seed: int, backlog: float = 0.0) -> Start:
    """Run lanes from empty and from overfull until they have met, and half as long again.

    At growing times t the mean latencies since t/2 of either side are compared, corrected for what their lanes drew.
    They have met when they differ by at most 10% of the level, known to 3.3%; the run goes on to 1.5 t, where the same
    must hold of its second half. A difference that began as about the level and is a tenth of it by the middle of
    [t/2, t] is, at no slower a rate, about a hundredth at 1.5 t, and of opposite signs on the two sides, which are used
    in equal parts. (Measured over 100 of the shortest runs of a random split to 100 servers at load 0.9: the mean is
    0.26% +- 0.09% too high and the p99 0.7% +- 0.2%, a third of what one such run errs; 97 of their intervals cover.)
    How much is overfull is learnt first, from the half that begins empty, until its mean latency hardly grows; a
    backlog that then proves not to be well above it is begun again with a longer one. And nobody looks before every
    state of a modulated flow has come a hundred times. Raises `NotSettled`.
    """
    while not isinstance(found := _tried(system, seed, backlog), Start):
        backlog = found
    return found


def _tried(system: System, seed: int, backlog: float) -> Start | float:
    """The settled lanes; or the longer backlog to begin again with, once the progress bar of this try is closed."""
    pilot = _Pilot(system, seed, backlog)
    look, met = max(2 * BLOCK, rounds(system)), 0
    if look > LONGEST:
        raise NotSettled(f"the traffic's states come round in {look} steps of a lane: too seldom to be simulated")
    at_once = block_of(system)
    for block in progress(range(LONGEST // at_once), "settling"):
        pilot.advance(streams_of(seed, PILOT, 1 + block), at_once)
        steps = (block + 1) * at_once
        if steps < look:
            continue
        half = (block + 2) // 2 * (at_once // BLOCK)  # in whole calls, so that what their lanes drew is known
        level = pilot.level(half)
        grows = not backlog and level > STILL * pilot.level(half // 2, half)
        if not grows and backlog < FULL * level:
            return FULLER * level
        gap, error = pilot.gap(half) if backlog else (math.inf, 0.0)
        near = gap <= APART and error <= SHARP
        if met and near:
            return Start(pilot.state, steps, met, gap, backlog, pilot.memory(since=steps // 3 // BLOCK))
        met = steps if near else 0
        later = min(max(SOONER, EARLY * (error / SHARP) ** 2), LATER)
        look = int(steps * (MARGIN if met else later)) // BLOCK * BLOCK
    raise NotSettled(
        f"empty and overfull starts had not met after {LONGEST} steps: the load is too near capacity, or the service "
        "or the traffic varies too slowly"
    )


def rounds(system: System) -> int:
    """Steps of every lane in which each state of the system or its flow, if any, comes a hundred times over all."""
    cycle = getattr(getattr(system, "flow", system), "cycle", 0.0)
    return math.ceil(VISITS * cycle / lanes_of(system))


class _Pilot:
    """Lanes from either start, half of them from each, with what is needed of their latencies, block by block.

    Without a backlog only the half from empty.
    """

    def __init__(self, system: System, seed: int, backlog: float) -> None:
        self.system = system
        self.side = lanes_of(system) // 2
        backlogs = np.repeat([0.0, backlog] if backlog else [0.0], self.side)
        self.state = system.start(backlogs, streams_of(seed, PILOT, 0))
        self.sums = [np.zeros(len(backlogs))]  # from the first on, before each block
        self.counts = [np.zeros(len(backlogs))]
        self.drawn: list[dict[str, Array]] = []  # from the first on, after each call of `advance`

    def advance(self, rngs: Streams, steps: int) -> None:
        """So many steps, some blocks of which the sums are kept."""
        told, self.state = self.system.advance(self.state, rngs, steps)
        for latencies in np.array_split(told.times["latency"], steps // BLOCK):
            sums, counts = latencies.sum(axis=0), np.full(len(self.sums[0]), float(len(latencies)))
            if not np.isfinite(sums).all():
                known = np.isfinite(latencies)
                sums, counts = np.where(known, latencies, 0.0).sum(axis=0), known.sum(axis=0)
            self.sums.append(self.sums[-1] + sums)
            self.counts.append(self.counts[-1] + counts)
        each = {name: told.tallies[name] for name in TALLIES if name in told.tallies}
        self.drawn.append({name: sums + self.drawn[-1][name] for name, sums in each.items()} if self.drawn else each)

    def memory(self, since: int) -> int:
        """Steps after which a lane's mean latency of a block resembles that of one of the first 1/e as much."""
        sums, counts = (np.diff(each[since:], axis=0) for each in (self.sums, self.counts))
        level = sums.sum() / counts.sum()
        return BLOCK * relaxation(np.where(counts > 0.0, sums / np.maximum(counts, 1.0), level))

    def level(self, since: int, until: int = -1) -> float:
        """The mean latency of those that began empty, in these blocks."""
        sums, counts = ((each[until] - each[since])[: self.side].sum() for each in (self.sums, self.counts))
        return float(sums / counts) if counts else 0.0

    def gap(self, since: int) -> tuple[float, float]:
        """How far apart the sides' mean latencies are since this block, and its error, relative to their level.

        Each side is corrected for what its lanes drew, by which they differ most. Infinite where one tells nothing.
        """
        sums, counts = (each[-1] - each[since] for each in (self.sums, self.counts))
        sides = slice(self.side), slice(self.side, None)
        if not all(counts[side].any() for side in sides):
            return math.inf, math.inf
        low, high = (ratio(sums[side], counts[side], controls=self._controls(since, side)) for side in sides)
        level = (low.value + high.value) / 2.0
        return abs(high.value - low.value) / level, math.hypot(low.error, high.error) / level

    def _controls(self, since: int, side: slice) -> Controls:
        """Of one side's lanes, since this block, the first of a call of `advance`."""
        before = self.drawn[since * len(self.drawn) // (len(self.sums) - 1) - 1]
        drawn = {name: (sums - before[name])[side] for name, sums in self.drawn[-1].items()}
        return drawn_beside_expected(self.system, drawn)


def relaxation(levels: Array) -> int:
    """At which lag (rows) the autocovariance of (rows, lanes) is 1/e of that at lag 1; 1 where that is not seen.

    Lag 0 does not count, for in it is what each row has for itself. By the FFT, of rows padded with zeros.
    """
    rows, lanes = levels.shape
    spectrum = np.fft.rfft(levels - levels.mean(), 2 * rows, axis=0)
    covariance = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1))[: max(2, rows // 2)]
    if covariance[1] <= 3.0 * covariance[0] / np.sqrt(rows * lanes):
        return 1
    below = np.flatnonzero(covariance[1:] < covariance[1] / np.e)
    return int(below[0]) + 1 if below.size else len(covariance)


def check(latency: Sampled) -> None:
    """Raise `NotSettled` where batches that began empty (the first half) and overfull differ in mean latency."""
    half = len(latency.sizes) // 2
    sums = latency.means * latency.sizes
    first, second = (ratio(sums[side], latency.sizes[side]) for side in (slice(half), slice(half, None)))
    allowed = student(1.0 - FALSE_ALARM, half - 1) * float(np.hypot(first.error, second.error))
    if abs(first.value - second.value) > allowed:
        raise NotSettled(
            f"what began empty and what began overfull disagree (mean latency {first.value:.4g} s and "
            f"{second.value:.4g} s): the simulation had not settled; ask for more requests"
        )
