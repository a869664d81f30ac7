"""The law of one node's share of the key space, before it is known that all shares sum to one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Complex = NDArray[np.complex128]
# How many ways there are to part c things into j blocks.
STIRLING = ((1,), (0, 1), (0, 1, 1), (0, 1, 3, 1), (0, 1, 7, 6, 1), (0, 1, 15, 25, 10, 1), (0, 1, 31, 90, 65, 15, 1))


NEVER = -1e300  # the logarithm of nothing, of which no sum is NaN


@dataclasses.dataclass(frozen=True)
class FixedShare:
    """The same share for certain."""

    mean: float

    @property
    def scv(self) -> float:
        """None."""
        return 0.0

    def transform(self, psi: Any, keys: int) -> Any:
        """log E[s^keys e^{s psi}]."""
        none = keys * (math.log(self.mean) if self.mean else NEVER)
        return none + self.mean * psi


@dataclasses.dataclass(frozen=True)
class GammaShare:
    """Gamma(shape), which given the sum of all is a beta: a ring of as many random tokens a node."""

    mean: float
    shape: float

    @property
    def scv(self) -> float:
        """Variance over squared mean, 1/shape."""
        return 1.0 / self.shape

    def transform(self, psi: Any, keys: int) -> Any:
        """log E[s^keys e^{s psi}] = log of Γ(v + c)/Γ(v) θ^c (1 - θ psi)^-(v + c), θ = mean/v."""
        scale = self.mean / self.shape
        ways = special.gammaln(self.shape + keys) - special.gammaln(self.shape) + keys * math.log(scale)
        return ways - (self.shape + keys) * np.log1p(-scale * psi)


@dataclasses.dataclass(frozen=True)
class PoissonShare:
    """A Poisson number of slots: given the sum of all, slots dealt at random."""

    mean: float
    slots: int

    @property
    def scv(self) -> float:
        """Variance over squared mean, one over the mean number of slots."""
        return 1.0 / (self.mean * self.slots)

    def transform(self, psi: Any, keys: int) -> Any:
        """log E[s^keys e^{s psi}] = log of S^-c sum_j S2(c, j) (λ e^{psi/S})^j, plus λ (e^{psi/S} - 1)."""
        rate = self.mean * self.slots
        each = np.expm1(psi / self.slots)
        found = rate * each
        if keys:
            found = found + np.log(sum(ways * (rate * (1.0 + each)) ** j for j, ways in enumerate(STIRLING[keys])))
        return found - keys * math.log(self.slots)


@dataclasses.dataclass(frozen=True)
class ShareAmong:
    """One of several values, each with its weight: a law by quadrature."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return math.fsum(w * s for w, s in zip(self.weights, self.values, strict=True))

    @property
    def scv(self) -> float:
        """Variance over squared mean."""
        square = math.fsum(w * s * s for w, s in zip(self.weights, self.values, strict=True))
        return square / self.mean**2 - 1.0

    def transform(self, psi: Any, keys: int) -> Any:
        """log E[s^keys e^{s psi}]."""
        terms = (w * s**keys * np.exp(s * psi) for w, s in zip(self.weights, self.values, strict=True))
        return np.log(sum(terms))


Share = FixedShare | GammaShare | PoissonShare | ShareAmong


class Nodes(NamedTuple):
    """So many nodes of one law."""

    number: int
    share: Share


class Moved(NamedTuple):
    """The share of the keys that change their node: its mean, and its standard deviation between placements."""

    mean: float
    deviation: float


class Carried(NamedTuple):
    """So many nodes that each carry about this share of all keys, more than any other."""

    nodes: int
    share: float
