"""Streams of random numbers: each piece of work has its own, named by a key, so chunks and workers change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Streams = Callable[[int], np.random.Generator]  # the generator of a block for a purpose: 0 services, 1 gaps, ...
MOST = 10**10  # requests: what a day's run can do


def checked_requests(model: object, requests: Any, least: int = 1, most: int = MOST) -> int:
    """`requests` as a whole number from `least` to `most` (what fits in memory), or a `ValueError` in a sentence."""
    whole = isinstance(requests, int | np.integer) and not isinstance(requests, bool)
    if not (whole and least <= requests <= most):
        owner = type(model).__name__
        raise ValueError(f"{owner}.simulate: requests must be a whole number in [{least}, {most}]; got {requests!r}")
    return int(requests)


def stream(seed: int, *key: int) -> np.random.Generator:
    """The generator of the piece of work named by `key` under `seed` (SeedSequence with a spawn key)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number in [0, inf); got {seed!r}")
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=key))


def streams_of(seed: int, *key: int) -> Streams:
    """The generators of one block of work, by purpose."""
    return lambda purpose: stream(seed, *key, purpose)
