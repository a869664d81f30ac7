"""Popularities that were measured: how often each key was asked for, or its share."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np

from scaling_models.domains import Integer, Real, Rows
from scaling_models.parameters import parameter
from scaling_models.shards.popularities.popularity import MOST_LISTED, Array, Listed
from scaling_models.tables import LIMIT_BYTES, read_table

SUM_ERROR = 1e-6  # by which shares that were rounded may miss one


class Measured(Listed):
    """Counts of requests, one a key, in any order."""

    counts: tuple[int, ...] = parameter(
        default=(1000, 500, 333, 250, 200, 167, 143, 125, 111, 100),
        domain=Rows(Integer(0, 10**15), most=MOST_LISTED),
        unit="requests",
        about="how often each key was asked for",
    )

    def _check(self) -> None:
        if not any(self.counts):
            raise ValueError("Measured.counts must hold a count above 0 requests; all are 0")

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self.counts)  # a million of them take their time

    @functools.cached_property
    def _sorted(self) -> Array:
        counts = np.sort(np.array(self.counts, dtype=float))[::-1]
        return np.asarray(counts / counts.sum())

    @classmethod
    def read(cls, path: str | Path, column: str = "count", *, limit: int = LIMIT_BYTES) -> Measured:
        """From a CSV file with a line a key (see `tables.read_table`): the counts in the named column, the rest unread.

        Raises ValueError with file, line and column for a count that is negative, no whole number or no number.
        """
        found = read_table(path, [column], counts=[column], limit=limit)[column]
        if not found.any():
            raise ValueError(f"{Path(path).name}, column {column}: there must be a count above 0 requests")
        return cls(found.astype(np.int64).tolist())


class Shares(Listed):
    """Shares of the requests, one a key, in any order; they sum to one."""

    each_key: tuple[float, ...] = parameter(
        default=(0.4, 0.3, 0.2, 0.1),
        domain=Rows(Real(0, 1, open_low=False, open_high=False), most=MOST_LISTED),
        about="the share of the requests that each key draws",
    )

    def _check(self) -> None:
        total = math.fsum(self.each_key)
        if abs(total - 1.0) > SUM_ERROR:
            raise ValueError(f"Shares.each_key must sum to 1; they sum to {total:.9g}")

    @functools.cached_property
    def _sorted(self) -> Array:
        shares = np.sort(np.array(self.each_key))[::-1]
        return np.asarray(shares / shares.sum())
