"""Generalised harmonic numbers: what Zipf's shares are divided by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
SUMMED = 1000  # terms of a harmonic number added one by one before Euler and Maclaurin take over


def harmonic(items: ArrayLike, exponent: float) -> Any:
    """The generalised harmonic number H(n) = sum_{k<=n} k^{-s}, for n >= 0 and any real s; broadcasts over n.

    The first thousand terms are added, the rest is Euler's and Maclaurin's formula with three corrections: to 1e-13.
    """
    n = np.asarray(items, dtype=float)
    if not (n >= 0).all():
        raise ValueError(f"harmonic: items must lie in [0, inf); got {items!r}")
    terms = np.arange(1, SUMMED + 1, dtype=float) ** -exponent
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    far = np.maximum(n, SUMMED)
    near = sums[np.minimum(n, SUMMED).astype(int)]
    return np.where(n <= SUMMED, near, sums[-1] + _beyond(np.asarray(float(SUMMED)), far, exponent))[()]


def harmonic_between(edges: ArrayLike, exponent: float) -> Any:
    """sum_{a < k <= b} k^{-s} of each two neighbouring ascending edges a, b >= 0: as `harmonic`, to 1e-13 of each.

    (A difference of harmonic numbers would have lost what is far down the tail.)
    """
    n = np.asarray(edges, dtype=float)
    near = np.minimum(n, SUMMED).astype(int)
    terms = np.append(np.arange(1, SUMMED + 1, dtype=float) ** -exponent, 0.0)
    summed = np.where(np.diff(near) > 0, np.add.reduceat(terms, near)[:-1], 0.0)
    far = np.maximum(n, SUMMED)
    return summed + _beyond(far[:-1], far[1:], exponent)


def _beyond(low: Array, high: Array, s: float) -> Array:
    """sum_{low < k <= high} k^{-s} by Euler and Maclaurin, for low >= 1000."""
    stretch = np.log(high / low)
    area = low ** (1.0 - s) * np.where(
        abs(1.0 - s) * stretch < 1e-12, stretch, np.expm1((1.0 - s) * stretch) / (1.0 - s or 1.0)
    )
    ends = (high**-s - low**-s) / 2.0
    first = s / 12.0 * (low ** (-s - 1) - high ** (-s - 1))
    third = s * (s + 1) * (s + 2) / 720.0 * (low ** (-s - 3) - high ** (-s - 3))
    return np.asarray(area + ends + first - third)
