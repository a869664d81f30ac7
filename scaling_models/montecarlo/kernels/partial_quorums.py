"""Partial quorums played: every message of a write and of a later read drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Reads:
    """Of each write and its read: when each is done (s), and the age from which the read would have seen the write."""

    write: Array
    read: Array
    needed: Array


def play(
    legs: Sequence[tuple[Distribution, ...]],
    quorums: tuple[int, int],
    between: float,
    size: int,
    rng: np.random.Generator,
    *,
    slow_together: bool = False,
) -> Reads:
    """`size` writes, each followed by a read; `legs` are write, acknowledgement, request, response of every replica.

    A write completes at the W-th acknowledgement, the read returns the newest of its R first responses; `quorums` are
    (R, W). With `between` (s) each begins at a replica drawn evenly, and every message of the others takes so much
    longer. With `slow_together` a replica's four messages are slow at the same time (equal ranks).
    """
    count = len(legs)
    drawn = np.stack([[leg.sample(size, rng=rng) for leg in four] for four in legs])  # replicas, legs, size
    if slow_together:
        ranks = np.argsort(np.argsort(drawn[:, :1], axis=2), axis=2)
        drawn = np.take_along_axis(np.sort(drawn, axis=2), np.broadcast_to(ranks, drawn.shape), axis=2)
    if between:
        origins = rng.integers(0, count, (2, size))
        away = between * (np.arange(count)[:, None, None] != origins)  # replicas, (write, read), size
        drawn = drawn + np.repeat(away, 2, axis=1)
    write, acknowledgement, request, response = np.moveaxis(drawn, 1, 0)
    reads, writes = quorums
    written = np.partition(write + acknowledgement, writes - 1, axis=0)[writes - 1]
    back = request + response
    answers = np.lexsort((rng.random(back.shape), back), axis=0)[:reads]  # equal ones in an order drawn at random
    seen = np.take_along_axis(write - request, answers, axis=0).min(axis=0)
    return Reads(written, np.take_along_axis(back, answers[-1:], axis=0)[0], np.maximum(seen - written, 0.0))


def misses(replicas: int, quorums: tuple[int, int], versions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whether a read of R random replicas finds none of so many versions, each on W random replicas of its own."""
    reads, writes = quorums
    asked = rng.random((len(versions), replicas)).argsort(axis=1)[:, :reads]
    missed = np.ones(len(versions), dtype=bool)
    for version in range(int(versions.max(initial=0))):
        open_ = np.flatnonzero(missed & (versions > version))
        if not len(open_):
            break
        place = rng.random((len(open_), replicas)).argsort(axis=1).argsort(axis=1)
        holds = np.take_along_axis(place, asked[open_], axis=1) < writes
        missed[open_] = ~holds.any(axis=1)
    return missed


def goes_back(replicas: int, quorums: tuple[int, int], writes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whether the second of two reads returns an older version than the first, with so many writes between them.

    Each asks R random replicas, and each version is on W random replicas of its own. From the newest version on: the
    second read finds it, and does not go back, or the first found it, unless that came before, and it does.
    """
    reads, places = quorums
    first, second = (rng.random((len(writes), replicas)).argsort(axis=1)[:, :reads] for _ in range(2))
    back, open_, version = np.zeros(len(writes), dtype=bool), np.arange(len(writes)), 0
    while len(open_):
        place = rng.random((len(open_), replicas)).argsort(axis=1).argsort(axis=1)
        before, now = (
            (np.take_along_axis(place, asked[open_], axis=1) < places).any(axis=1) for asked in (first, second)
        )
        before &= version >= writes[open_]
        back[open_] = before & ~now
        open_, version = open_[~(before | now)], version + 1
    return back
