"""Streams of random numbers: each piece of work has its own, named by a key, so chunks and workers change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_requests(model: object, requests: Any, least: int = 1) -> int:
    """`requests` as a whole number, or a `ValueError` in a sentence."""
    if isinstance(requests, bool) or not isinstance(requests, int | np.integer) or requests < least:
        owner = type(model).__name__
        raise ValueError(f"{owner}.simulate: requests must be a whole number in [{least}, inf); got {requests!r}")
    return int(requests)


def stream(seed: int, *key: int) -> np.random.Generator:
    """The generator of the piece of work named by `key` under `seed` (SeedSequence with a spawn key)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number in [0, inf); got {seed!r}")
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=key))
