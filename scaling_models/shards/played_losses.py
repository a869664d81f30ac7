"""Lanes of storages that are played until they lose data, as many at once as fit in memory."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.kernels.durability import Losses, Storage, first_losses
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream

BATCHES = 40
MOST_EVENTS = 50_000_000  # failures and rebuilt nodes of a simulation: minutes
MOST_EACH = 100_000  # of a lane, which is played event by event: some ten seconds
KEPT = 4_000_000  # numbers of the lanes that are played together


def _numbers(storage: Storage) -> int:
    """How many numbers a lane takes."""
    return storage.nodes * (2 + storage.permutations * (storage.replicas - 1))


def fits(storage: Storage) -> None:
    """Raise `ValueError` where a lane alone does not fit in memory."""
    if _numbers(storage) > KEPT:
        raise ValueError(
            f"Durability.simulate: {storage.nodes:,} nodes in {storage.permutations:,} copysets each do not fit in "
            "memory: take fewer"
        )


def lanes_of(each: float, requests: int) -> int:
    """How many lanes, whole batches, have about so many events when a lane has `each`; `ValueError` for too many."""
    if each > MOST_EACH:
        raise ValueError(
            f"Durability.simulate: {each:,.3g} failures and rebuilt nodes come before data is lost; more than "
            f"{MOST_EACH:,} take too long to be simulated"
        )
    return BATCHES * max(2, round(requests / each / BATCHES))


def played(storage: Storage, lanes: int, seed: int) -> Losses:
    """So many lanes, as many at once as fit in memory."""
    block = max(1, KEPT // _numbers(storage))
    starts = range(0, lanes, block)
    parts = [first_losses(storage, min(block, lanes - at), stream(seed, 0, at)) for at in progress(starts, "storages")]
    return Losses(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("times", "lost", "down")))
