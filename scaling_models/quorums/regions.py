"""Raft over a table of regions: from mean round trips to commit latencies, by leader and by the client's region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scaling_models.latency import Deterministic, Distribution, Exponential, MeanOnly
from scaling_models.quorums.raft import Raft

if TYPE_CHECKING:
    import pandas as pd


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

    `disk` is the time of a disk write (s), on followers as on the leader.
    """
    _known(table, replicas if leader in replicas else [leader, *replicas])
    others = [name for name in replicas if name != leader]
    rtts = tuple(round_trip(_mean(table, leader, name), jitter) + disk for name in others)
    return Raft(rtts, Deterministic(disk), leader_write)


def leaders(
    table: pd.DataFrame, replicas: Sequence[str], *, jitter: float | None = None, disk: float = 0.0
) -> pd.DataFrame:
    """Mean write latency (s) from every replica's region, a row a leader, best mean over the regions first.

    A client's write takes its round trip to the leader and the commit there.
    """
    import pandas as pd

    _known(table, replicas)
    rows = {}
    for leader in replicas:
        commit = regional_raft(table, leader, replicas, jitter=jitter, disk=disk).commit_latency.mean()
        row = {client: commit + (0.0 if client == leader else _mean(table, client, leader)) for client in replicas}
        rows[leader] = {"commit": commit, **row, "mean over regions": sum(row.values()) / len(row)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("leader").sort_values("mean over regions")


def _mean(table: pd.DataFrame, here: str, there: str) -> float:
    return float(table.at[here, there])  # type: ignore[arg-type]  # numbers, as read_table saw to


def _known(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.index:
            raise ValueError(f"no round trips from {name!r}; the table has {', '.join(map(str, table.index))}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a region may hold one replica only; {twice[0]!r} is given twice")
