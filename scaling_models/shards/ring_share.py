"""The share of a node on a ring of random tokens."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from scaling_models.domains import Integer
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.parameters import parameter
from scaling_models.shards.formulas.rings import share_quantile

WIDTHS = (-6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 12.0, 24.0, 40.0)


class RingShare(Distribution):
    """Beta(v, v (N - 1)): the share of one of N nodes with v random tokens each. Exact."""

    virtual_nodes: int = parameter(
        default=16, domain=Integer(1, 10**5), unit="tokens/node", symbol="v", about="tokens of each node"
    )
    nodes: int = parameter(default=20, domain=Integer(2, 10**6), unit="nodes", symbol="N", about="how many")

    @property
    def _shapes(self) -> tuple[float, float]:
        return float(self.virtual_nodes), float(self.virtual_nodes) * (self.nodes - 1)

    @property
    def support(self) -> tuple[float, float]:
        """From nothing to everything."""
        return (0.0, 1.0)

    @functools.cached_property
    def cuts(self) -> Array:
        """So many standard deviations around the mean."""
        ends = self.mean() + math.sqrt(self.variance()) * np.array(WIDTHS)
        return np.unique(np.clip(np.append(0.0, ends), 0.0, 1.0))

    def mean(self) -> float:
        """1/N."""
        return 1.0 / self.nodes

    def variance(self) -> float:
        """(N - 1)/(N^2 (v N + 1))."""
        return (self.nodes - 1.0) / (self.virtual_nodes * self.nodes + 1.0) / self.nodes**2

    def _cdf(self, t: Array) -> Array:
        return np.asarray(special.betainc(*self._shapes, np.clip(t, 0.0, 1.0)))

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(special.betaincc(*self._shapes, np.clip(t, 0.0, 1.0)))

    def _pdf(self, t: Array) -> Array:
        own, others = self._shapes
        inside = (t > 0.0) & (t < 1.0)
        share = np.where(inside, t, 0.5)
        logs = special.xlogy(own - 1.0, share) + special.xlog1py(others - 1.0, -share) - special.betaln(own, others)
        return np.where(inside, np.exp(logs), 0.0)

    def _icdf(self, q: Array) -> Array:
        return np.asarray(share_quantile(q, self.virtual_nodes, self.nodes))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(rng.beta(*self._shapes, shape))
