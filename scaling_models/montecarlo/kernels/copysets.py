"""Nodes that fail at once, and the sets of nodes that hold all copies of some data: drawn many times over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array

Places = NDArray[np.intp]


def failed_places(nodes: int, failed: int, draws: int, rng: np.random.Generator) -> Places:
    """`failed` different ones of the places 0 .. nodes - 1 of every draw (draws, failed), in order."""
    if 4 * failed > nodes:
        return np.sort(rng.permuted(np.tile(np.arange(nodes), (draws, 1)), axis=1)[:, :failed], axis=1)
    found = np.empty((draws, failed), dtype=np.intp)
    left = np.arange(draws)
    while len(left):  # those in which one was drawn twice are drawn again
        found[left] = np.sort(rng.integers(nodes, size=(len(left), failed)), axis=1)
        left = left[(np.diff(found[left], axis=1) == 0).any(axis=1)]
    return found


def whole_groups(
    nodes: int, failed: int, replicas: int, permutations: int, draws: int, rng: np.random.Generator
) -> Any:
    """How many groups have failed whole, of each draw: of `permutations` of the nodes, cut into groups of R.

    The nodes that fail are at different places in each permutation, any as likely as any other.
    """
    found = np.zeros(draws)
    for _ in range(permutations if failed >= replicas else 0):
        groups = failed_places(nodes, failed, draws, rng) // replicas
        groups[groups >= nodes // replicas] = -1  # the last nodes are in no group
        first, last = groups[:, : failed - replicas + 1], groups[:, replicas - 1 :]
        found += ((first == last) & (first >= 0)).sum(axis=1)
    return found


def whole_chunks(nodes: int, failed: int, replicas: int, chunks: int, draws: int, rng: np.random.Generator) -> Array:
    """How many of the chunks have all their R copies, on nodes drawn at random, on those that failed; copy by copy."""
    left: Any = np.full(draws, chunks)
    for taken in range(replicas):
        left = rng.binomial(left, max(failed - taken, 0) / (nodes - taken))
    return np.asarray(left, dtype=float)


def whole_followers(
    nodes: int, failed: int, replicas: int, window: int, chunks: int, draws: int, rng: np.random.Generator
) -> Array:
    """How many chunks are lost: each node has so many, their other copies on some of the `window` nodes after it."""
    places = failed_places(nodes, failed, draws, rng)
    around = np.concatenate([places, places + nodes], axis=1)
    found = np.zeros(draws)
    for position in range(failed):
        behind = around[:, position + 1 : position + failed] - around[:, position, None]
        near = (behind <= window).sum(axis=1)
        left: Any = np.full(draws, chunks)
        for taken in range(replicas - 1):
            left = rng.binomial(left, np.maximum(near - taken, 0) / (window - taken))
        found += left
    return found
