"""How many others a node shares data with on a ring of virtual nodes, and what two failures then break."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


def vnode_neighbours(nodes: ArrayLike, virtual_nodes: ArrayLike, replicas: ArrayLike) -> Any:
    """M (1 - (1 - 1/M)^{2 v (R - 1)}), M = N (R - 1)/R: the nodes that share a range with a given one, expected.

    R racks of N/R nodes, v random tokens a node, a copy of each range in every rack: each token meets about 2 (R - 1)
    of the M nodes in other racks. Lynch and Snyder, Cassandra Availability with Virtual Nodes, 2018.
    """
    n, v, r = (np.asarray(each, dtype=float) for each in (nodes, virtual_nodes, replicas))
    others = n * (r - 1.0) / r
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(others > 1.0, -others * np.expm1(special.xlog1py(2.0 * v * (r - 1.0), -1.0 / others)), others)[
            ()
        ]


def single_neighbours(rack_nodes: ArrayLike, replicas: ArrayLike) -> Any:
    """(R - 1)(2 - n! (n - 1)!/(2 n - 1)!): as `vnode_neighbours`, of one random token a node, n nodes a rack. Exact.

    Of each other rack a node meets those whose tokens lie in its gap, one on average, and the next, unless all n lie
    in its gap: E[g^n] of a gap g ~ Beta(1, n - 1). The formula for many tokens would be up to 24% low.
    """
    n = np.asarray(rack_nodes, dtype=float)
    all_of_them = np.exp(special.gammaln(n + 1.0) + special.gammaln(n) - special.gammaln(2.0 * n))
    return ((np.asarray(replicas, dtype=float) - 1.0) * (2.0 - all_of_them))[()]


def even_neighbours(nodes: ArrayLike, virtual_nodes: ArrayLike, replicas: ArrayLike) -> Any:
    """M (1 - (1 - 2/n)^v), n = N/R, M = n (R - 1): as `vnode_neighbours`, of tokens at equal distances in each rack.

    Each node has one token in every round of its rack, and between two tokens of a rack there is just one of another:
    a token meets two of the n nodes of each other rack.
    """
    n, v, r = (np.asarray(each, dtype=float) for each in (nodes, virtual_nodes, replicas))
    rack = n / r
    missed = np.where(rack > 2.0, 1.0 - 2.0 / np.maximum(rack, 2.0), 0.0) ** v
    return (rack * (r - 1.0) * (1.0 - missed))[()]


def pair_shares(nodes: ArrayLike, neighbours: ArrayLike) -> Any:
    """neighbours/(N - 1): the probability that two nodes drawn at random share a range. Exact, given the former."""
    return (np.asarray(neighbours, dtype=float) / (np.asarray(nodes, dtype=float) - 1.0))[()]
