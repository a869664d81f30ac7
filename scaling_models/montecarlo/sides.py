"""Systems with more than one stable state: each watched from its own start, which another's never meets."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.bins import BinnedLatency, Counting, Counts
from scaling_models.montecarlo.estimates import Estimate, NotSettled, from_batches, ratio, student
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.systems import System

LANES = 256
BATCHES = 64
BLOCK = 64
FALSE_ALARM = 1e-6  # of the check that a side has settled


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """What was seen from one start: latencies by name, and tallies by batch of lanes, of the first half and in all."""

    times: dict[str, Counts]
    first: dict[str, Array]
    tallies: dict[str, Array]

    def latency(self, name: str) -> BinnedLatency:
        """A time as simulated."""
        return BinnedLatency(self.times[name])

    def ratio(self, above: str, below: str, scale: float = 1.0) -> Estimate:
        """The sum of one tally over the sum of another, times `scale`."""
        return ratio(self.tallies[above], self.tallies[below], scale)

    def check(self, above: str, below: str) -> None:
        """Raise `NotSettled` where a ratio differs between the halves by more than chance (one in a million)."""
        second = {name: self.tallies[name] - self.first[name] for name in (above, below)}
        level = self.ratio(above, below).value
        drift = from_batches((second[above] - self.first[above]) - level * (second[below] - self.first[below]))
        if abs(drift.value) > student(1.0 - FALSE_ALARM, drift.freedom) * drift.error:
            raise NotSettled(
                f"{above} over {below} still drifts: the state that the simulation was in does not last, or it began "
                "too far from it; ask for more requests"
            )


def watched(system: System, backlog: float, warm_up: int, steps: int, seed: int, side: int) -> Side:
    """256 lanes that all begin with `backlog` (s, 0: empty), watched for `steps` after `warm_up` steps."""
    batch = np.arange(LANES) * BATCHES // LANES
    state = system.start(np.full(LANES, backlog), streams_of(seed, side, 0))
    times, tallies, first = dict[str, Counting](), dict[str, Array](), dict[str, Array]()
    before, half = -(-warm_up // BLOCK), max(1, -(-steps // (2 * BLOCK)))
    for number in progress(range(before + 2 * half), "empty" if side == 0 else "overloaded"):
        told, state = system.advance(state, streams_of(seed, side, 1 + number), BLOCK)
        if number < before:
            continue
        for name, sums in told.tallies.items():
            tallies[name] = tallies.get(name, np.zeros(BATCHES)) + np.bincount(batch, sums, BATCHES)
        for name, rows in told.times.items():
            if name not in times:
                times[name] = Counting(batch, BATCHES)
            times[name].add(rows)
        if number == before + half - 1:
            first = {name: sums.copy() for name, sums in tallies.items()}
    return Side({name: counting.told() for name, counting in times.items()}, first, tallies)
