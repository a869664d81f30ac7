"""Which replicas read and which write: the quorum systems that a panel offers, and those written as an expression."""

from __future__ import annotations

from typing import Any

from scaling_models.domains import Integer, Record
from scaling_models.parameters import Declared, Slider, parameter
from scaling_models.quorums.expressions import Expression, Leaf, choose, grid, hierarchy, majority
from scaling_models.quorums.expressions.times import EXPRESSION
from scaling_models.quorums.replicas import Replica
from scaling_models.quorums.systems import QuorumSystem


class Layout(Declared):
    """Base: a quorum system of given replicas."""

    def system(self, replicas: tuple[Replica, ...]) -> QuorumSystem:
        """The quorum system; the replicas are called by their numbers, or as the layout's expression calls them."""
        names = [str(i + 1) for i in range(len(replicas))]
        reads, writes = self._sides(names)
        return QuorumSystem(reads, writes, dict(zip(names, replicas, strict=True)))

    def _sides(self, names: list[str]) -> tuple[Expression, Expression]:
        raise NotImplementedError


class Majorities(Layout):
    """A majority reads, a majority writes."""

    def _sides(self, names: list[str]) -> tuple[Expression, Expression]:
        return majority(*names), majority(*names)


class ReadQuorums(Layout):
    """Any so many read, and as many write as meet them: W = n - R + 1."""

    read_quorum: int = parameter(
        default=1, domain=Integer(1, 25), symbol="R", about="replicas that a read needs", slider=Slider(1, 9, 1)
    )

    def _sides(self, names: list[str]) -> tuple[Expression, Expression]:
        if self.read_quorum > len(names):
            raise ValueError(
                f"ReadQuorums.read_quorum must lie in [1, {len(names)}], the number of replicas; got {self.read_quorum}"
            )
        reads = choose(self.read_quorum, *names)
        return reads, reads.dual()


class Grid(Layout):
    """Replicas in rows: a whole row reads, one of every row writes."""

    columns: int = parameter(
        default=2, domain=Integer(1, 25), about="replicas in a row; the last may be shorter", slider=Slider(1, 9, 1)
    )

    def _sides(self, names: list[str]) -> tuple[Expression, Expression]:
        reads = grid([names[at : at + self.columns] for at in range(0, len(names), self.columns)])
        return reads, reads.dual()


class MajorityOfMajorities(Layout):
    """Replicas in zones, in turn: a majority in a majority of the zones reads, and writes."""

    zones: int = parameter(
        default=3, domain=Integer(1, 25), symbol="z", about="zones of replicas", slider=Slider(1, 5, 1)
    )

    def _sides(self, names: list[str]) -> tuple[Expression, Expression]:
        zones = [names[zone :: self.zones] for zone in range(min(self.zones, len(names)))]
        both = hierarchy(len(zones) // 2 + 1, zones)
        return both, both


class Written(Layout):
    """Reads and writes as expressions, whose replicas are given in the order of their names' first appearance."""

    reads: Expression = parameter(
        default=Leaf("a") + Leaf("b"), domain=EXPRESSION, about="the expression that reads need"
    )
    writes: Expression = parameter(
        default=Leaf("a") * Leaf("b"), domain=EXPRESSION, about="the expression that writes need"
    )

    def system(self, replicas: tuple[Replica, ...]) -> QuorumSystem:
        """The replicas under the expressions' names."""
        names = QuorumSystem(self.reads, self.writes).names
        if len(names) != len(replicas):
            raise ValueError(f"the expressions have {len(names)} replicas, {', '.join(names)}; got {len(replicas)}")
        return QuorumSystem(self.reads, self.writes, dict(zip(names, replicas, strict=True)))


LAYOUTS = (Majorities, ReadQuorums, Grid, MajorityOfMajorities)


def _adapted(value: Any) -> Any:
    if isinstance(value, Expression):
        return Written(value, value.dual())
    return Written(value.reads, value.writes) if isinstance(value, QuorumSystem) else value


LAYOUT = Record(
    "a layout such as Majorities(), a quorum expression for reads, or a QuorumSystem",
    base=lambda: Layout,
    kinds=lambda: LAYOUTS,
    adapt=_adapted,
)
