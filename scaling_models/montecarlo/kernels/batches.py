"""Commands in batches for one server, played: who leaves with whom, and when it is done."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from scaling_models.montecarlo.arrays import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Played:
    """Of each command (lanes, commands): when its batch leaves and is done (s), and how many are in it; and of each
    lane the server's busy time (s), and the batches.
    """

    leaves: Array
    done: Array
    together: Array


def batched(arrivals: Array, size: int, window: float, fixed: float, each: float, *, when_free: bool) -> Played:
    """FIFO batches of one server, which works `fixed` + `each` times their commands (s) on them.

    A batch leaves with its `size`-th command or `window` (s) after its first, whichever is earlier, and waits for the
    server; or, `when_free`, as soon as the server is free and a command is there, with all that came until then (at
    that very time, too), `size` at most. `arrivals` (lanes, commands), ascending; the server is free at first. Exact.
    """
    lanes, commands = arrivals.shape
    apart = 2.0 * (float(arrivals[:, -1].max()) + (window if math.isfinite(window) else 0.0) + 1.0)
    busiest = apart + commands * (fixed + each)
    offsets = busiest * np.arange(lanes)
    in_one_row = (arrivals + offsets[:, None]).ravel()
    leaves, done, together = (np.zeros(arrivals.shape) for _ in range(3))
    lane, head, free = np.arange(lanes), np.zeros(lanes, dtype=np.intp), np.zeros(lanes)
    while lane.size:
        first = arrivals[lane, head]
        if when_free:
            closes = np.maximum(first, free)
        else:
            full = np.minimum(head + size, commands) - 1
            closes = np.minimum(first + window, arrivals[lane, full])
            closes = np.where(head + size > commands, first + window if math.isfinite(window) else closes, closes)
        came = np.searchsorted(in_one_row, closes + offsets[lane], side="right") - lane * commands
        after = np.minimum(np.clip(came, head + 1, commands), head + size)
        count = after - head
        free = np.maximum(closes, free) + fixed + each * count
        leaves[lane, head], done[lane, head], together[lane, head] = closes, free, count
        head, there = after, after < commands
        lane, head, free = lane[there], head[there], free[there]
    opens = together > 0.0
    last = np.maximum.accumulate(np.where(opens, np.arange(commands), 0), axis=1)
    return Played(*(np.take_along_axis(one, last, axis=1) for one in (leaves, done, together)))
