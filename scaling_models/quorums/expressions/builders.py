"""The quorum expressions that have names."""

from __future__ import annotations

from collections.abc import Sequence

from scaling_models.quorums.expressions.expression import Expression, Leaf
from scaling_models.quorums.expressions.gates import Choose, Weighted

Member = Expression | str


def leaves(names: str | Sequence[str]) -> tuple[Leaf, ...]:
    """A leaf a name, of a sequence or separated by blanks: `a, b, c = leaves("a b c")`."""
    return tuple(Leaf(name) for name in (names.split() if isinstance(names, str) else names))


def choose(k: int, *members: Member) -> Choose:
    """At least `k` of the members, which are expressions or names of replicas. ValueError for k outside 1 to n."""
    return Choose(k, _expressions(members))


def majority(*members: Member) -> Choose:
    """At least floor(n/2) + 1 of the members."""
    return Choose(len(members) // 2 + 1, _expressions(members))


def weighted(needed: int, *votes: tuple[Member, int]) -> Weighted:
    """Members that hold `needed` votes together: `weighted(3, ("a", 2), ("b", 1), ("c", 1))`.

    Raises ValueError for votes that are no whole numbers, and for more needed than there are.
    """
    return Weighted(needed, _expressions([member for member, _ in votes]), tuple(count for _, count in votes))


def grid(rows: Sequence[Sequence[Member]]) -> Choose:
    """A whole row of the grid; its dual is one replica of every row. Cheung, Ammar, Ahamad (1992).

    `grid(rows)` reads a row and writes one of each row; `grid(rows).dual()` the reverse. Raises ValueError for none.
    """
    if not rows or not all(rows):
        raise ValueError(f"grid: there must be one row at least, and a replica in each; got {rows!r}")
    lines = [_expressions(row) for row in rows]
    return Choose(1, tuple(Choose(len(line), line) for line in lines))


def hierarchy(zones_needed: int, zones: Sequence[Sequence[Member]], needed: int | None = None) -> Choose:
    """In each of `zones_needed` zones, `needed` of its replicas (a majority unless given). Kumar (1991)."""
    each = [majority(*zone) if needed is None else choose(needed, *zone) for zone in zones]
    return choose(zones_needed, *each)


def _expressions(members: Sequence[Member]) -> tuple[Expression, ...]:
    for member in members:
        if not isinstance(member, Expression | str):
            raise ValueError(f"members must be quorum expressions or names of replicas; got {member!r}")
    return tuple(Leaf(member) if isinstance(member, str) else member for member in members)
