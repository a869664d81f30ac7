"""Rings of virtual nodes over racks: who shares data with whom, and how much each node holds."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array

Places = NDArray[np.intp]


def random_tokens(nodes: int, virtual_nodes: int, racks: int, rng: np.random.Generator) -> tuple[Array, Places]:
    """Where on the ring [0, 1) each rack's tokens lie (racks, tokens), in order, and which of its nodes has each."""
    places = rng.random((racks, nodes * virtual_nodes))
    order = places.argsort(axis=1)
    return np.take_along_axis(places, order, axis=1), np.asarray(order // virtual_nodes)


def even_tokens(nodes: int, virtual_nodes: int, racks: int, rng: np.random.Generator) -> tuple[Array, Places]:
    """As `random_tokens`, but each rack's evenly spaced from a place drawn at random, each node once in every round."""
    count = nodes * virtual_nodes
    rounds = np.tile(np.arange(nodes), (racks * virtual_nodes, 1))
    owners = rng.permuted(rounds, axis=1).reshape(racks, count)
    return (np.arange(count) + rng.random((racks, 1))) / count, owners


def held(places: Array, owners: Places, nodes: int) -> Array:
    """The share of the data that each node (racks, nodes) holds: of its rack's copy, what lies before its tokens."""
    before = np.diff(places, axis=1, prepend=places[:, -1:] - 1.0)
    return np.array([np.bincount(own, gap, nodes) for own, gap in zip(owners, before, strict=True)])


def ranges(places: Array, owners: Places) -> tuple[Array, Places]:
    """The widths of all ranges (ranges,), each up to a token, and in each rack (racks, ranges) the node that holds it:
    that of its next token.
    """
    ends = np.sort(places.ravel())
    holders = [own[np.searchsorted(place, ends) % len(own)] for place, own in zip(places, owners, strict=True)]
    return np.diff(ends, prepend=ends[-1] - 1.0), np.array(holders)


def pairs(places: Array, owners: Places, nodes: int) -> int:
    """How many pairs of nodes have a range in common."""
    _, holders = ranges(places, owners)
    return sum(len(np.unique(one * nodes + other)) for one, other in itertools.combinations(holders, 2))
