"""Queueing kernels on plain arrays: the random numbers are handed in, nothing is drawn here."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_models.montecarlo.arrays import Array


def fifo_waits(services: Array, gaps: Array, first: Any = 0.0) -> tuple[Array, Any]:
    """Waits of one FIFO server, and the wait of the customer after the last.

    Lindley's recursion W_{n+1} = max(0, W_n + S_n - A_n) cumulated: with U_n = W_0 + sum_{i<n} (S_i - A_i),
    W_n = U_n - min(0, U_1, ..., U_n). Time runs along the last axis; leading axes are independent queues.
    `services[..., n]` is customer n's service, `gaps[..., n]` the time from customer n to n + 1, `first` the wait of
    customer 0 (all in seconds). Call it block after block, with the second result as the next `first`. Exact.
    """
    walk = np.empty((*services.shape[:-1], services.shape[-1] + 1))
    walk[..., 0] = first
    np.subtract(services, gaps, out=walk[..., 1:])
    np.cumsum(walk, axis=-1, out=walk)
    lowest = np.minimum.accumulate(walk, axis=-1)
    np.minimum(lowest, 0.0, out=lowest)
    np.subtract(walk, lowest, out=walk)
    return walk[..., :-1], walk[..., -1].copy()


def busy_slots(slots: int, backlog: Array) -> Array:
    """Free times (slots, lanes), evenly from the backlog (lanes,) on: the first customer of a lane waits about it."""
    return np.linspace(1.0, 1.5, slots)[:, None] * backlog


def insert(free: Array, end: Array, spare: Array) -> tuple[Array, Array]:
    """Ascending `free` (slots, lanes) with the first replaced by `end` (lanes,), and the array to be the next `spare`.

    new_i = min(max(free_i, end), free_{i+1}); an end not above the first changes nothing.
    """
    np.maximum(free, end, out=spare)
    np.minimum(spare[:-1], free[1:], out=spare[:-1])
    return spare, free


def central_waits(services: Array, gaps: Array, free: Array) -> tuple[Array, Array]:
    """Waits in one queue before several equal slots, for many independent lanes at once.

    Kiefer and Wolfowitz's recursion on the sorted times `free` (slots, lanes) at which the slots come free, counted
    from the arrival of the customer before the first. `gaps[n]` (customers, lanes) is the time from customer n - 1 to
    n, `services[n]` its service (seconds). Returns the waits (customers, lanes) and the new free times, counted from
    the last arrival. Exact for any gaps and services, so that a measured trace can be replayed. The first free time is
    replaced in place, new_i = max(free_i, min(end, free_{i+1})), with inf behind the last: no array is made on the way.
    """
    waits = np.empty_like(services)
    lanes = services.shape[1]
    now, end, least = np.zeros(lanes), np.empty(lanes), np.empty_like(free)
    padded = np.concatenate([free, np.full((1, lanes), np.inf)])
    first, after, following = padded[0], padded[:-1], padded[1:]
    for gap, service, wait in zip(gaps, services, waits, strict=True):
        now += gap
        np.maximum(first, now, out=end)
        np.subtract(end, now, out=wait)
        end += service
        np.minimum(end, following, out=least)
        np.maximum(after, least, out=after)
    return waits, after - now
