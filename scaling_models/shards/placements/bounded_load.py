"""Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling_models.answers import NoClosedForm
from scaling_models.domains import Real
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.rings import largest_share_mean, share_quantile
from scaling_models.shards.placements.hash_ring import VIRTUAL_NODES, random_tokens
from scaling_models.shards.placements.hashing import Hashes, following
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Moved, Nodes, ShareAmong

LEVELS = 64  # points of a share's law, equally likely but for the last
FAR = 40  # of these in place of the last: the largest of many shares lies there
RAREST = 1e-8
CHANCE = 4.0  # standard deviations of a node's number of keys: by so much the most of them exceeds the cap


class BoundedLoad(Placement):
    """A ring on which no node takes more than (1 + ε) times the mean number of keys: further keys go on to the next
    node that has room. It bounds keys, not their popularity: one hot key is not divided.

    A share is taken as min(cap, what a longer arc would have), of mean 1/N: what cascades from full nodes is spread
    over the others in proportion. Mirrokni, Thorup and Zadimoghaddam, SODA 2018 (arXiv:1608.01350).
    """

    epsilon: float = parameter(
        default=0.25, domain=Real(0, 10), symbol="ε", about="room above the mean", slider=Slider(0.05, 1.0, 0.05)
    )
    virtual_nodes: int = parameter(
        default=1,
        domain=VIRTUAL_NODES,
        unit="tokens/node",
        symbol="v",
        about="random tokens of each node on the ring",
        slider=Slider(1, 256, 1),
    )

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """Each key on the next node that has room, a full node keeping those of the lowest hash."""
        tokens, owner = random_tokens(shards, self.virtual_nodes, salt)
        cap = math.ceil((1.0 + self.epsilon) * len(hashes) / shards)
        at = following(tokens, hashes) % len(owner)
        by_hash = np.argsort(hashes * np.uint64(0x9E3779B97F4A7C15))
        rank_of = np.empty(len(hashes), dtype=np.int64)
        rank_of[by_hash] = np.arange(len(hashes))
        node = owner[at]
        while True:
            full = np.bincount(node, minlength=shards) > cap
            if not full.any():
                return node
            there = np.flatnonzero(full[node])
            there = there[np.lexsort((rank_of[there], node[there]))]
            first = np.searchsorted(node[there], node[there])
            over = there[np.arange(len(there)) - first >= cap]
            at[over] = (at[over] + 1) % len(owner)
            node[over] = owner[at[over]]

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """min(cap, a s), s of the ring at levels that are dense where s is rare, a such that the mean is 1/N."""
        above = np.concatenate([1.0 - np.arange(LEVELS) / LEVELS, np.geomspace(1.0 / LEVELS, RAREST, FAR)[1:], [0.0]])
        weights = -np.diff(above)
        shares = share_quantile(1.0 - (above[1:] + above[:-1]) / 2.0, self.virtual_nodes, shards)
        cap = (1.0 + self.epsilon) / shards
        stretch = optimize.brentq(lambda a: np.minimum(a * shares, cap) @ weights - 1.0 / shards, 0.5, 1e9)
        held, at = np.unique(np.minimum(stretch * shares, cap), return_inverse=True)
        return (Nodes(shards, ShareAmong(tuple(held.tolist()), tuple(np.bincount(at, weights).tolist()))),)

    def law_error(self, shards: int, replicas: int = 1) -> float:
        """What cascades is no proportion."""
        return 0.15

    def few_keys_error(self, shards: int, copied: int) -> float:
        """The chance of keys that are alike is taken to exceed the cap, which it never does."""
        return CHANCE * math.sqrt(shards / copied)

    def mean_largest_share(self, shards: int) -> float:
        """Not above (1 + ε)/N, nor the plain ring's: a bound, nearly reached where the ring's is well above it."""
        return min((1.0 + self.epsilon) / shards, largest_share_mean(self.virtual_nodes, shards), 1.0)

    def moved(self, before: int, after: int) -> Moved:
        """O(1/ε²) keys move for each key's worth of change, but how many is not known."""
        if before == after:
            return Moved(0.0, 0.0)
        raise NoClosedForm("BoundedLoad: no formula is known for what moves; simulate it by `moved_share`")
