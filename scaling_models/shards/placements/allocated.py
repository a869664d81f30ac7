"""Tokens of a ring that an allocator chooses: a node that comes splits the largest ranges, and no token ever moves."""

from __future__ import annotations

import functools
import heapq
import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
MOST = 1024  # nodes of which the shares are followed; those of more are much the same
FEWEST = 64


def donors(shares: Array, virtual_nodes: int) -> Indices:
    """The nodes that give a range to each token of the next one: always the one that then has most."""
    piece = 1.0 / ((len(shares) + 1) * virtual_nodes)
    deepest = min(math.ceil((shares.max() - shares.mean()) / piece) + 2 + virtual_nodes // len(shares), virtual_nodes)
    levels = shares[:, None] - piece * np.arange(deepest)
    return np.asarray(np.argsort(-levels.ravel(), kind="stable")[:virtual_nodes] // deepest, dtype=np.int64)


@functools.lru_cache(maxsize=64)
def _joined(virtual_nodes: int, most: int) -> tuple[tuple[Array, ...], tuple[Indices, ...]]:
    """The shares of 1, 2, ... nodes, and who gave the ranges of each that came."""
    shares, given = [np.ones(1)], []
    for nodes in range(2, most + 1):
        given.append(donors(shares[-1], virtual_nodes))
        lost = np.bincount(given[-1], minlength=nodes - 1) / (nodes * virtual_nodes)
        shares.append(np.append(shares[-1] - lost, 1.0 / nodes))
    return tuple(shares), tuple(given)


def allocated_shares(nodes: int, virtual_nodes: int) -> Array:
    """The share of the ring that each of the nodes has, in the order in which they came.

    The first has all. A node that comes puts each of its v tokens into the largest range of the node that has most just
    then, and takes 1/(N v) there: 1/N in all, and no more moves. Of more than 1,024 nodes those of 1,024, scaled.
    """
    known = min(nodes, MOST)
    shares: Array = _joined(virtual_nodes, _upper(known))[0][known - 1]
    if nodes == known:
        return shares
    many = np.resize(shares, nodes)
    return np.asarray(many / many.sum())


@functools.lru_cache(maxsize=16)
def _tokens(virtual_nodes: int, most: int) -> tuple[Array, Indices]:
    """Where on [0, 1) the tokens lie, in the order in which they came, and whose they are."""
    starts = [each / virtual_nodes for each in range(virtual_nodes)]
    ends = [(each + 1.0) / virtual_nodes for each in range(virtual_nodes)]
    ranges = [[(-1.0 / virtual_nodes, each) for each in range(virtual_nodes)]]  # of each node, the largest first
    for nodes, given in enumerate(_joined(virtual_nodes, most)[1], start=2):
        piece = 1.0 / (nodes * virtual_nodes)
        own = []
        for donor in given.tolist():
            size, token = ranges[donor][0]
            heapq.heapreplace(ranges[donor], (size + piece, token))
            own.append((-piece, len(ends)))
            starts.append(starts[token])
            starts[token] += piece
            ends.append(starts[token])
        ranges.append(own)
    return np.array(ends), np.arange(len(ends)) // virtual_nodes


def allocated_places(nodes: int, virtual_nodes: int) -> tuple[Array, Indices]:
    """Where on (0, 1] the tokens of so many nodes lie, in the ring's order, and whose they are."""
    ends, owners = _tokens(virtual_nodes, _upper(nodes))
    ends, owners = ends[: nodes * virtual_nodes], owners[: nodes * virtual_nodes]
    order = np.argsort(ends, kind="stable")
    return ends[order], owners[order]


def _upper(nodes: int) -> int:
    """The next power of two, so that a slider's moves find what is known."""
    return int(max(FEWEST, 2 ** math.ceil(math.log2(nodes))))
