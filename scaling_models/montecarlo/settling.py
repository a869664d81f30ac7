"""How long a queue remembers its start, measured on the queue itself: an empty and an overfull copy must meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.estimates import NotSettled, SimulatedLatency, from_batches, student
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.queues import central_waits

Array = NDArray[np.float64]
Draw = Callable[[int, tuple[int, int]], tuple[Array, Array]]

PAIRS = 64
BLOCK = 512  # customers between two looks
LONGEST = 2_000_000  # customers in a pair; a load of about 0.998
MARGIN = 1.5  # on the longest of the pairs
EXCEEDED = 0.01  # share of waits that may lie above the overfull start
FALSE_ALARM = 1e-6  # of the check that the two halves agree


@dataclasses.dataclass(frozen=True)
class Start:
    """What a queue has to forget: `customers` of warm-up, measured, and the `backlog` (s) of the overfull start."""

    customers: int
    backlog: float


def overfull(slots: int, lanes: int, backlog: float) -> Array:
    """Free times (slots, lanes), evenly up to the backlog, so that the first customer of each lane waits about it."""
    spread = np.linspace(1.0, 1.5, slots) if slots > 1 else np.ones(1)
    return np.ascontiguousarray(np.repeat(backlog * spread[:, None], lanes, axis=1))


def measure(draw: Draw, slots: int, backlog: float) -> Start:
    """Run pairs of copies on the same draws, one from empty and one from overfull, until every pair has met.

    Kiefer and Wolfowitz's recursion is monotone in its state, so any start between the two is by then forgotten
    exactly: the share of pairs that have not met bounds the distance from the stationary law (coupling inequality).
    `draw(block, shape)` gives services and gaps. An overfull start that ordinary waits exceed is begun again from
    twice the backlog. Raises `NotSettled` where they do not meet.
    """
    low, high = np.zeros((slots, PAIRS)), overfull(slots, PAIRS, backlog)
    met = 0
    for block in progress(range(LONGEST // BLOCK), "measuring the warm-up"):
        services, gaps = draw(block, (BLOCK, PAIRS))
        waits, free = central_waits(np.tile(services, 2), np.tile(gaps, 2), np.hstack([low, high]))
        low, high = free[:, :PAIRS], free[:, PAIRS:]
        met += BLOCK
        if np.array_equal(np.maximum(low, 0.0), np.maximum(high, 0.0)):
            exceeded = float((waits[:, :PAIRS] > backlog).mean()) > EXCEEDED / 2.0
            return measure(draw, slots, 2.0 * backlog) if exceeded else Start(int(MARGIN * met), backlog)
    raise NotSettled(f"an empty and an overfull start had not met after {met} customers: the load is too near capacity")


def check(latency: SimulatedLatency, wait: SimulatedLatency, start: Start) -> None:
    """Raise `NotSettled` where the halves of the batches differ, or waits often exceed what the start-up covered."""
    half = len(latency.batches) // 2
    first, second = (from_batches(part.mean(axis=1)) for part in (latency.batches[:half], latency.batches[half:]))
    allowed = student(1.0 - FALSE_ALARM, half - 1) * float(np.hypot(first.error, second.error))
    if abs(first.value - second.value) > allowed:
        raise NotSettled(
            f"the two halves of the simulation disagree (mean latency {first.value:.4g} s and {second.value:.4g} s): "
            "it had not settled; ask for more requests"
        )
    if wait.ccdf(start.backlog) > EXCEEDED:
        raise NotSettled(f"waits often exceed the {start.backlog:.3g} s that the start-up was measured from")
