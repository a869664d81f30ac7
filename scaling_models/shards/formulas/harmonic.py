"""Generalised harmonic numbers: what Zipf's shares are divided by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
    stretch = np.log(far / SUMMED)
    area = SUMMED ** (1.0 - exponent) * np.where(
        abs(1.0 - exponent) * stretch < 1e-12, stretch, np.expm1((1.0 - exponent) * stretch) / (1.0 - exponent or 1.0)
    )
    s = exponent
    ends = (far**-s - float(SUMMED) ** -s) / 2.0
    first = s / 12.0 * (float(SUMMED) ** (-s - 1) - far ** (-s - 1))
    third = s * (s + 1) * (s + 2) / 720.0 * (float(SUMMED) ** (-s - 3) - far ** (-s - 3))
    near = sums[np.minimum(n, SUMMED).astype(int)]
    return np.where(n <= SUMMED, near, sums[-1] + area + ends + first - third)[()]
