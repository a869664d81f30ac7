"""Data in copies on nodes: which sets of nodes hold all copies of something together."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Model, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.copysets import (
    disjoint_loss,
    one_set_lost,
    random_copysets,
    random_partners,
    window_copysets,
)

Array = NDArray[np.float64]
MOST_CHUNKS = 1e18  # as many as whole numbers are drawn of
CERTAIN = 100.0  # expected lost copysets: none with probability e^-100
RANDOM, COPYSETS, WINDOW = "random", "copysets", "window"


class ReplicatedData(Model):
    """Base of the models of `nodes` that keep `replicas` copies of every chunk of their data."""

    nodes: int = parameter(
        default=30, domain=Integer(2, 10**5), unit="nodes", symbol="N", about="how many", slider=Slider(6, 120, 3)
    )
    replicas: int = parameter(
        default=3, domain=Integer(2, 8), symbol="R", about="copies of all data", slider=Slider(2, 5, 1)
    )
    placement: str = parameter(
        default=COPYSETS,
        domain=Choice((RANDOM, COPYSETS)),
        about="where copies lie: each chunk on nodes at random, or on groups cut from permutations of the nodes",
    )
    scatter_width: int = parameter(
        default=4,
        domain=Integer(1, 10**5),
        unit="nodes",
        symbol="S",
        about="how many nodes share a node's data (of random placement nearly all do)",
        slider=Slider(2, 24, 2),
    )
    data_per_node: float = parameter(
        default=1e14,
        domain=Real(),
        unit="bytes",
        symbol="D",
        about="what a node holds, copies counted",
        slider=Slider(1e12, 1e15, 0.1, log=True),
    )
    chunk_size: float = parameter(
        default=1e10,
        domain=Real(),
        unit="bytes",
        about="what is placed as one, where placement is random",
        slider=Slider(1e6, 1e12, 0.5, log=True),
    )
    placements: ClassVar[tuple[str, ...]] = (RANDOM, COPYSETS)

    def _check(self) -> None:
        owner = type(self).__name__
        if self.replicas > self.nodes:
            raise ValueError(f"{owner}.replicas must lie in [2, {self.nodes}], at most the nodes; got {self.replicas}")
        if self.placement != RANDOM and self.scatter_width >= self.nodes:
            raise ValueError(
                f"{owner}.scatter_width must lie in [1, {self.nodes - 1}] nodes, fewer than the nodes; "
                f"got {self.scatter_width}"
            )
        if self.nodes * self.data_per_node / self.replicas > MOST_CHUNKS * self.chunk_size:
            raise ValueError(
                f"{owner}.data_per_node must make no more than {MOST_CHUNKS:.0e} chunks on all nodes; "
                f"got {self.data_per_node!r} bytes a node in chunks of {self.chunk_size!r}"
            )

    @property
    def chunks(self) -> int:
        """How many chunks there are, copies not counted; one at least."""
        return max(1, round(self.nodes * self.data_per_node / self.replicas / self.chunk_size))

    @property
    def permutations(self) -> int:
        """How many permutations of the nodes are cut into copysets: the least that reach the scatter width."""
        return math.ceil(self.scatter_width / (self.replicas - 1))

    @property
    def partners(self) -> float:
        """How many different nodes share a node's data, expected: those of its copysets, or of its random chunks."""
        draws = self.chunks * self.replicas / self.nodes if self.placement == RANDOM else self.permutations
        return float(random_partners(self.nodes, self.replicas, draws))

    @property
    def lost_together(self) -> float:
        """The data (bytes) of a copyset, or of a chunk."""
        return self.data_per_node / self.permutations if self.placement == COPYSETS else self.chunk_size

    @answer("sets", "expected number of different sets of nodes that hold all copies of some data")
    def copysets(self) -> float:
        """P floor(N/R) of P permutations, repeats counted; C(N, R) (1 - (1 - 1/C(N, R))^chunks) of random chunks."""
        if self.placement == RANDOM:
            return float(random_copysets(self.nodes, self.replicas, self.chunks))
        if self.placement == WINDOW:
            return float(window_copysets(self.nodes, self.replicas, self.scatter_width))
        return float(self.permutations * (self.nodes // self.replicas))

    @functools.cached_property
    def units(self) -> int:
        """How many independent draws make the placement: permutations, or chunks."""
        return self.chunks if self.placement == RANDOM else self.permutations

    def unit_lost(self, failed: Array) -> Array:
        """The probability that so many failed nodes lose some of a permutation's data, or a given chunk. Exact."""
        each = np.asarray(one_set_lost(self.nodes, failed, self.replicas), dtype=float)
        if self.placement == RANDOM:
            return each
        certain = self.units * (self.nodes // self.replicas) * each > CERTAIN
        return np.where(certain, 1.0, disjoint_loss(self.nodes, np.where(certain, 0, failed), self.replicas))
