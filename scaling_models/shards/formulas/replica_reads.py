"""Reads of replicated keys by the less loaded of a few copies: queues of many nodes, and what no choice can pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST = 1e-14  # a share of the reads that no longer counts


def occupancies(reads: float, writes: float, choices: int) -> NDArray[np.float64]:
    """s_j, j = 0, 1, ...: the share of infinitely many nodes with j requests or more; s_0 = 1.

    s_{j+1} = a s_j^d + b s_j: reads of a, over what a node can serve, join the shortest of d nodes drawn at random, and
    writes of b any node; a + b < 1. In balance what comes to nodes with j or more is what leaves those with j + 1 or
    more. Reads alone are s_j = a^((d^j - 1)/(d - 1)), writes alone M/M/1. A read finds j or more with probability
    s_j^d. Exact as the nodes grow without bound, to 1e-14 of the reads. Mitzenmacher 1996; Vvedenskaya, Dobrushin and
    Karpelevich 1996.
    """
    shares = [1.0]
    while shares[-1] ** choices > LEAST:
        shares.append(reads * shares[-1] ** choices + writes * shares[-1])
    return np.array(shares)


def least_hottest(hottest_key: ArrayLike, nodes: ArrayLike, replicas: ArrayLike, write_share: ArrayLike) -> Any:
    """Requests at the hottest node per request to all, of which no way to choose among R copies leaves less on average.

    max((1 - w + w R)/N, p_1 (w + (1 - w)/R) + w R (1 - p_1)/N): no node has less than the mean; and of the R nodes that
    hold the hottest key one takes 1/R of its reads at least, all of its writes, and the writes of other keys, which no
    choice can move. A lower bound of the mean over placements, nearly reached where other keys' reads can give way.
    Broadcasts.
    """
    p, n, r, w = (np.asarray(each, dtype=float) for each in (hottest_key, nodes, replicas, write_share))
    return np.maximum((1.0 - w + w * r) / n, p * (w + (1.0 - w) / r) + w * r * (1.0 - p) / n)[()]
