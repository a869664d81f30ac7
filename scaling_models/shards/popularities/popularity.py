"""How popular keys are: the share of the requests that each key draws, in order of rank."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.domains import Record
from scaling_models.parameters import Declared

Array = NDArray[np.float64]
BIN = 1.1  # ranks whose popularity is taken as equal: within a bin the variance errs by 0.2% at exponent 1.5
SINGLE = 64  # ranks that are kept apart
MOST_KEYS = 10**10
MOST_LISTED = 20_000_000  # keys that may be listed one by one (160 MB)


class Popularity(Declared):
    """Base: shares p_1 >= p_2 >= ... of the requests, summing to `total`. A kind gives `size`, `top` and `groups`."""

    @property
    def total_error(self) -> float:
        """The largest relative error of `total`."""
        return 0.0

    @property
    def size(self) -> int:
        """How many keys there are."""
        raise NotImplementedError

    def top(self, count: int) -> Array:
        """The largest shares, `count` of them or as many as there are."""
        raise NotImplementedError

    def ranks(self, first: int, last: int) -> Array:
        """The shares after the first `first`, up to the `last`; kinds that need not list the others say how."""
        return self.top(last)[first:]

    def groups(self, after: int) -> tuple[Array, Array]:
        """The keys after the first `after`, as shares and how many keys have each (mean share in bins of rank)."""
        raise NotImplementedError

    @functools.cached_property
    def total(self) -> float:
        """Work on the shards for each request: 1 unless a cache answers some, or salted keys are gathered."""
        return 1.0

    def shares(self) -> Array:
        """All shares, one a key: at most twenty million."""
        if self.size > MOST_LISTED:
            owner = type(self).__name__
            raise ValueError(f"{owner} must have [1, {MOST_LISTED}] keys to be listed one by one; got {self.size}")
        return self.top(self.size)

    def sum_of_squares(self) -> float:
        """sum p_k^2: what the spread of a shard's load comes from."""
        top = self.top(SINGLE)
        shares, counts = self.groups(len(top))
        return float((top**2).sum() + (shares**2 * counts).sum())

    def drawn_by(self, ranks: ArrayLike) -> Array:
        """The share of the requests that keys up to each rank draw together; within a bin of ranks taken as equal."""
        shares, counts = self.groups(0)
        ends = np.concatenate([[0.0], np.cumsum(counts)])
        return np.asarray(
            np.interp(np.asarray(ranks, dtype=float), ends, np.concatenate([[0.0], np.cumsum(shares * counts)]))
        )


def _kinds() -> tuple[type[Declared], ...]:
    from scaling_models.shards.popularities import POPULARITIES  # late: the kinds are collected above this file

    return POPULARITIES


POPULARITY = Record("a popularity of keys, such as Zipf(items=1000000, exponent=0.99)", lambda: Popularity, _kinds)


class Tabled(Popularity):
    """Base of popularities told in groups: a kind gives `_levels`, shares in descending order and how many keys have
    each.
    """

    @functools.cached_property
    def _levels(self) -> tuple[Array, Array]:
        raise NotImplementedError

    @staticmethod
    def _ordered(shares: Array, counts: Array) -> tuple[Array, Array]:
        order = np.argsort(-shares, kind="stable")
        return shares[order], counts[order]

    @property
    def size(self) -> int:
        """All keys of all groups."""
        return round(float(self._levels[1].sum()))

    @functools.cached_property
    def total(self) -> float:
        """The sum of all shares."""
        shares, counts = self._levels
        return float(shares @ counts)

    def top(self, count: int) -> Array:
        """Of the first groups, a share a key."""
        return self.ranks(0, count)

    def ranks(self, first: int, last: int) -> Array:
        """Of the groups there, a share a key."""
        shares, counts = self._levels
        before = np.concatenate([[0.0], np.cumsum(counts)])[:-1]
        there = np.clip(last - before, 0.0, counts) - np.clip(first - before, 0.0, counts)
        return np.repeat(shares, np.maximum(there, 0.0).astype(np.int64))

    def groups(self, after: int) -> tuple[Array, Array]:
        """The groups less the first keys."""
        shares, counts = self._levels
        left = np.clip(np.cumsum(counts) - after, 0.0, counts)
        return shares[left > 0.0], left[left > 0.0]


class Listed(Popularity):
    """Base of popularities given key by key: a kind gives `_sorted`, the shares in descending order."""

    @functools.cached_property
    def _sorted(self) -> Array:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """The keys listed."""
        return len(self._sorted)

    def top(self, count: int) -> Array:
        """The first ones."""
        return self._sorted[:count]

    def groups(self, after: int) -> tuple[Array, Array]:
        """Ranks one by one at first, then in bins a tenth wide."""
        return binned(self._sorted, after)

    @functools.cached_property
    def _squares(self) -> float:
        return float(self._sorted @ self._sorted)

    def sum_of_squares(self) -> float:
        """The sum itself."""
        return self._squares


def binned(shares: Array, after: int) -> tuple[Array, Array]:
    """Means and numbers of the descending shares after the first `after`, in bins a tenth of their rank wide."""
    size = len(shares)
    last = min(max(after, SINGLE), size)
    single = np.arange(min(after, size), last)
    steps = int(np.ceil(np.log(size / last) / np.log(BIN))) if last < size else 0
    wide = np.unique(np.round(np.geomspace(last, size, steps + 1)).astype(np.int64))[:-1] if steps else single[:0]
    starts = np.concatenate([single, wide])
    if not len(starts):
        return np.empty(0), np.empty(0)
    counts = np.diff(np.append(starts, size)).astype(float)
    return np.add.reduceat(shares, starts) / counts, counts
