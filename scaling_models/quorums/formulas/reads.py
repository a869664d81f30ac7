"""Reads of a consensus group: what they cost its leader, and how long a lease lets it answer alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def confirmed_messages(replicas: ArrayLike, size: ArrayLike = 1.0) -> Any:
    """Messages at the leader a read, where so many reads share a round to all followers: 2 + 2 (n - 1) / size."""
    return 2.0 + 2.0 * (np.asarray(replicas, dtype=float) - 1.0) / np.asarray(size, dtype=float)


def lease_left(started: ArrayLike, timeout: ArrayLike, drift: ArrayLike, now: ArrayLike) -> Any:
    """How long (s) a leader may still answer alone: started + timeout / drift - now, 0 once that is past.

    `started` is when it sent the heartbeats that a majority answered, `drift` how fast one clock may run against
    another, at least 1. Ongaro, Consensus: Bridging Theory and Practice (2014), section 6.4.1. Raises ValueError for
    a drift below 1.
    """
    bound = np.asarray(drift, dtype=float)
    if not (bound >= 1.0).all():
        raise ValueError(f"lease_left: drift must lie in [1, inf), one clock's speed over another's; got {drift!r}")
    left = np.asarray(started, dtype=float) + np.asarray(timeout, dtype=float) / bound - np.asarray(now, dtype=float)
    return np.maximum(left, 0.0)[()]


def lease_idle(lease: ArrayLike, heartbeat: ArrayLike, gone: ArrayLike = 0.0) -> Any:
    """Mean time (s) that the next leader waits for the old one's lease, where another `gone` (s) after the crash.

    The lease was begun U(0, H) before the crash: E (lease - U - gone)+, H the time between heartbeats. Exact.
    """
    length, apart = np.asarray(lease, dtype=float) - np.asarray(gone, dtype=float), np.asarray(heartbeat, dtype=float)
    whole = np.maximum(length, 0.0) ** 2 - np.maximum(length - apart, 0.0) ** 2
    return (whole / (2.0 * apart))[()]


def second_round(write_rate: ArrayLike, commit: ArrayLike) -> Any:
    """P(a read finds a write of its key under way) = 1 - exp(-rate commit): Poisson writes of the key (1/s), each
    under way for `commit` s. Exact for that; by M/G/infinity whatever the distribution of the commit.
    """
    return -np.expm1(-np.asarray(write_rate, dtype=float) * np.asarray(commit, dtype=float))
