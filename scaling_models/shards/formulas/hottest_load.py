"""The law of the load of the hottest of shards that keys are dealt to at random: see `loads`."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scaling_models.shards.formulas.deals import KEYS, Deal, Group, deals
from scaling_models.shards.formulas.loads import Array, Complex, Loads
from scaling_models.shards.placements.shares import Nodes
from scaling_models.shards.popularities import Popularity

POINTS = 2048  # of the lattice of the hottest; most shards have no hot key, so that of one the small loads count
FINE, ROUGH = 0.005, 1e-4  # a step of the table: of the cdf, and of the variance
ROUNDS = 14
START, MOST_POINTS = 65, 500  # of the table, before any are added, and when no more are
ZOOM, ZOOMS = 24, 4  # parts of a bracket around a quantile, and how often it is parted
GRAINS = 1e12  # of dust
ROUNDING = 1e-13  # sums of shares that should be equal differ by less


class Dealt(NamedTuple):
    """The ways to deal the hottest keys, each with its probability; their shares, what all others put on shards, and
    the least load of a shard."""

    ways: tuple[tuple[Deal, float], ...]
    top: Array
    loads: Loads
    least: float

    @property
    def span(self) -> tuple[float, float]:
        """Where a shard's load lies."""
        low, high = (float(each(self.top, 0.0).sum()) for each in (np.minimum, np.maximum))
        return float(self.loads.edges[0]) + low, float(self.loads.edges[-1]) + high


@functools.lru_cache(maxsize=128)  # a slider of the level, or of the data, moves none of it
def dealt(kinds: tuple[Nodes, ...], popularity: Popularity, copies: int, level: float, points: int) -> Dealt:
    """Keys dealt to nodes; `level` is taken from every key's share and given back to all shards alike."""
    # Of many equal keys none is hot: the law of the others is exact.
    equal = copies == 1 and popularity.size > KEYS and len(popularity.groups(0)[0]) == 1
    hot, ways = deals(tuple(kind.number for kind in kinds), 0 if equal else popularity.size, copies)
    top = (popularity.top(hot) - level) / copies
    shares, numbers = popularity.groups(hot)
    shares = (shares - level) / copies
    if copies > 1:
        shares, numbers = _apart(shares, numbers, copies, sum(kind.number for kind in kinds))
    loads = Loads(kinds, shares, numbers, hot, points)
    return Dealt(ways, top, loads, level * popularity.size / loads.shards)


def _apart(shares: Array, numbers: Array, copies: int, shards: int) -> tuple[Array, Array]:
    """Keys whose Poisson numbers on a shard vary as much, and as askew, as those of copies that lie on different ones.

    A shard has a copy or has none: variance q (1 - q), third moment q (1 - q)(1 - 2 q), q = copies/shards. Jumps up at
    the rate q (1 - q)^2 and down at q^2 (1 - q) have both, and what they lack of the mean is spread as dust. That all
    loads sum to the whole takes 1/shards of a variance, so they are that much more.
    """
    q = copies / shards
    both = shards * q * (1.0 - q) / (1.0 - 1.0 / shards)
    up, down = both * (1.0 - q), both * q
    dust = float(shares @ numbers) * (copies - up + down)
    return np.concatenate([shares, -shares, [dust / GRAINS]]), np.concatenate([up * numbers, down * numbers, [GRAINS]])


@functools.lru_cache(maxsize=128)  # a slider of the capacity or the rate moves none of it
def share_of_hottest(
    kinds: tuple[Nodes, ...], popularity: Popularity, copies: int, level: float = 0.0
) -> tuple[Array, Array]:
    """Points and cdf of the largest load of all shards.

    `level` is what of every key's share is no chance: the mean share, where each shard has equally many keys.
    """
    keys = dealt(kinds, popularity, copies, level, POINTS)
    return table(keys, functools.partial(_all_below, keys))


def quantile_of_hottest(
    kinds: tuple[Nodes, ...], popularity: Popularity, copies: int, level: float, probability: float
) -> float:
    """The largest load of all shards that it does not exceed with this probability; `level` as above."""
    keys = dealt(kinds, popularity, copies, level, POINTS)
    if not keys.loads.p.size:
        x, cdf = table(keys, functools.partial(_all_below, keys))
        return float(x[np.searchsorted(cdf, probability)])
    low, high = keys.span
    for _ in range(ZOOMS):
        x = np.linspace(low, high, ZOOM + 1)
        cdf = np.maximum.accumulate(_all_below(keys, x))
        at = int(np.clip(np.searchsorted(cdf, probability), 1, ZOOM))
        low, high = x[at - 1 : at + 1]
        if high - low < 0.5 * keys.loads.step:
            break
    return float(np.interp(probability, cdf[at - 1 : at + 1], [low, high])) + keys.least


