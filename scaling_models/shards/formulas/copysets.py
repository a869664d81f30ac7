"""Copysets: the sets of nodes that hold all copies of some data, and how likely failures hit one whole.

Cidon, Rumble, Stutsman, Katti, Ousterhout, Rosenblum, Copysets: Reducing the Frequency of Data Loss in Cloud Storage,
USENIX ATC 2013.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
SURE = 1e-9  # of a failed node's chunks to keep: they are lost
MOST_PLACES = 60_000  # of failed nodes, all ways together: any of up to 16 nodes
FEW = 4.0  # expected lost sets up to which the alternating series keeps twelve digits


def one_set_lost(nodes: ArrayLike, failed: ArrayLike, replicas: int) -> Any:
    """C(F, R)/C(N, R): the probability that F of N nodes hold a given set of R. Exact; N and F broadcast."""
    n, f = np.asarray(nodes, dtype=float), np.asarray(failed, dtype=float)
    found = np.ones(np.broadcast(n, f).shape)
    for taken in range(replicas):
        found = found * np.maximum(f - taken, 0.0) / (n - taken)
    return found[()]


def loss_probability(nodes: ArrayLike, failed: ArrayLike, replicas: int, sets: ArrayLike) -> Any:
    """1 - (1 - C(F, R)/C(N, R))^sets: that F of N nodes that fail at once hold one of so many sets of R nodes.

    Exact where the sets are drawn independently of each other (chunks placed at random). Disjoint sets, as those of a
    permutation, are lost a little more often (`disjoint_loss`), and sets that overlap less often (`window_loss`).
    """
    p = np.asarray(one_set_lost(nodes, failed, replicas), dtype=float)
    with np.errstate(divide="ignore"):
        return -np.expm1(np.asarray(sets, dtype=float) * np.log1p(-p))[()]


def random_copysets(nodes: float, replicas: int, chunks: ArrayLike) -> Any:
    """T (1 - (1 - 1/T)^chunks), T = C(N, R): the expected number of different sets of so many random chunks. Exact."""
    possible = float(special.binom(nodes, replicas))
    if possible == 1.0:
        return np.minimum(1.0, np.asarray(chunks, dtype=float))[()]
    return (-possible * np.expm1(np.asarray(chunks, dtype=float) * math.log1p(-1.0 / possible)))[()]


def window_copysets(nodes: ArrayLike, replicas: ArrayLike, window: ArrayLike) -> Any:
    """N C(W, R - 1): the sets of a node and R - 1 of the W nodes that follow it.

    The published 275,000 of 5,000 nodes with "S = 10" are those of W = S + 1.
    """
    n, w, r = (np.asarray(each, dtype=float) for each in (nodes, window, replicas))
    return (n * special.binom(w, r - 1.0))[()]


def random_partners(nodes: ArrayLike, replicas: ArrayLike, sets: ArrayLike) -> Any:
    """(N - 1)(1 - (1 - (R - 1)/(N - 1))^c): the nodes that share one of a node's c random sets, expected. Exact."""
    n, r, c = (np.asarray(each, dtype=float) for each in (nodes, replicas, sets))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (-(n - 1.0) * np.expm1(special.xlog1py(c, -(r - 1.0) / (n - 1.0))))[()]


def disjoint_loss(nodes: int, failed: ArrayLike, replicas: int) -> Any:
    """The probability that F of N nodes hold one of the floor(N/R) groups of R into which a permutation cuts them.

    1 - [x^F] ((1 + x)^R - x^R)^G (1 + x)^{N - G R}/C(N, F), G = floor(N/R). Exact: where few groups are expected to be
    lost, by inclusion and exclusion, with its relative precision; else by the nodes' characteristic function, to 1e-12.
    """
    groups = nodes // replicas
    counts = np.asarray(failed)
    expected = groups * np.asarray(one_set_lost(nodes, counts, replicas), dtype=float)
    found = _alternating(nodes, np.where(expected <= FEW, counts, 0), replicas, groups)
    if (expected > FEW).any():
        many = [_by_frequencies(nodes, int(count), replicas, groups) for count in counts[expected > FEW].ravel()]
        found = np.array(found)
        found[expected > FEW] = many
    return found[()]


def _alternating(nodes: int, failed: Any, replicas: int, groups: int) -> Any:
    """sum_j (-1)^{j+1} C(G, j) C(N - j R, F - j R)/C(N, F)."""
    total, term = np.zeros(np.shape(failed)), np.ones(np.shape(failed))
    for j in range(groups):
        left = one_set_lost(nodes - j * replicas, failed - j * replicas, replicas)
        term = -term * np.maximum(left, 0.0) * (groups - j) / (j + 1.0)
        total = total - term
        if not (np.abs(term) > 1e-18 * np.abs(total)).any():
            break
    return total


