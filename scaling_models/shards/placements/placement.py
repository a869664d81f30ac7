"""What a placement is: where each key goes, how evenly, and what moves when nodes come or go."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.estimates import Estimate, from_batches
from scaling_models.montecarlo.kernels.placements import moved_shares
from scaling_models.parameters import Declared
from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.shares import Carried, FixedShare, Moved, Nodes
from scaling_models.shards.popularities import Popularity
from scaling_models.wording import short

TRIES = 100  # rehashes of a copy, after which it is asked whether there is room for it
ASKED = 100_000  # keys


class Placement(Declared):
    """Base: a deterministic map of hashed keys to nodes. A kind gives `owners`; what it leaves unsaid is taken as even.

    `owners` plays the algorithm itself; `nodes`, `mean_largest_share` and `moved` are its theory.
    """

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The node of each key, by its hash of 64 bits; another salt draws other tokens or tables."""
        raise NotImplementedError

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """The shard of each key, the keys in order of popularity: hashes, tokens and tables are drawn anew."""
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        return self.owners(hashes, shards, int(rng.integers(2**63)))

    def copies(self, keys: int, shards: int, replicas: int, rng: np.random.Generator) -> NDArray[Any]:
        """The shards of each key's copies (keys, replicas), all different: rehashed until they are, unless said."""
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        salt = int(rng.integers(2**63))
        found = np.empty((keys, replicas), dtype=np.int64)
        found[:, 0] = self.owners(hashes, shards, salt)
        for copy in range(1, replicas):
            left, tries = np.arange(keys), 0
            while left.size:
                tries += 1
                if tries == TRIES:
                    self._reaches(shards, replicas, salt)
                hashes = hashes.copy()
                hashes[left] = salted(hashes[left], copy)
                found[left, copy] = self.owners(hashes[left], shards, salt)
                left = left[(found[left, :copy] == found[left, copy, None]).any(axis=1)]
        return found

    def _reaches(self, shards: int, replicas: int, salt: int) -> None:
        """Raise `ValueError` where this draw of tokens or tables gives keys to too few shards for all copies."""
        reached = len(np.unique(self.owners(salted(np.arange(ASKED)), shards, salt)))
        if reached < replicas:
            raise ValueError(
                f"{short(self)} dealt all keys to {reached} of the {shards} shards: there is no room for {replicas} "
                "copies; take more slots"
            )

    def filled(self, shards: int) -> int:
        """How many of the shards can have keys at most."""
        return shards

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """The nodes by the law of the share of the key space (of all copies) that each holds. Even: 1/N."""
        return (Nodes(shards, FixedShare(1.0 / shards)),)

    @property
    def equal_counts(self) -> bool:
        """Whether every shard has equally many keys, and chance has only their popularity."""
        return False

    def loads(self, popularity: Popularity, shards: int) -> tuple[float, ...]:
        """The loads of all shards where nothing is left to chance; otherwise none."""
        return ()

    def copied_loads(self, popularity: Popularity, shards: int, replicas: int) -> tuple[float, ...]:
        """The same where there are several copies of each key."""
        return self.loads(popularity, shards) if replicas == 1 else ()

    def law_error(self, shards: int, replicas: int = 1) -> float:
        """How far `nodes` may be off, as the error that it makes in a mean hottest share; 0 where the law is exact."""
        return 0.0

    def law_quantile_error(self, shards: int, replicas: int = 1) -> float | None:
        """Where there is a `law_error`: how far the hottest share's quantiles may be off, p1 to p99; None: unknown."""
        return None

    def few_keys_error(self, shards: int, copied: int) -> float:
        """The same of what so many keys, copies counted, are taken to leave to chance."""
        return 0.0

    def mean_largest_share(self, shards: int) -> float:
        """The mean of the largest share of the key space, with infinitely many keys."""
        return 1.0 / shards

    def moved(self, before: int, after: int) -> Moved:
        """The share of keys that move when `before` nodes become `after`: |M - N|/max(M, N), the least."""
        return Moved(abs(after - before) / max(before, after), 0.0)

    def spread_error(self, nodes: int) -> float:
        """How far the quantiles of the share of so many nodes may be from a beta's of that mean and spread."""
        return 0.0

    def carried(self, before: int, after: int) -> tuple[Carried, Carried] | None:
        """The nodes that send most and those that receive most, where nothing is left to chance but which keys there
        are; None elsewhere."""
        return None

    def moved_share(self, before: int, after: int, keys: int = 100_000, draws: int = 40, seed: int = 0) -> Estimate:
        """The mean share of the keys that move, simulated: the same keys placed before and after, draw by draw."""
        return from_batches(moved_shares(self.owners, keys, (before, after), draws, seed))


def share_scv(placement: Placement, shards: int, replicas: int = 1) -> float:
    """Squared coefficient of variation of a node's share of the key space, given that all sum to one."""
    kinds = placement.nodes(shards, replicas)
    mean = sum(number * share.mean for number, share in kinds) / shards
    within = sum(number * share.scv * share.mean**2 for number, share in kinds) / shards
    between = sum(number * (share.mean - mean) ** 2 for number, share in kinds) / shards
    # One of N independent shares that vary, given their sum: a normal's variance falls by 1 - 1/N, a gamma's by Beta's.
    freedom = (shards - 1.0) / (shards + within / mean**2) if shards > 1 else 0.0
    return (within * freedom + between) / mean**2


def unevenness(placement: Placement, popularity: Popularity, shards: int, replicas: int = 1) -> float:
    """The same, or that of the nodes' loads where nothing is left to chance."""
    loads = np.array(placement.copied_loads(popularity, shards, replicas))
    return float(loads.var() / loads.mean() ** 2) if loads.size else share_scv(placement, shards, replicas)
