"""Hashes of 64 bits, many at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
UNIT = 2.0**-64


def mixed(values: Any) -> Hashes:
    """SplitMix64's finaliser: a bijection of 64 bits that scatters neighbours (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.asarray(values, dtype=np.uint64) + GOLDEN
        z = (z ^ (z >> np.uint64(30))) * FIRST
        z = (z ^ (z >> np.uint64(27))) * SECOND
        return np.asarray(z ^ (z >> np.uint64(31)))


def salted(values: Any, *salts: int) -> Hashes:
    """A hash of each value that another salt makes another."""
    found = mixed(values)
    for salt in salts:
        found = mixed(found ^ mixed(np.uint64(salt)))
    return found


def below(hashes: Hashes, count: int) -> NDArray[np.int64]:
    """A whole number in [0, count) from each hash (its upper half, so that nothing is rounded)."""
    return np.asarray(((hashes >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32), dtype=np.int64)


def following(tokens: Hashes, hashes: Hashes) -> NDArray[np.int64]:
    """Of each hash the place of the first of the sorted tokens that is not below it; that after all where none is.

    As `searchsorted`, from the first token of the same leading bits on: of many hashes in a third of the time.
    """
    bits = (4 * len(tokens)).bit_length()
    if len(hashes) < 2**bits:
        return np.searchsorted(tokens, hashes)
    shift = np.uint64(64 - bits)
    first = np.searchsorted(tokens >> shift, np.arange(2**bits, dtype=np.uint64))
    ended = np.append(tokens, np.uint64(2**64 - 1))  # which is below no hash
    at: NDArray[np.int64] = first[hashes >> shift]
    left = np.flatnonzero(ended[at] < hashes)
    while left.size:
        at[left] += 1
        left = left[ended[at[left]] < hashes[left]]
    return at
