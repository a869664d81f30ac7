"""Raft over a table of regions: from mean round trips to commit latencies, by leader and by the client's region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scaling_models.answers import Assumption
from scaling_models.latency import Deterministic, Distribution, Exponential, MeanOnly
from scaling_models.quorums.raft import Raft

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = Assumption(
    "round trips are constant (jitter 0)",
    "where a fifth of each varies, means are up to 12% too high if few of several are waited for, 13% too low if all",
)


def round_trip(mean: float, jitter: float | None = None) -> Distribution:
    """A round trip known by its mean (s): the share `jitter` of it varies, exponentially, the rest is constant.

    Without a jitter only the mean is known, and percentiles of whatever is built from it are refused.
    """
    if jitter is None:
        return MeanOnly(mean)
    if not 0 < jitter <= 1:
        raise ValueError(f"jitter must lie in (0, 1], a share of the round trip; got {jitter!r}")
    varying = Exponential(jitter * mean)
    return varying + (1.0 - jitter) * mean


def regional_raft(
    table: pd.DataFrame,
    leader: str,
    replicas: Sequence[str],
    *,
    jitter: float | None = None,
    disk: float = 0.0,
    leader_write: str = "required",
) -> Raft:
    """Raft with its leader in one region and followers in the other `replicas`; `table` has mean round trips in s.

    `disk` is the time of a disk write (s), on followers as on the leader. Raises ValueError for regions that the table
    lacks, or that are named twice.
    """
    _known(table, replicas if leader in replicas else [leader, *replicas])
    others = [name for name in replicas if name != leader]
    rtts = tuple(round_trip(mean_round_trip(table, leader, name), jitter) + disk for name in others)
    return Raft(rtts, Deterministic(disk), leader_write)


def leaders(
    table: pd.DataFrame,
    replicas: Sequence[str],
    *,
    clients: Sequence[str] | None = None,
    jitter: float | None = None,
    disk: float = 0.0,
) -> pd.DataFrame:
    """Mean write latency (s) from every client's region, a row a leader, best mean over the clients first.

    `clients` are all regions of the table unless named. A write takes the client's round trip to the leader (none from
    the leader's own region) and the commit there. Raises ValueError for regions that the table lacks.
    """
    import pandas as pd

    if not replicas:
        raise ValueError("leaders must be given one replica's region at least; got none")
    regions = [str(name) for name in table.index] if clients is None else list(clients)
    _known(table, replicas)
    _known(table, regions)
    rows = {}
    for leader in replicas:
        commit = regional_raft(table, leader, replicas, jitter=jitter, disk=disk).commit_latency.mean()
        away = {name: 0.0 if name == leader else mean_round_trip(table, name, leader) for name in regions}
        row = {name: commit + journey for name, journey in away.items()}
        rows[leader] = {"commit": commit, **row, "mean over clients": sum(row.values()) / len(row)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("leader").sort_values("mean over clients")


def mean_round_trip(table: pd.DataFrame, here: str, there: str) -> float:
    """The table's mean round trip (s)."""
    return float(table.at[here, there])  # type: ignore[arg-type]  # numbers, as read_table saw to


def _known(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.index:
            raise ValueError(f"no round trips from {name!r}; the table has {', '.join(map(str, table.index))}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a region may hold one replica only; {twice[0]!r} is given twice")
