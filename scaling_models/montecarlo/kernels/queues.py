"""Queueing kernels on plain arrays: the random numbers are handed in, nothing is drawn here."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_models.montecarlo.arrays import Array

WIDE = 100  # lanes


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


def running_sums(gaps: Array, first: Array) -> Array:
    """Moments (customers, lanes): `first` (lanes,) and all gaps so far.

    Row by row where rows are long: numpy's own sum along the first axis takes up to ten times as long.
    """
    moments = np.empty_like(gaps)
    if gaps.shape[1] < WIDE:
        moments[:] = gaps
        moments[:1] += first
        return np.cumsum(moments, axis=0, out=moments)
    before = first
    for gap, moment in zip(gaps, moments, strict=True):
        np.add(before, gap, out=moment)
        before = moment
    return moments


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
    if len(free) == 1 and len(services):
        return _waits_of_one(services, gaps, free)
    begins, lanes = np.empty_like(services), services.shape[1]
    moments, end, least = running_sums(gaps, np.zeros(lanes)), np.empty(lanes), np.empty_like(free)
    padded = np.concatenate([free, np.full((1, lanes), np.inf)])
    first, after, following = padded[0], padded[:-1], padded[1:]
    for now, service, begin in zip(moments, services, begins, strict=True):
        np.maximum(first, now, out=begin)
        np.add(begin, service, out=end)
        np.minimum(end, following, out=least)
        np.maximum(after, least, out=after)
    np.subtract(begins, moments, out=begins)
    return begins, after - moments[-1] if len(moments) else after


def _waits_of_one(services: Array, gaps: Array, free: Array) -> tuple[Array, Array]:
    """The same of one slot and a customer at least: W_n = max(0, W_{n-1} + S_{n-1} - A_n), Lindley's recursion."""
    waits = np.empty_like(services)
    np.maximum(free[0] - gaps[0], 0.0, out=waits[0])
    for before, step, wait in zip(waits, services[:-1] - gaps[1:], waits[1:], strict=False):
        np.add(before, step, out=wait)
        np.maximum(wait, 0.0, out=wait)
    return waits, waits[-1:] + services[-1:]