def table(keys: Dealt, find: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Points, refined until no step of the cdf is large, and the cdf that `find` answers there."""
    _, top, loads, least = keys
    if not loads.p.size:  # a law of points
        sums = {float(top[list(held)].sum()) for deal, _ in keys.ways for (_, held), _ in deal}
        places = np.array(sorted({round(each, 15) for each in sums}))
        return steps(places + least, find(places + ROUNDING))
    x = np.linspace(*keys.span, START)
    cdf = find(x)
    for _ in range(ROUNDS):
        step, width = np.diff(cdf), np.diff(x)
        middle = (x[1:] + x[:-1]) / 2.0
        variance = float(step @ (middle - float(step @ middle)) ** 2)
        wide = np.flatnonzero((step > FINE) | (step * width**2 > ROUGH * variance))
        wide = wide[width[wide] > 0.5 * loads.step]
        if not wide.size or len(x) > MOST_POINTS:
            break
        x, cdf = np.insert(x, wide + 1, middle[wide]), np.insert(cdf, wide + 1, find(middle[wide]))
    x, cdf = x + least, np.maximum.accumulate(cdf)
    keep = x > 0.0  # smoothing reaches below
    return _shared(np.append(0.0, x[keep]), np.append(np.interp(0.0, x, cdf, left=0.0), cdf[keep]))


def steps(x: Array, cdf: Array) -> tuple[Array, Array]:
    """A table of a law of points: it rises to each of them within the rounding, at 0 at once, for no load is below."""
    low = np.concatenate([[0.0], cdf[:-1]])
    ends = np.where(x > ROUNDING, [x - ROUNDING, x + ROUNDING], 0.0)
    return _shared(ends.T.ravel(), np.stack([low, cdf], axis=1).ravel())


def _shared(x: Array, cdf: Array) -> tuple[Array, Array]:
    for each in (x, cdf):  # a table is kept, and handed to all who ask
        each.setflags(write=False)
    return x, cdf


def _all_below(keys: Dealt, x: Array) -> Array:
    """P(all shards have at most x | all sum to the whole)."""
    ways, top, loads, _ = keys
    ends = np.append(x, math.inf)
    needed: dict[Group, set[int]] = {}
    for deal, _ in ways:
        for group, number in deal:
            needed.setdefault(group, set()).add(number)
    below = _below(loads, list(needed), top, ends)
    powers = {group: _powers(below[group], sorted(needed[group])) for group in needed}
    found = sum(share * functools.reduce(np.multiply, (powers[group][n] for group, n in deal)) for deal, share in ways)
    density = np.einsum("u,xu->x", loads.weights, np.asarray(found).real)
    return np.asarray(np.clip(density[:-1] / density[-1], 0.0, 1.0))


def _below(loads: Loads, groups: Sequence[Group], top: Array, ends: Array) -> dict[Group, Complex]:
    """What `Loads.up_to` tells of each group: those of one kind that hold as many keys are asked at once."""
    found: dict[Group, Complex] = {}
    for (kind, size), each in itertools.groupby(sorted(groups, key=_size), key=_size):
        alike = list(each)
        x = np.concatenate([ends - float(top[list(held)].sum()) for _, held in alike])
        found |= zip(alike, loads.up_to(x, kind, size).reshape(len(alike), len(ends), -1), strict=True)
    return found


def _size(group: Group) -> tuple[int, int]:
    kind, held = group
    return kind, len(held)


def _powers(base: Complex, exponents: Sequence[int]) -> dict[int, Complex]:
    """By squaring, from each to the next: numpy's own takes a logarithm from 100 on, which costs ten times as much."""
    found: dict[int, Complex] = {}
    last, power = 0, np.ones_like(base)
    for exponent in exponents:
        power = power * _power(base, exponent - last)
        last, found[exponent] = exponent, power
    return found


def _power(base: Complex, exponent: int) -> Complex:
    half = base if exponent == 1 else _power(base, exponent // 2)
    square = half if exponent == 1 else half * half
    return square * base if exponent % 2 and exponent > 1 else square
