"""Zipf's law, and the variant of it that YCSB draws."""

from __future__ import annotations

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.harmonic import harmonic, harmonic_between
from scaling_models.shards.popularities.popularity import BIN, MOST_KEYS, SINGLE, Array, Popularity

YCSB_ITEMS = 10**10  # the ranks that YCSB's scrambled generator draws, whatever the number of items


class Zipf(Popularity):
    """The key of rank k draws a share proportional to k^-s."""

    items: int = parameter(
        default=1_000_000,
        domain=Integer(1, MOST_KEYS),
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
        return self.ranks(0, count)

    def ranks(self, first: int, last: int) -> Array:
        """The same of the ranks between."""
        return np.arange(first + 1, min(last, self.items) + 1, dtype=float) ** -self.exponent / self._total

    def groups(self, after: int) -> tuple[Array, Array]:
        """Ranks one by one at first, then in bins a tenth wide."""
        single = np.arange(after, min(SINGLE, self.items), dtype=float)
        last = max(after, min(SINGLE, self.items))
        steps = int(np.ceil(np.log(self.items / last) / np.log(BIN))) if last < self.items else 0
        edges = np.unique(np.round(np.geomspace(max(last, 1), self.items, steps + 1))) if steps else np.array([last])
        edges = np.concatenate([single, edges])
        counts = np.diff(edges)
        sums = harmonic_between(edges, self.exponent)
        return sums / np.maximum(counts, 1.0) / self._total, counts

    def sum_of_squares(self) -> float:
        """H(items) of twice the exponent over H(items) squared."""
        return float(harmonic(self.items, 2.0 * self.exponent)) / self._total**2


class ScrambledZipf(Zipf):
    """YCSB's default: Zipf over 10^10 ranks (zeta = 26.469 at 0.99), each rank hashed to one of the items.

    p_k = k^-s/H(10^10) + (1 - H(K)/H(10^10))/K: the first K ranks taken as one an item, the others as even. The hottest
    key therefore draws less than under Zipf over the items themselves: 3.8% and not 6.5% of a million at 0.99.
    YCSB, ScrambledZipfianGenerator.java; an approximation, for it is chance which ranks share an item.
    """

    @property
    def _zipfs(self) -> float:
        """The part of the requests that the first K ranks draw."""
        return self._total / float(harmonic(YCSB_ITEMS, self.exponent))

    def ranks(self, first: int, last: int) -> Array:
        """Zipf's shares of that part, and an even share of the rest."""
        return self._zipfs * super().ranks(first, last) + (1.0 - self._zipfs) / self.items

    def groups(self, after: int) -> tuple[Array, Array]:
        """Zipf's groups, likewise."""
        shares, counts = super().groups(after)
        return self._zipfs * shares + (1.0 - self._zipfs) / self.items, counts

    def sum_of_squares(self) -> float:
        """sum (a p_k + (1 - a)/K)^2 = a^2 sum p_k^2 + (1 - a^2)/K."""
        return self._zipfs**2 * super().sum_of_squares() + (1.0 - self._zipfs**2) / self.items
