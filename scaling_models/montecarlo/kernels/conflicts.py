"""Concurrent commands, message by message: who has heard of which when asked."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices


def replies_differ(starts: Array, arrive: Array, own: Array, asked: Flags) -> Flags:
    """Whether the followers' replies to a command that its leader, replica 0, sends at 0 differ: (commands).

    `starts` (commands, others), seconds, NaN where there is none, are the moments at which others send conflicting
    commands, which take `arrive` (commands, others, replicas) to get there; the command itself takes `own` (commands,
    replicas). A follower replies with the leader's list and whatever else has reached it before the command does;
    `asked` (commands, replicas) tells whose replies are the first.
    """
    before = starts[..., None] + arrive < own[:, None, :]
    listed = before[..., 0]  # known to the leader, so that it stands in every reply
    some = (before & asked[:, None, :]).any(axis=-1)
    all_of_them = (before | ~asked[:, None, :]).all(axis=-1)
    return np.asarray((some & ~all_of_them & ~listed).any(axis=1))


def poisson_starts(
    rates: Array, before: float, after: float, size: int, rng: np.random.Generator
) -> tuple[Array, Indices]:
    """Moments in [-before, after] (size, most), NaN where there are fewer, of Poisson commands; and whose each is."""
    total = float(rates.sum())
    counts = rng.poisson(total * (before + after), size)
    shape = (size, max(int(counts.max(initial=0)), 1))
    starts = rng.uniform(-before, after, shape)
    starts[np.arange(shape[1]) >= counts[:, None]] = np.nan
    share = rates / total if total > 0 else np.full(len(rates), 1.0 / len(rates))
    return starts, np.asarray(rng.choice(len(rates), size=shape, p=share))


def without_fast_quorum(starts: Array, own: Array, others: Array, fast_quorum: int) -> Flags:
    """Whether another client's command (commands, others) splits the acceptors so that neither has a fast quorum.

    Each acceptor takes whichever arrives first; `own` (acceptors) and `others` (commands, others, acceptors) are the
    delays to them.
    """
    first = (starts[..., None] + others > own).sum(axis=-1)  # acceptors that have ours first
    acceptors = len(own)
    split = (first < fast_quorum) & (acceptors - first < fast_quorum) & np.isfinite(starts)
    return np.asarray(split.any(axis=1))
