"""What the wait of one FIFO server climbs by, on lattices of any step: the ladder height of its random walk."""

from __future__ import annotations

import dataclasses
import functools
from typing import Protocol

import numpy as np

from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.lattices import USED, Cells, Steps


class Ladder(Protocol):
    """How often there is a wait, and the ladder height."""

    @property
    def chance(self) -> float:
        """P(W > 0)."""

    def steps(self, service: Cells) -> Steps:
        """The ladder height on the lattice of the service."""


@dataclasses.dataclass(frozen=True)
class PoissonLadder:
    """Of Poisson arrivals: the equilibrium distribution of the service, at the chance of the utilization."""

    chance: float

    def steps(self, service: Cells) -> Steps:
        """The residual of the service."""
        return _residual(service)


@functools.lru_cache(maxsize=72)
def _residual(service: Cells) -> Steps:
    return service.residual()


@dataclasses.dataclass(frozen=True, eq=False)
class RenewalLadder:
    """Of any gaps: as a fine lattice tells it, and beyond as b int_x^inf S(u) du + c S(x), S the service's ccdf.

    The walk that has not climbed yet visits every depth far down at the density b = (1 - p)/(E A - E S) (the renewal
    theorem), and from there jumps above x. What is different near the start makes c, which is fitted where the fine
    lattice ends. `heights` are p times the ccdf between the fine nodes.
    """

    service: Cells
    heights: Array
    drift: float

    @property
    def chance(self) -> float:
        """P(W > 0) on the lattice."""
        return float(self.heights[0])

    @property
    def _used(self) -> int:
        return int(USED * len(self.heights))

    @property
    def _density(self) -> float:
        return (1.0 - self.chance) / self.drift

    @property
    def _near(self) -> float:
        last = self._used
        ccdf, excess = self.service.ccdf[last], self.service.excess()[last]
        here = (self.heights[last - 1] + self.heights[last]) / 2.0
        return float((here - self._density * excess) / ccdf) if ccdf > 0 else 0.0

    def steps(self, service: Cells) -> Steps:
        """The fine lattice's sums as far as it goes; beyond, from the service's own cells."""
        ratio, last = round(service.step / self.service.step), self._used
        cells = last // ratio
        sums = np.concatenate([[0.0], np.cumsum(self.heights[:last])]) * self.service.step
        excess = np.append(service.excess(), service.beyond)
        ccdf = self._density * excess[:-1] + self._near * service.ccdf
        mass = self._density * service.step * (excess[1:] + service.moment) + self._near * service.mass
        at = ratio * np.arange(1, cells + 1)
        ccdf[1 : cells + 1] = (self.heights[at - 1] + self.heights[at]) / 2.0
        ccdf[0] = self.chance
        mass[:cells] = np.diff(sums[::ratio][: cells + 1])
        return Cells(service.step, ccdf / self.chance, mass / self.chance, mass, 0.0).lumped()