def _by_frequencies(nodes: int, failed: int, replicas: int, groups: int) -> float:
    """As if each node failed with probability F/N, given that F do; so many frequencies that nothing else is near F."""
    share = failed / nodes
    if share >= 1.0:
        return 1.0
    count = min(nodes + 1, 80 + int(20.0 * math.sqrt(failed)))
    turns = np.exp(2j * np.pi * np.arange(count) / count)
    each = 1.0 - share + share * turns
    whole = each**nodes
    spared = (each**replicas - (share * turns) ** replicas) ** groups * each ** (nodes - groups * replicas)
    back = turns**-failed
    return float(np.clip(1.0 - (spared * back).sum().real / (whole * back).sum().real, 0.0, 1.0))


def window_loss(nodes: int, failed: int, replicas: int, window: int, chunks: float) -> float:
    """The probability of losing data where each node's chunks lie on it and on R - 1 of the W nodes that follow it.

    ((1 - 2 b + d)/(1 - b))^F, b the chance that of a failed node a chunk is lost, d that of it and of the next failed
    node, as if what happens to a failed node depended on the one before it only. Within 3% where measured. Exact where
    the failed nodes lie in few ways, for all are looked at.
    """
    if failed < replicas:
        return 0.0
    if few_ways(nodes, failed):
        return _in_all_ways(nodes, failed, replicas, window, chunks)
    near = np.arange(min(window, failed - 1) + 1)
    share = np.asarray(one_set_lost(window, near, replicas - 1), dtype=float)
    with np.errstate(divide="ignore"):
        bad = -np.expm1(chunks * np.log1p(-share))  # with so many failed among those that follow
    one = float(_among(nodes - 1, failed - 1, window, near) @ bad)
    gaps = np.arange(1, min(window, nodes - failed + 1) + 1)
    left = nodes - 1 - gaps
    chance = np.exp(_log_binom(left, failed - 2) - _log_binom(nodes - 1, failed - 1))
    inside = _among(left[:, None], failed - 2, (window - gaps)[:, None], near)
    beyond = _among(
        (left - window + gaps)[:, None, None], failed - 2 - near[:, None], gaps[:, None, None], near[None, None, :]
    )
    following = np.minimum(near[:, None] + near[None, :], len(near) - 1)
    first = bad[np.minimum(near + 1, len(near) - 1)]
    both = float((chance[:, None, None] * inside[:, :, None] * beyond * first[:, None] * bad[following]).sum())
    left_apart = 1.0 - 2.0 * one + both
    if one > 1.0 - SURE or not left_apart > 0.0:
        return 1.0
    return float(np.clip(-np.expm1(failed * (np.log1p(both - 2.0 * one) - np.log1p(-one))), 0.0, 1.0))


def few_ways(nodes: int, failed: int) -> bool:
    """Whether the failed nodes lie in so few ways around one of them that all can be looked at."""
    return failed > 0 and float(_log_binom(nodes - 1, failed - 1)) <= math.log(MOST_PLACES / failed) + 1e-9


def _in_all_ways(nodes: int, failed: int, replicas: int, window: int, chunks: float) -> float:
    """1 - E[prod over the failed nodes of the chance that none of a node's chunks is lost], one of them at 0. Exact."""
    ways = np.array(list(itertools.combinations(range(1, nodes), failed - 1)), dtype=np.int32)
    places = np.concatenate([np.zeros((len(ways), 1), dtype=np.int32), ways.reshape(len(ways), -1)], axis=1)
    ring = np.concatenate([places, places + nodes], axis=1)
    # How many of the window that follows each have failed too: those after it that are near.
    near = sum((ring[:, [other]] - places > 0) & (ring[:, [other]] - places <= window) for other in range(2 * failed))
    share = np.asarray(one_set_lost(window, np.arange(failed), replicas - 1), dtype=float)
    with np.errstate(divide="ignore"):
        spared = chunks * np.log1p(-np.minimum(share, 1.0))
    return float(-np.expm1(spared[np.asarray(near)].sum(axis=1)).mean())


def _log_binom(n: ArrayLike, k: ArrayLike) -> Any:
    """log C(n, k), minus infinity where there is no such choice."""
    above, below = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    some = (below >= 0) & (below <= above)
    x, y = np.where(some, above, 0.0), np.where(some, below, 0.0)
    return np.where(some, special.gammaln(x + 1.0) - special.gammaln(y + 1.0) - special.gammaln(x - y + 1.0), -np.inf)


def _among(nodes: Any, failed: Any, watched: Any, count: Any) -> Any:
    """The hypergeometric probability that `count` of `failed` of so many nodes are among those that are watched."""
    total = _log_binom(nodes, failed)
    logs = _log_binom(watched, count) + _log_binom(nodes - watched, failed - count)
    return np.where(np.isfinite(total), np.exp(logs - np.where(np.isfinite(total), total, 0.0)), 0.0)
