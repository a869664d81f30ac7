"""Simulated rebalances: keys dealt before and after, copied in rounds while writes arrive, chunk by chunk at a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.priorities import Slots, priority_waits
from scaling_models.montecarlo.kernels.queues import fifo_waits
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream

Owners = Callable[[NDArray[np.uint64], int, int], NDArray[Any]]
AT_ONCE = 4096  # steps drawn together


class Moves(NamedTuple):
    """Of each draw (draws,): the share of the keys that move, the most that one node sends, and that one receives."""

    moved: Array
    sent: Array
    received: Array


class Rounds(NamedTuple):
    """Of each lane: rounds of copying, how long they took (s), and the bytes that were left at the cut-over."""

    rounds: Array
    duration: Array
    left: Array


def moves(owners: Owners, keys: int, nodes: tuple[int, int], draws: int, seed: int) -> Moves:
    """All keys dealt to the first number of nodes, and then to the second, each draw with its own hashes and salt."""
    found, most = np.empty((3, draws)), max(nodes)
    for i in progress(range(draws), "placements"):
        rng = stream(seed, i)
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        salt = int(rng.integers(2**63))
        old, new = (np.asarray(owners(hashes, count, salt)) for count in nodes)
        gone = old != new
        sent, received = (np.bincount(where[gone], minlength=most).max() for where in (old, new))
        found[:, i] = np.array([np.count_nonzero(gone), sent, received]) / keys
    return Moves(*found)


def append_rounds(
    data: Array, rate: Array, writes: Array, stop: Array, record: float, horizon: Array, rng: np.random.Generator
) -> Rounds:
    """Copying what is left while records of `record` bytes come in a Poisson stream, round after round, until no more
    than `stop` bytes are left, or until `horizon` (s). Lanes (lanes,) of bytes and bytes/s. Exact."""
    left, duration, rounds = data.copy(), np.zeros(len(data)), np.zeros(len(data))
    going = (left > stop) & (duration < horizon)
    while going.any():
        takes = np.where(going, left / rate, 0.0)
        duration += takes
        rounds += going
        left = np.where(going, record * rng.poisson(writes * takes / record), left)
        going = (left > stop) & (duration < horizon)
    return Rounds(rounds, duration, left)


def overwrite_rounds(
    data: Array, rate: Array, writes: Array, stop: Array, changes: int, rng: np.random.Generator
) -> Rounds:
    """The same where each write changes one page, and pages that were changed are copied again: in every round pages
    of such a size that about so many `changes` come while it lasts."""
    found = np.empty((3, len(data)))
    for lane, (whole, speed, coming, small) in enumerate(zip(data, rate, writes, stop, strict=True)):
        left, duration, rounds = whole, 0.0, 0
        while left > small:
            takes = left / speed
            pages = max(round(whole / (coming * takes) * changes), 1) if coming else 1
            hit = rng.integers(0, pages, rng.poisson(coming * takes / whole * pages))
            duration += takes
            rounds += 1
            left = len(np.unique(hit)) * whole / pages
        found[:, lane] = rounds, duration, left
    return Rounds(*found)


def latencies_first(
    gap: Distribution, service: Distribution, pause: Distribution, chunk: float, lanes: int, steps: int, seed: int
) -> Array:
    """Latencies (lanes, requests) at a disk where requests go before chunks, which they do not interrupt.

    `pause` is the time from chunk to chunk (a constant zero: there is always another). From an empty disk on; all
    lanes as many requests as the one with the fewest. Exact.
    """
    state = Slots(np.zeros((1, lanes)), np.stack([law._draw((lanes,), stream(seed, 0)) for law in (gap, pause)]))
    found: list[Array] = []
    for block in progress(range(-(-steps // AT_ONCE)), "blocks"):
        rng, size = stream(seed, 1, block), (min(AT_ONCE, steps - block * AT_ONCE), lanes)
        services = np.stack([service._draw(size, rng), np.full(size, chunk)], axis=1)
        gaps = np.stack([gap._draw(size, rng), pause._draw(size, rng)], axis=1)
        waits, classes, _, state = priority_waits(services, gaps, state)
        found.append(np.where(classes == 0, waits + services[:, 0], np.nan))
    return _even(np.concatenate(found).T)


def latencies_in_order(
    gap: Distribution, service: Distribution, pause: Distribution, chunk: float, lanes: int, steps: int, seed: int
) -> Array:
    """The same in order of arrival: `steps` requests a lane, and the chunks that come among them."""
    coming = np.cumsum(gap._draw((lanes, steps), stream(seed, 0)), axis=1)
    rows = []
    for lane in progress(range(lanes), "lanes"):
        rng, end = stream(seed, 1, lane), coming[lane, -1]
        chunks = np.cumsum(pause._draw((int(1.2 * end / pause.mean()) + 50,), rng))
        chunks = chunks[chunks < end]
        times = np.concatenate([coming[lane], chunks])
        order = np.argsort(times, kind="stable")
        services = np.concatenate([service._draw((steps,), rng), np.full(len(chunks), chunk)])[order]
        waits, _ = fifo_waits(services, np.append(np.diff(times[order]), 0.0))
        rows.append((waits + services)[order < steps])
    return np.stack(rows)


def _even(latencies: Array) -> Array:
    """The rows without their NaNs, cut to the shortest."""
    there = np.isfinite(latencies)
    least = int(there.sum(axis=1).min())
    return np.stack([row[mine][:least] for row, mine in zip(latencies, there, strict=True)])
