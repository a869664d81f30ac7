"""Consistent hashing: nodes with tokens on a ring (Karger et al. 1997; virtual nodes as in Dynamo, 2007)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import NoClosedForm
from scaling_models.parameters import Choice, Integer, Slider, parameter
from scaling_models.shards.formulas.rings import largest_share_mean, replicated_cv
from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import FixedShare, GammaShare, Moved, Nodes

VIRTUAL_NODES = Integer(1, 10**5)
TURN = np.uint64(32)


def random_tokens(shards: int, virtual_nodes: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
    """The tokens of all nodes in the ring's order, and whose they are; a node's tokens are the same whoever else is."""
    tokens = salted(
        (np.arange(shards, dtype=np.uint64)[:, None] << TURN) + np.arange(virtual_nodes, dtype=np.uint64), salt
    )
    order = np.argsort(tokens, axis=None)
    return tokens.ravel()[order], np.asarray(order // virtual_nodes, dtype=np.int64)


def allocated_tokens(shards: int, virtual_nodes: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Tokens at equal distances, every node once in each of the rounds, in random order."""
    rng = np.random.default_rng(salt)
    owner = np.concatenate([rng.permutation(shards) for _ in range(virtual_nodes)])
    return np.asarray(np.arange(1, len(owner) + 1) * (2.0**64 / len(owner)) - 2048.0, dtype=np.uint64), owner


def successors(owner: NDArray[np.int64], replicas: int) -> NDArray[np.int64]:
    """The next distinct nodes from each token on (tokens, replicas), its own node first."""
    found = np.full((len(owner), replicas), -1, dtype=np.int64)
    found[:, 0] = owner
    at, have = np.arange(len(owner)), np.ones(len(owner), dtype=np.int64)
    left = np.flatnonzero(have < replicas)
    while left.size:
        at[left] = (at[left] + 1) % len(owner)
        following = owner[at[left]]
        new = left[(found[left] != following[:, None]).all(axis=1)]
        found[new, have[new]] = owner[at[new]]
        have[new] += 1
        left = left[have[left] < replicas]
    return found


class HashRing(Placement):
    """A ring with v tokens a node; a key belongs to the next token. With random tokens a node's share of the key space
    is Beta(v, v (N - 1)), of CV 1/sqrt(v): exact.

    Allocated tokens are the ideal, equal shares. (Cassandra's allocator, from 3.0, leaves about 10% at 8 tokens a node
    by its documentation; random tokens 35%.) They are dealt anew for every number of nodes, which no allocator does, so
    `moved` refuses them. Copies lie on the next distinct nodes.
    """

    virtual_nodes: int = parameter(
        default=128,
        domain=VIRTUAL_NODES,
        unit="tokens/node",
        symbol="v",
        about="tokens of each node on the ring",
        slider=Slider(1, 256, 1),
    )
    tokens: str = parameter(
        default="random", domain=Choice(("random", "allocated")), about="how tokens are chosen: allocated is the ideal"
    )

    def _ring(self, shards: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
        chosen = random_tokens if self.tokens == "random" else allocated_tokens
        return chosen(shards, self.virtual_nodes, salt)

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The node of the next token."""
        tokens, owner = self._ring(shards, salt)
        return owner[np.searchsorted(tokens, hashes) % len(owner)]

    def copies(self, keys: int, shards: int, replicas: int, rng: np.random.Generator) -> NDArray[Any]:
        """The next distinct nodes on the ring."""
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        tokens, owner = self._ring(shards, int(rng.integers(2**63)))
        return successors(owner, replicas)[np.searchsorted(tokens, hashes) % len(owner)]

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """A gamma of shape v, which given the sum is the beta; of copies one of the same spread as `replicated_cv`."""
        if self.tokens == "allocated" or replicas >= shards:
            return (Nodes(shards, FixedShare(1.0 / shards)),)
        # The shape of a gamma whose CV, given that all sum to one, is that of a node: (N - 1)/(shape N + 1).
        cv2 = replicated_cv(self.virtual_nodes, shards, replicas) ** 2
        return (Nodes(shards, GammaShare(1.0 / shards, ((shards - 1.0) / cv2 - 1.0) / shards)),)

    def mean_largest_share(self, shards: int) -> float:
        """Exact for random tokens, by the maximum of independent gammas."""
        return largest_share_mean(self.virtual_nodes, shards) if self.tokens == "random" else 1.0 / shards

    def moved(self, before: int, after: int) -> Moved:
        """|M - N|/max(M, N), of random tokens with the spread of the share of as many nodes: Beta(v d, v (max - d))."""
        most, fewer = max(before, after), min(before, after)
        mean = (most - fewer) / most
        if most == fewer:
            return Moved(0.0, 0.0)
        if self.tokens == "allocated":
            raise NoClosedForm(
                "HashRing: what allocated tokens move depends on the allocator, and here all are dealt anew; take "
                "random tokens, or JumpHash for the least that can move"
            )
        tokens = self.virtual_nodes * most
        return Moved(mean, math.sqrt(mean * (1.0 - mean) / (tokens + 1.0)))
