"""Bounds on the load of quorum systems."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def load_bound(least: ArrayLike, replicas: ArrayLike) -> Any:
    """max(1/c, c/n): a lower bound of the load where every two quorums meet, c the least quorum of n equal replicas.

    Naor and Wool, SIAM J. Computing 27 (1998), proposition 4.1 and corollary 4.2. Broadcasts.
    """
    c, n = np.asarray(least, dtype=float), np.asarray(replicas, dtype=float)
    if not ((c >= 1) & (c <= n)).all():
        raise ValueError(f"load_bound: the least quorum must lie in [1, {replicas!r}] replicas; got {least!r}")
    return np.maximum(1.0 / c, c / n)[()]
