"""How popular keys are: the share of the requests that each key draws, in order of rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.parameters import Declared, Integer, Real, Record, Slider, parameter

Array = NDArray[np.float64]
SUMMED = 1000  # terms of a harmonic number added one by one before Euler and Maclaurin take over
BIN = 1.1  # ranks whose popularity is taken as equal: within a bin the variance errs by 0.2% at exponent 1.5
SINGLE = 64  # ranks that are kept apart
MOST_LISTED = 20_000_000  # keys that may be listed one by one (160 MB)


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


class Popularity(Declared):
    """Base: shares p_1 >= p_2 >= ... of the requests, summing to one."""

    @property
    def size(self) -> int:
        """How many keys there are."""
        raise NotImplementedError

    def top(self, count: int) -> Array:
        """The largest shares, `count` of them or as many as there are."""
        raise NotImplementedError

    def groups(self, after: int) -> tuple[Array, Array]:
        """The keys after the first `after`, as shares and how many keys have each (mean share in bins of rank)."""
        raise NotImplementedError

    def shares(self) -> Array:
        """All shares, one a key."""
        raise NotImplementedError

    def sum_of_squares(self) -> float:
        """sum p_k^2: what the spread of a shard's load comes from."""
        raise NotImplementedError


class Zipf(Popularity):
    """The key of rank k draws a share proportional to k^-s."""

    items: int = parameter(
        default=1_000_000,
        domain=Integer(1, 10**10),
        unit="keys",
        symbol="K",
        about="how many keys there are",
        slider=Slider(1e3, 1e7, 0.25, log=True),
    )
    exponent: float = parameter(
        default=0.99, domain=Real(0, 10, open_low=False), symbol="s", about="the skew", slider=Slider(0, 2, 0.01)
    )

    @property
    def size(self) -> int:
        """The items."""
        return self.items

    @property
    def _total(self) -> float:
        return float(harmonic(self.items, self.exponent))

    def top(self, count: int) -> Array:
        """k^-s / H(items)."""
        return np.arange(1, min(count, self.items) + 1, dtype=float) ** -self.exponent / self._total

    def groups(self, after: int) -> tuple[Array, Array]:
        """Ranks one by one at first, then in bins a tenth wide."""
        single = np.arange(after, min(SINGLE, self.items), dtype=float)
        last = max(after, min(SINGLE, self.items))
        steps = int(np.ceil(np.log(self.items / last) / np.log(BIN))) if last < self.items else 0
        edges = np.unique(np.round(np.geomspace(max(last, 1), self.items, steps + 1))) if steps else np.array([last])
        edges = np.concatenate([single, edges])
        counts = np.diff(edges)
        sums = np.diff(harmonic(edges, self.exponent))
        return sums / np.maximum(counts, 1.0) / self._total, counts

    def sum_of_squares(self) -> float:
        """H(items) of twice the exponent over H(items) squared."""
        return float(harmonic(self.items, 2.0 * self.exponent)) / self._total**2

    def shares(self) -> Array:
        """All of them: at most twenty million."""
        if self.items > MOST_LISTED:
            raise ValueError(f"Zipf.items must lie in [1, {MOST_LISTED}] keys to be listed; got {self.items}")
        return self.top(self.items)


POPULARITIES = (Zipf,)
POPULARITY = Record(
    "a popularity of keys, such as Zipf(items=1000000, exponent=0.99)",
    base=lambda: Popularity,
    kinds=lambda: POPULARITIES,
)
