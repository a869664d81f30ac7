"""Nodes in lockstep: each round has a parallel part, and what is done one after the other."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array


def round_times(parallel: Array, serial: Array, exchanges: Array) -> Array:
    """How long each round takes (rounds,), in seconds.

    All nodes work on a request each, `parallel` (rounds, nodes), and wait for the slowest; then each has its turn at
    what only one may do at a time, `serial` (rounds, nodes), and then each pair exchanges what it knows, one after the
    other both ways: `exchanges` (rounds,) is the sum of these. Exact.
    """
    return np.asarray(parallel.max(axis=1) + serial.sum(axis=1) + exchanges)
