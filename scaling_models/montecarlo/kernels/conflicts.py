"""Concurrent commands of two clients: whose arrives first at each acceptor."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices


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
