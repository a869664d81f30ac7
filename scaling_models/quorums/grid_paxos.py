"""Flexible Paxos on a grid: columns commit, rows elect."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scaling_models.domains import Integer, Rows
from scaling_models.latency import LATENCY, Deterministic, Distribution, Exponential
from scaling_models.montecarlo.kernels.commits import Needed, Rule
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.expressions import Expression, choose, grid
from scaling_models.quorums.flexible_paxos import FlexiblePaxos
from scaling_models.quorums.followed import LEADER


class GridPaxos(FlexiblePaxos):
    """Flexible Paxos whose commits wait for a whole column of a grid, and whose elections wait for a whole row.

    A row meets every column, so that the sizes may sum to less than n + 1. The leader stands first in the first column,
    the followers after it, column by column. Exact for independent latencies. Howard, Malkhi, Spiegelman, Flexible
    Paxos (OPODIS 2016).
    """

    follower_rtts: tuple[Distribution, ...] = parameter(
        default=tuple(Deterministic(ms / 1000.0) for ms in (13, 64, 70, 80, 90, 146, 150, 160, 170, 180, 190)),
        domain=Rows(LATENCY, least=0, most=100),
        unit="s",
        symbol="X",
        about="round trip from the leader to each follower, that one's disk write included; column by column",
    )
    commit_quorum: int = parameter(
        default=3,
        domain=Integer(1, 101),
        symbol="r",
        about="replicas of a column, which is a commit quorum; every column is full",
        slider=Slider(1, 4, 1),
    )

    @classmethod
    def example(cls) -> Self:
        """Two columns of three, of unequal exponential round trips."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.006, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9, (Exponential(0.005),), commit_quorum=3)

    def _check(self) -> None:
        super()._check()
        if self.replicas % self.commit_quorum:
            raise ValueError(
                f"GridPaxos.commit_quorum must divide the {self.replicas} replicas into full columns; "
                f"got {self.commit_quorum}"
            )

    @property
    def election_quorum(self) -> int:
        """A row: one replica of each column."""
        return self.replicas // self.commit_quorum

    @property
    def _columns(self) -> list[list[str]]:
        names, size = [LEADER, *self._names], self.commit_quorum
        return [names[i : i + size] for i in range(0, len(names), size)]

    @property
    def _everyone(self) -> Expression:
        return grid(self._columns)

    @property
    def _acks(self) -> Expression | None:
        return _without_leader(self._columns)

    @property
    def _rule(self) -> Rule:
        return _rule(self.commit_quorum, self.leader_write, across=False)

    @property
    def _electing(self) -> tuple[Expression, Expression | None]:
        rows = [list(row) for row in zip(*self._columns, strict=True)]
        return grid(rows), _without_leader(rows)

    @property
    def _election_rule(self) -> Rule:
        rule = _rule(self.commit_quorum, self.leader_write, across=True)
        return rule if self.election_quorum > 1 else Rule(rule.everyone, None, self.leader_write)


def _without_leader(lines: list[list[str]]) -> Expression | None:
    """A whole line, the leader's part of its own being there; None where that is all of its line."""
    rest = [[name for name in line if name != LEADER] for line in lines]
    return choose(1, *(choose(len(line), *line) for line in rest)) if all(rest) else None


def _rule(size: int, leader_write: str, *, across: bool) -> Rule:
    whole = _whole_line(size, across)
    alone = size == 1 and not across
    return Rule(whole, None if alone else lambda rtts: whole(_with_leader(rtts)), leader_write)


def _whole_line(size: int, across: bool) -> Needed:
    """When some column of so many replicas is complete; with `across`, some row."""
    return lambda times: times.reshape(len(times), -1, size).max(axis=1 if across else 2).min(axis=1)


def _with_leader(rtts: NDArray[Any]) -> NDArray[Any]:
    """The leader before its followers, there from the start: before time, and before rank, 0."""
    return np.column_stack([np.full(len(rtts), -1, dtype=rtts.dtype), rtts])
