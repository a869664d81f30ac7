"""Rows inserted into ranges of keys, each of which is split at its median once it is over-full: insert by insert."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices


def split_rows(keys: Array, capacity: int) -> tuple[Indices, Indices]:
    """How many rows there were at each split, ascending, and how many rows each range has in the end.

    `keys` are inserted in their order. A range that comes to hold capacity + 1 rows is split at their median, the
    smaller half below. What happens in a range depends on its own keys only: played range by range. Exact.
    """
    todo = [(np.asarray(keys, dtype=float), np.arange(1, len(keys) + 1))]
    splits, sizes = [], []
    half = (capacity + 1) // 2
    while todo:
        own, when = todo.pop()
        if len(own) <= capacity:
            sizes.append(len(own))
            continue
        splits.append(when[capacity])
        median = np.partition(own[: capacity + 1], half)[half]
        below = own < median
        todo += [(own[below], when[below]), (own[~below], when[~below])]
    return np.sort(np.array(splits, dtype=np.intp)), np.array(sizes, dtype=np.intp)
