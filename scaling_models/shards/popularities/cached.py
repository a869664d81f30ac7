"""What is left of a popularity behind a cache."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Integer
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.caches import characteristic_time, lru_hit_ratio
from scaling_models.shards.popularities.popularity import MOST_KEYS, POPULARITY, Array, Popularity, Tabled
from scaling_models.shards.popularities.zipf import Zipf


class Cached(Popularity):
    """What a cache that always holds the hottest keys leaves: the others, their shares still of all requests.

    The best that any cache of fixed contents does (perfect LFU). Exact.
    """

    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    top_keys: int = parameter(
        default=100,
        domain=Integer(0, MOST_KEYS),
        unit="keys",
        symbol="C",
        about="how many of the hottest keys the cache holds",
        slider=Slider(0, 1000, 1),
    )

    def _check(self) -> None:
        if self.top_keys >= self.popularity.size:
            most = self.popularity.size - 1
            raise ValueError(f"Cached.top_keys must lie in [0, {most}] keys, so that one is left; got {self.top_keys}")
        _asked_for(self, self.popularity, self.top_keys)

    @property
    def total_error(self) -> float:
        """That of the popularity."""
        return self.popularity.total_error

    @property
    def size(self) -> int:
        """The keys not in the cache."""
        return self.popularity.size - self.top_keys

    def top(self, count: int) -> Array:
        """The next ones."""
        return self.ranks(0, count)

    def ranks(self, first: int, last: int) -> Array:
        """Those as many ranks further down."""
        return self.popularity.ranks(self.top_keys + first, self.top_keys + last)

    def groups(self, after: int) -> tuple[Array, Array]:
        """The groups of the others."""
        return self.popularity.groups(self.top_keys + after)

    @functools.cached_property
    def total(self) -> float:
        """The share of the requests that the cache does not answer."""
        shares, counts = self.groups(0)
        return float(shares @ counts)


class LRUCached(Tabled):
    """What a cache that keeps the keys asked for last leaves: p_k e^{-p_k T} of each key, T of `characteristic_time`.

    Che's approximation, for requests independent of each other. No key sends more than 1/(e T). Summed over bins of
    rank, a tenth wide: to 0.2% at exponents up to 3.
    """

    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    capacity: int = parameter(
        default=1000,
        domain=Integer(0, MOST_KEYS),
        unit="keys",
        symbol="C",
        about="how many keys the cache holds",
        slider=Slider(0, 10_000, 10),
    )

    def _check(self) -> None:
        if self.capacity >= self.popularity.size:
            raise ValueError(
                f"LRUCached.capacity must lie in [0, {self.popularity.size - 1}] keys, fewer than there are; "
                f"got {self.capacity}"
            )
        _asked_for(self, self.popularity, self.capacity)

    @property
    def total_error(self) -> float:
        """Of the bins."""
        return 2e-3

    @functools.cached_property
    def time(self) -> float:
        """Che's characteristic time, in requests."""
        shares, counts = self.popularity.groups(0)
        return characteristic_time(shares, self.capacity, counts)

    @property
    def hit_ratio(self) -> float:
        """The share of the requests that the cache answers."""
        shares, counts = self.popularity.groups(0)
        return lru_hit_ratio(shares, self.capacity, counts)

    @functools.cached_property
    def _levels(self) -> tuple[Array, Array]:
        shares, counts = self.popularity.groups(0)
        return self._ordered(shares * np.exp(-shares * self.time), counts)

    def shares(self) -> Array:
        """Of each key, in descending order of what is left."""
        shares = self.popularity.shares()
        return np.sort(shares * np.exp(-shares * self.time))[::-1]


def _asked_for(owner: Popularity, popularity: Popularity, held: int) -> None:
    """Raise `ValueError` where a cache of so many keys answers everything: no load is left to be divided."""
    if not popularity.ranks(held, held + 1)[0] > 0.0:
        raise ValueError(
            f"{type(owner).__name__} holds {held:,} keys, all that anybody asks for: nothing is left for the shards"
        )
