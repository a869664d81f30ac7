"""How tables of slots divide the key space: even deals, deals at random, and what moves between two deals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
NOTHING = 40.0  # an exponent: e^-40 is left out
SPREADS = 9.0  # standard deviations of a count that are looked at


def even_deal(slots: int, nodes: int) -> NDArray[np.int64]:
    """How many slots each node has when they are dealt evenly, the first ones one more: S // N or one more."""
    deal: NDArray[np.int64] = slots // nodes + (np.arange(nodes) < slots % nodes)
    return deal


def largest_even_share(slots: int, nodes: int) -> float:
    """The largest share ceil(S/N)/S of an even deal."""
    return -(-slots // nodes) / slots


def copies_on_heavier(heavy: int, light: int, weights: tuple[float, float], replicas: int) -> float:
    """The mean number of a key's copies that lie on the `heavy` nodes of the first weight, beside `light` ones of the
    second.

    Each copy goes to a node that has none of this key yet, in proportion to the weights; by a recursion of one copy
    more. Exact; of one copy it is these nodes' share of all weight.
    """
    chances = np.zeros(replicas + 1)
    chances[0] = 1.0
    taken = np.arange(replicas + 1)
    for copy in range(replicas):
        free = np.maximum(heavy - taken, 0) * weights[0]
        others = np.maximum(light - (copy - taken), 0) * weights[1]
        hit = np.divide(free, free + others, out=np.zeros(replicas + 1), where=free > 0)
        chances = chances * (1.0 - hit) + np.append(0.0, (chances * hit)[:-1])
    return float(chances @ taken)


def slots_moved(slots: int, before: int, after: int) -> int:
    """Slots that change hands between two even deals: sum_i (a_i - b_i)_+, the larger deals kept by the same nodes."""
    most = max(before, after)
    old = np.pad(even_deal(slots, before), (0, most - before))
    new = np.pad(even_deal(slots, after), (0, most - after))
    return int(np.maximum(old - new, 0).sum())


def modulo_moved(before: int, after: int) -> float:
    """Share of keys whose hash modulo the number of nodes changes: 1 - min(N, M)/lcm(N, M). Exact."""
    return 1.0 - min(before, after) / math.lcm(before, after)


def fullest_at_most(most: NDArray[np.int64], balls: int, bins: int) -> Array:
    """P(no bin holds more than m) for balls thrown into bins evenly at random, of each m.

    Independent Poisson counts given their sum are that throw: P = P(all <= m, sum = K) / P(sum = K), the probability of
    the sum by its characteristic function, summed over the frequencies that count. Exact, to about 1e-12.
    """
    rate = balls / bins
    counts = np.arange(int(most.max()) + 1)
    chance = np.exp(special.xlogy(counts, rate) - rate - special.gammaln(counts + 1))
    whole = math.exp(special.xlogy(balls, balls) - balls - special.gammaln(balls + 1))
    period = bins * len(counts) + 1
    last = min(period // 2, int(math.sqrt(2.0 * NOTHING / balls) * 2.0 * period / (2.0 * math.pi)) + 2)
    found = np.zeros(len(most))
    for block in np.array_split(np.arange(last + 1), last // 256 + 1):
        w = 2.0 * math.pi * block / period
        waves = np.exp(1j * np.outer(counts, w))
        sums = np.cumsum(chance[:, None] * waves, axis=0)[most]
        terms = (sums**bins * np.exp(-1j * w * balls)).real
        found += (terms * np.where(block == 0, 1.0, np.where(2 * block == period, 1.0, 2.0))).sum(axis=1)
    return np.clip(found / period / whole, 0.0, 1.0)


def fullest_mean(balls: int, bins: int) -> float:
    """The mean of the fullest of `bins` bins after a throw of `balls`; exact (see `fullest_at_most`)."""
    if bins == 1:
        return float(balls)
    rate = balls / bins
    low = max(-(-balls // bins) - 1, 0)
    top = low + int(SPREADS * math.sqrt(rate) + SPREADS * 2 + math.log(bins))
    most = np.arange(low, min(top, balls))
    return low + float((1.0 - fullest_at_most(most, balls, bins)).sum()) if len(most) else float(balls)
