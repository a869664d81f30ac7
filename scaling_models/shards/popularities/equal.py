"""Keys that are all alike."""

from __future__ import annotations

import numpy as np

from scaling_models.domains import Integer
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.popularities.popularity import MOST_KEYS, Array, Popularity


class UniformKeys(Popularity):
    """Every key draws the same share, 1/K. (In `shards` also as `Uniform`; at the top that is a latency.)"""

    items: int = parameter(
        default=1_000_000,
        domain=Integer(1, MOST_KEYS),
        unit="keys",
        symbol="K",
        about="how many keys there are",
        slider=Slider(1e3, 1e7, 0.25, log=True),
    )

    @property
    def size(self) -> int:
        """The items."""
        return self.items

    def top(self, count: int) -> Array:
        """1/K."""
        return self.ranks(0, count)

    def ranks(self, first: int, last: int) -> Array:
        """1/K."""
        return np.full(max(min(last, self.items) - first, 0), 1.0 / self.items)

    def groups(self, after: int) -> tuple[Array, Array]:
        """One group."""
        left = self.items - after
        return (np.array([1.0 / self.items]), np.array([float(left)])) if left > 0 else (np.empty(0), np.empty(0))
