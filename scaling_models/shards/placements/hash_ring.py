"""Consistent hashing: nodes with tokens on a ring (Karger et al. 1997; virtual nodes as in Dynamo, 2007)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.domains import Choice, Integer
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.rings import largest_share_mean, replicated_cv
from scaling_models.shards.placements.allocated import MOST, allocated_places, allocated_shares
from scaling_models.shards.placements.hashing import UNIT, Hashes, following, salted
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Carried, FixedShare, GammaShare, Moved, Nodes

Array = NDArray[np.float64]
VIRTUAL_NODES = Integer(1, 10**5)
TURN = np.uint64(32)
LAST = 2.0**64 - 2048.0  # the largest number of 64 bits that is one with 53 digits
NEAR = 0.01  # of a share: what is nearer to the mean counts as equal
GROUPS = 6  # of unequal nodes, each taken as equal
NEARLY = 0.05  # less than the most: it may be the most by the chance of its keys


def random_tokens(shards: int, virtual_nodes: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
    """The tokens of all nodes in the ring's order, and whose they are; a node's tokens are the same whoever else is."""
    tokens = salted(
        (np.arange(shards, dtype=np.uint64)[:, None] << TURN) + np.arange(virtual_nodes, dtype=np.uint64), salt
    )
    order = np.argsort(tokens, axis=None)
    return tokens.ravel()[order], np.asarray(order // virtual_nodes, dtype=np.int64)


def allocated_tokens(shards: int, virtual_nodes: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Tokens as an allocator chooses them for node after node (`allocated_places`), the ring turned at random."""
    places, owner = allocated_places(shards, virtual_nodes)
    turned = (places + float(salted(0, salt)) * UNIT) % 1.0
    order = np.argsort(turned)
    return np.asarray(np.clip(turned[order] * 2.0**64, 0.0, LAST), dtype=np.uint64), owner[order]


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

    Allocated tokens stay where they are when nodes come: a new one takes 1/N, in v ranges of those that have most. That
    leaves about 4% at 8 tokens a node, and nothing is left to chance. (Cassandra's allocator, from 3.0: about 10% by
    its documentation; random tokens 35%.) Copies lie on the next distinct nodes.
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
        default="random", domain=Choice(("random", "allocated")), about="how tokens are chosen: by an allocator"
    )

    def _ring(self, shards: int, salt: int) -> tuple[Hashes, NDArray[np.int64]]:
        chosen = random_tokens if self.tokens == "random" else allocated_tokens
        return chosen(shards, self.virtual_nodes, salt)

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The node of the next token."""
        tokens, owner = self._ring(shards, salt)
        return owner[following(tokens, hashes) % len(owner)]

    def copies(self, keys: int, shards: int, replicas: int, rng: np.random.Generator) -> NDArray[Any]:
        """The next distinct nodes on the ring."""
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        tokens, owner = self._ring(shards, int(rng.integers(2**63)))
        return successors(owner, replicas)[following(tokens, hashes) % len(owner)]

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """A gamma of shape v, which given the sum is the beta; of copies one of the same spread as `replicated_cv`."""
        if replicas >= shards:
            return (Nodes(shards, FixedShare(1.0 / shards)),)
        if self.tokens == "allocated":
            return _alike(self._held(shards, replicas))
        # The shape of a gamma whose CV, given that all sum to one, is that of a node: (N - 1)/(shape N + 1).
        cv2 = replicated_cv(self.virtual_nodes, shards, replicas) ** 2
        return (Nodes(shards, GammaShare(1.0 / shards, ((shards - 1.0) / cv2 - 1.0) / shards)),)

    def _held(self, shards: int, replicas: int) -> Array:
        """The shares that nodes of allocated tokens hold, of all copies."""
        if replicas == 1 or shards > MOST:
            return allocated_shares(shards, self.virtual_nodes)
        places, owner = allocated_places(shards, self.virtual_nodes)
        holders = successors(owner, replicas)
        widths = np.diff(places, prepend=0.0) / replicas
        held: Array = np.bincount(holders.ravel(), np.repeat(widths, replicas), shards).astype(float)
        return held

    def law_error(self, shards: int, replicas: int = 1) -> float:
        """Of allocated tokens, by how much the largest share is above those that are taken as equal."""
        if self.tokens == "random":
            return 0.0
        error = float(self._held(shards, replicas).max() / self.nodes(shards, replicas)[0].share.mean) - 1.0
        return error if error > NEAR else 0.0

    def mean_largest_share(self, shards: int) -> float:
        """Exact; for random tokens by the maximum of independent gammas."""
        if self.tokens == "random":
            return largest_share_mean(self.virtual_nodes, shards)
        return float(self._held(shards, 1).max())

    def moved(self, before: int, after: int) -> Moved:
        """|M - N|/max(M, N), of random tokens with the spread of the share of as many nodes: Beta(v d, v (max - d)).

        Of allocated tokens the shares of the nodes that come or go, the last ones: no more than they have moves. Of
        more than 1,024 the least, a per cent or so off.
        """
        most, fewer = max(before, after), min(before, after)
        mean = (most - fewer) / most
        if most == fewer:
            return Moved(0.0, 0.0)
        if self.tokens == "allocated":
            if most > MOST:
                return Moved(mean, 0.0)
            return Moved(float(allocated_shares(most, self.virtual_nodes)[fewer:].sum()), 0.0)
        tokens = self.virtual_nodes * most
        return Moved(mean, math.sqrt(mean * (1.0 - mean) / (tokens + 1.0)))

    def carried(self, before: int, after: int) -> tuple[Carried, Carried] | None:
        """Of allocated tokens: the nodes that give most to those that come, and the largest of these."""
        if self.tokens == "random":
            return None
        few, many = (allocated_shares(count, self.virtual_nodes) for count in sorted((before, after)))
        old, new = _most(few - many[: len(few)]), _most(many[len(few) :])
        return (old, new) if after > before else (new, old)


def _most(shares: Array) -> Carried:
    """The largest, and those that are hardly less."""
    near = shares[shares >= (1.0 - NEARLY) * shares.max()]
    return Carried(len(near), float(near.mean()))


def _alike(shares: Array) -> tuple[Nodes, ...]:
    """The nodes in a few groups of those that are nearly equal, the largest first; or all as one."""
    nodes = len(shares)
    if shares.max() * nodes < 1.0 + NEAR:
        return (Nodes(nodes, FixedShare(1.0 / nodes)),)
    edges = np.linspace(shares.max(), shares.min(), GROUPS + 1)[1:-1]
    group = np.searchsorted(-edges, -shares)
    parts = [part for at in range(GROUPS) if len(part := shares[group == at])]
    return tuple(Nodes(len(part), FixedShare(float(part.mean()))) for part in parts)
