"""All ways to deal a few keys to shards of a few kinds."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

Group = tuple[int, tuple[int, ...]]  # shards of one kind that hold the same of the keys dealt: the kind, the keys
Deal = tuple[tuple[Group, int], ...]  # how many shards each group has, no empty ones
KEYS = 4
MOST_DEALS = 100


@functools.lru_cache(maxsize=256)
def deals(shards: tuple[int, ...], keys: int, copies: int) -> tuple[int, tuple[tuple[Deal, float], ...]]:
    """Ways in which so many keys, of several copies each on as many shards, lie on shards[g] shards of kind g.

    Answers how many keys were dealt (fewer where that would be more than a hundred deals), and the deals, each with
    the share of all ways that are like it.
    """
    found: dict[Deal, float] = {tuple(((kind, ()), number) for kind, number in enumerate(shards) if number): 1.0}
    most = min(keys, KEYS)
    for key in range(most):
        more: dict[Deal, float] = {}
        for deal, share in found.items():
            for one, ways in _with(deal, key, copies):
                more[one] = more.get(one, 0.0) + share * ways
            if len(more) > MOST_DEALS:
                return key, tuple(found.items())
        found = more
    return most, tuple(found.items())


def _with(deal: Deal, key: int, copies: int) -> Iterator[tuple[Deal, float]]:
    """The deal and one key more."""
    numbers = [number for _, number in deal]
    ways = math.comb(sum(numbers), copies)
    for taken in _parted(copies, numbers):
        groups: dict[Group, int] = {}
        for ((kind, held), number), took in zip(deal, taken, strict=True):
            for group, count in (((kind, held), number - took), ((kind, (*held, key)), took)):
                if count:
                    groups[group] = groups.get(group, 0) + count
        like = math.prod(map(math.comb, numbers, taken))
        yield tuple(sorted(groups.items())), like / ways


def _parted(total: int, most: list[int]) -> Iterator[tuple[int, ...]]:
    """Every way to take `total` from groups of so many."""
    if not most:
        if total == 0:
            yield ()
        return
    for first in range(max(0, total - sum(most[1:])), min(total, most[0]) + 1):
        for others in _parted(total - first, most[1:]):
            yield (first, *others)
