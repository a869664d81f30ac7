"""Transactions over shards played: keys placed, participants awaited; and optimistic ones that meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array


def place_keys(
    shards: int, keys: int, local: float, size: int, rng: np.random.Generator, *, related: float = 0.0
) -> NDArray[np.int64]:
    """How many shards each of `size` transactions touches.

    A share `local` lies on one by design; the keys of the others are placed evenly, each, with probability `related`,
    where the key before it is.
    """
    placed = rng.integers(0, shards, (keys, size))
    for key in range(1, keys if related else 0):
        placed[key] = np.where(rng.random(size) < related, placed[key - 1], placed[key])
    ordered = np.sort(placed, axis=0)
    touched = 1 + (np.diff(ordered, axis=0) > 0).sum(axis=0)
    return np.where(rng.random(size) < local, 1, touched)


def rounds(leg: Distribution, touched: NDArray[np.int64], rng: np.random.Generator) -> tuple[Array, Array]:
    """When each transaction is prepared and when it is committed (s); one of a single shard commits at once."""
    most = int(touched.max())
    asked = np.arange(most)[:, None] < touched
    first, second = (np.where(asked, leg.sample((most, len(touched)), rng=rng), 0.0).max(axis=0) for _ in range(2))
    return first, np.where(touched > 1, first + second, first)


def aborts(gaps: Array, duration: float, items: int, keys: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the transactions (steps, lanes) abort, the first to commit winning.

    Each begins a gap (s) after the one before it, works on `keys` distinct ones of `items` drawn evenly for `duration`
    (s), and aborts if one that committed meanwhile holds one of its keys. All last equally long, so they end in the
    order in which they begin.
    """
    steps, lanes = gaps.shape
    begun = np.cumsum(gaps, axis=0)
    chosen = _distinct(items, keys, (steps, lanes), rng)
    # Each item of each lane that is ever drawn has a place, where it stands when it was last committed.
    _, places = np.unique(chosen + items * np.arange(lanes), return_inverse=True)
    places, committed = places.reshape(chosen.shape), np.full(chosen.size, -np.inf)
    failed = np.zeros((steps, lanes), dtype=bool)
    for step in range(steps):
        held = places[:, step]
        failed[step] = (committed[held] > begun[step]).any(axis=0)
        won = ~failed[step]
        committed[held[:, won]] = begun[step, won] + duration
    return failed


def _distinct(items: int, keys: int, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int64]:
    """`keys` distinct numbers below `items` in each place: those drawn twice are drawn again.

    Where most draws would meet, by Floyd's sampling instead: a number that was drawn gives way to the last one.
    """
    if keys * keys > items:
        return _sampled(items, keys, shape, rng)
    chosen = rng.integers(0, items, (keys, *shape))
    while True:
        same = np.zeros(shape, dtype=bool)
        for one in range(keys):
            for other in range(one):
                same |= chosen[one] == chosen[other]
        if not same.any():
            return chosen
        chosen[:, same] = rng.integers(0, items, (keys, int(same.sum())))


def _sampled(items: int, keys: int, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int64]:
    chosen = np.empty((keys, *shape), dtype=np.int64)
    for key in range(keys):
        last = items - keys + key
        drawn = rng.integers(0, last + 1, shape)
        chosen[key] = np.where((chosen[:key] == drawn).any(axis=0), last, drawn)
    return chosen
