"""Maglev's lookup table (Eisenbud et al. 2016)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import NoClosedForm
from scaling_models.domains import Integer
from scaling_models.parameters import parameter
from scaling_models.shards.formulas.tables import largest_even_share
from scaling_models.shards.placements.hash_slots import even_nodes
from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Moved, Nodes


def is_prime(number: int) -> bool:
    """By trial division."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


@functools.lru_cache(maxsize=16)
def filled(size: int, shards: int, salt: int) -> NDArray[np.int64]:
    """The table: backends take turns, each the next place of its own permutation that is still free (section 3.4)."""
    offsets = salted(np.arange(shards), salt, 1) % np.uint64(size)
    skips = salted(np.arange(shards), salt, 2) % np.uint64(size - 1) + np.uint64(1) if size > 2 else offsets * 0 + 1
    at, step = offsets.astype(int).tolist(), skips.astype(int).tolist()
    table, left = [-1] * size, size
    while left:
        for shard in range(min(shards, left)):
            place = at[shard]
            while table[place] >= 0:
                place = (place + step[shard]) % size
            table[place] = shard
            at[shard] = (place + step[shard]) % size
        left -= min(shards, left)
    found = np.array(table, dtype=np.int64)
    found.setflags(write=False)
    return found


class Maglev(Placement):
    """A lookup table of a prime number of places that backends fill in turns, so that shares differ by one place at
    most: by 1% where there are a hundred places a backend. Exact but for what moves, which is simulated.

    Eisenbud et al., NSDI 2016, sections 3.4 and 5.3.
    """

    table_size: int = parameter(
        default=65_537,
        domain=Integer(2, 10**6),
        unit="places",
        symbol="M",
        about="places of the lookup table, a prime",
        slider=None,
    )

    def _check(self) -> None:
        if not is_prime(self.table_size):
            raise ValueError(f"Maglev.table_size must be a prime number of places; got {self.table_size}")

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The backend in the hash's place."""
        table: NDArray[np.int64] = filled(self.table_size, shards, salt)
        return np.asarray(table[salted(hashes, salt) % np.uint64(self.table_size)])

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """Through one table for all draws: any is as even, and filling one takes a tenth of a second."""
        return self.owners(rng.integers(0, 2**64, keys, dtype=np.uint64), shards, 0)

    def filled(self, shards: int) -> int:
        """As many as the table has places."""
        return min(self.table_size, shards)

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """ceil(M/N) or floor(M/N) places."""
        return even_nodes(self.table_size, shards, replicas)

    def mean_largest_share(self, shards: int) -> float:
        """ceil(M/N)/M."""
        return largest_even_share(self.table_size, shards)

    def moved(self, before: int, after: int) -> Moved:
        """No formula is known: about twice the least when a backend goes."""
        if before == after:
            return Moved(0.0, 0.0)
        raise NoClosedForm("Maglev: no formula is known for what moves; simulate it by `moved_share`")
