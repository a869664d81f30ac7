"""Which regions? The best set of k of a table, and what the next region costs: means only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOST = 1_000_000  # sets that are tried


def region_sets(
    table: pd.DataFrame, k: int, *, clients: Sequence[str] | None = None, disk: float = 0.0
) -> pd.DataFrame:
    """Every set of `k` regions of the table with its best leader, best mean write latency over the clients first.

    `table` has mean round trips (s); `clients` are all its regions unless named; `disk` is a disk write's time (s).
    A write takes the client's round trip to the leader and `Raft`'s commit there: the mean round trip to the
    floor(k/2)-th nearest follower, and its disk. Columns: regions, leader, commit, write (s). Exhaustive, and exact
    for constant round trips; with jitter the order statistics differ, see `leaders`. Raises ValueError for a k that
    the table does not have, for regions that it lacks, and for over a million sets.
    """
    import pandas as pd

    names = [str(name) for name in table.index]
    if not 1 <= k <= len(names):
        raise ValueError(f"region_sets: k must lie in [1, {len(names)}], the regions of the table; got {k!r}")
    if math.comb(len(names), k) > MOST:
        raise ValueError(f"region_sets tries at most {MOST:,} sets; {k} of {len(names)} regions are more")
    trips = table.loc[names, names].to_numpy(dtype=float).copy()
    np.fill_diagonal(trips, 0.0)
    places = [_place(names, name) for name in (names if clients is None else clients)]
    away = trips[places].mean(axis=0) if places else np.zeros(len(names))
    sets = np.array(list(itertools.combinations(range(len(names)), k)))
    between = np.sort(trips[sets[:, :, None], sets[:, None, :]], axis=2)  # the leader's own zero comes first
    commits = between[:, :, k // 2] + disk
    writes = commits + away[sets]
    best = writes.argmin(axis=1)
    rows = np.arange(len(sets))
    found = {
        "regions": [tuple(names[i] for i in each) for each in sets],
        "leader": [names[sets[row, i]] for row, i in enumerate(best)],
        "commit": commits[rows, best],
        "write": writes[rows, best],
    }
    return pd.DataFrame(found).sort_values("write", kind="stable", ignore_index=True)


def next_region(
    table: pd.DataFrame,
    most: int = 7,
    *,
    clients: Sequence[str] | None = None,
    disk: float = 0.0,
) -> pd.DataFrame:
    """The best set of each size from 1 to `most`: what one region more costs, and how many may then fail.

    A row a size, columns as `region_sets`, with `survives` (failures that leave a majority) and `cost` (s, write
    latency over the best set of one region less). Raises ValueError as `region_sets` does.
    """
    import pandas as pd

    best = [region_sets(table, k, clients=clients, disk=disk).iloc[0] for k in range(1, most + 1)]
    frame = pd.DataFrame(best).set_index(pd.RangeIndex(1, most + 1, name="replicas"))
    return frame.assign(survives=[(k - 1) // 2 for k in frame.index], cost=frame["write"].diff())


def _place(names: list[str], name: str) -> int:
    if name not in names:
        raise ValueError(f"no round trips from {name!r}; the table has {', '.join(names)}")
    return names.index(name)
