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
