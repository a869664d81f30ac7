"""A popularity whose hottest keys are split into pieces."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.popularities.popularity import POPULARITY, Array, Popularity, Tabled
from scaling_models.shards.popularities.zipf import Zipf


class Salted(Tabled):
    """The hottest keys split into s pieces each, placed as keys of their own: p/s a piece.

    Of requests that must gather all pieces, g of a salted key's, each piece has its part: p ((1 - g)/s + g), and work
    grows to 1 + g (s - 1) p: where all are gathered, salting lowers no shard's load. Exact.
    """

    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    hot_keys: int = parameter(
        default=1,
        domain=Integer(0, 100_000),
        unit="keys",
        about="how many of the hottest keys are split",
        slider=Slider(0, 100, 1),
    )
    pieces: int = parameter(
        default=8, domain=Integer(1, 10_000), unit="pieces", symbol="s", about="of each", slider=Slider(1, 64, 1)
    )
    gathered: float = parameter(
        default=0.0,
        domain=Real(0, 1, open_low=False, open_high=False),
        symbol="g",
        about="share of a salted key's requests that must read all its pieces",
        slider=Slider(0, 1, 0.01),
    )

    @property
    def total_error(self) -> float:
        """That of the popularity."""
        return self.popularity.total_error

    @functools.cached_property
    def _pieces(self) -> Array:
        """The share of one piece of each salted key."""
        part = (1.0 - self.gathered) / self.pieces + self.gathered
        return self.popularity.top(self.hot_keys) * part

    @functools.cached_property
    def _levels(self) -> tuple[Array, Array]:
        shares, counts = self.popularity.groups(len(self._pieces))
        split = np.full(len(self._pieces), float(self.pieces))
        return self._ordered(np.append(self._pieces, shares), np.append(split, counts))

    def shares(self) -> Array:
        """Of each piece and of each other key, in descending order."""
        others = self.popularity.shares()[len(self._pieces) :]
        return np.sort(np.append(np.repeat(self._pieces, self.pieces), others))[::-1]
