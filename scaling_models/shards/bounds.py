"""The limits of one shard, and those that are documented."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from scaling_models import data
from scaling_models.shards.popularities import Popularity

FIELDS = {  # what a documented limit bounds, and the parameters that it sets
    "storage": ("storage_limit",),
    "reads": ("read_limit",),
    "writes": ("write_limit",),
    "requests": ("read_limit", "write_limit"),
    "shards": ("most_shards",),
}
RATES = ("read_limit", "write_limit", "storage_limit")


class Bound(NamedTuple):
    """A limit of one shard: what is counted, in which unit, how much of it there is in the end, the most on a shard,
    its growth a year, and how it is spread over keys."""

    name: str
    unit: str
    amount: float
    most: float
    growth: float
    popularity: Popularity

    @property
    def share(self) -> float:
        """The largest share of all that a shard may have."""
        return self.most / self.amount if self.amount else math.inf

    @property
    def key(self) -> float:
        """What the hottest key takes, over the most on a shard."""
        return float(self.popularity.top(1)[0]) / self.share


def documented_limits(system: str) -> dict[str, Any]:
    """Parameters of a `ShardPlan` by the documented limits of a system (`data.system_limits`); others are no limit.

    Raises ValueError for a system of which no limit of a shard is documented.
    """
    table = data.system_limits()
    bounding = table[table["limits"] != ""]
    rows = bounding[bounding["system"] == system]
    if rows.empty:
        known = ", ".join(map(repr, dict.fromkeys(bounding["system"])))
        raise ValueError(f"no limit of a shard is documented of {system!r}; there are {known}")
    found: dict[str, Any] = dict.fromkeys(RATES, math.inf)
    for kind, most in zip(rows["limits"], rows["most"], strict=True):
        found |= dict.fromkeys(FIELDS[kind], most)
        if kind == "requests":
            found["capacity"] = "shared"
    return found
