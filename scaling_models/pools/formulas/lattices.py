"""Service times on a lattice: what the single-server solvers ask of a distribution, by quadrature of its ccdf."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from scipy import fft

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import Array, gauss

NEAR_CELLS = 64  # in these the body of a distribution may lie: cut at its own cuts, with many nodes
NEAR_NODES, FAR_NODES = 12, 2
TILT = 14.0  # what comes round the end of a Fourier transform is e^-14 of what lies there
USED = 0.75  # of the lattice: towards its end the tilt has blown up the rounding
RATIO = math.sqrt(2.0)  # of the ends of a panel in the tail: the ends of all lattices are among them
FARTHEST = 1e60


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """A distribution on nodes: its ccdf, its mass lumped there, and as much of that as comes from the right."""

    ccdf: Array
    lumped: Array
    right: Array

    def tilted(self, decay: float) -> Tilted:
        """Its transforms, tilted by what keeps the end of the lattice from coming round, less `decay` a step."""
        return self._plain if decay == 0 else Tilted(self, TILT / len(self.ccdf) - decay)

    @functools.cached_property
    def _plain(self) -> Tilted:
        return Tilted(self, TILT / len(self.ccdf))


@dataclasses.dataclass(frozen=True, eq=False)
class Tilted:
    """The transforms of a distribution on nodes."""

    steps: Steps
    tilt: float

    @functools.cached_property
    def ccdf(self) -> Array:
        """That of the ccdf."""
        return tilted(self.steps.ccdf, self.tilt)

    @functools.cached_property
    def lumped(self) -> Array:
        """That of the mass."""
        return tilted(self.steps.lumped, self.tilt)

    @functools.cached_property
    def right(self) -> Array:
        """That of the mass from the right."""
        return tilted(self.steps.right, self.tilt)


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """A distribution S at the nodes k h, k < n: `ccdf` there, and over the cell from each node `mass`, the integral of
    the ccdf, and `moment`, that of the ccdf times the distance from the node over h; `beyond` is the integral after.
    """

    step: float
    ccdf: Array
    mass: Array
    moment: Array
    beyond: float

    @property
    def mean(self) -> float:
        """E S."""
        return float(self.mass.sum()) + self.beyond

    def halved(self) -> Cells:
        """The same on every second node."""
        mass = self.mass[::2] + self.mass[1::2]
        moment = (self.moment[::2] + self.moment[1::2] + self.mass[1::2]) / 2.0
        return Cells(2.0 * self.step, self.ccdf[::2], mass, moment, self.beyond)

    def excess(self) -> Array:
        """The integral of the ccdf from each node to infinity."""
        return np.asarray(self.beyond + np.cumsum(self.mass[::-1])[::-1])

    def lumped(self) -> Steps:
        """S with each time shared between the nodes to either side so that the mean stays."""
        right = self.ccdf - self.mass / self.step
        left = self.mass / self.step - np.append(self.ccdf[1:], 0.0)
        left[-1] = 0.0
        right[0] += 1.0 - self.ccdf[0]
        return _joined(self.ccdf, right, left)

    def residual(self) -> Steps:
        """The equilibrium distribution, of density ccdf / E S."""
        mean = self.mean
        return _joined(self.excess() / mean, (self.mass - self.moment) / mean, self.moment / mean)


def _joined(ccdf: Array, right: Array, left: Array) -> Steps:
    together = right.copy()
    together[1:] += left[:-1]
    return Steps(ccdf, together, right)


class Level(NamedTuple):
    """A distribution in the cells of a lattice, and lumped at its nodes."""

    cells: Cells
    lumped: Steps


def levels(fine: Cells) -> tuple[Level, Level, Level]:
    """The same with steps h, 2 h and 4 h."""
    half = fine.halved()
    coarse = half.halved()
    return Level(fine, fine.lumped()), Level(half, half.lumped()), Level(coarse, coarse.lumped())


@functools.lru_cache(maxsize=32)  # a slider of the load leaves the service's
def cells(service: Distribution, step: float, count: int, beyond: float) -> Cells:
    """The distribution on `count` cells of `step` seconds, `beyond` being the integral of its ccdf after them."""
    nodes: Array = step * np.arange(count + 1.0)
    near = min(NEAR_CELLS, count)
    kinks = np.array([kink for kink in service.kinks if 0 < kink < nodes[-1]])
    mass, moment = np.zeros(count), np.zeros(count)
    body = np.concatenate([nodes[: near + 1], kinks, service.cuts])
    regions = (
        (np.unique(body[(body >= 0) & (body <= nodes[near])]), NEAR_NODES),
        (np.union1d(nodes[near:], kinks[kinks > nodes[near]]), FAR_NODES),
    )
    for edges, order in regions:
        x, w = gauss(order)
        low, width = np.asarray(edges[:-1]), np.diff(edges)
        at = np.asarray(low[:, None] + width[:, None] * x, dtype=float)
        values = np.asarray(service._ccdf(at)) * (width[:, None] * w)
        cell = np.minimum(np.floor((low + 0.5 * width) / step).astype(np.intp), count - 1)
        mass += np.bincount(cell, weights=values.sum(axis=1), minlength=count)
        inside = at / step - cell[:, None]
        moment += np.bincount(cell, weights=(values * inside).sum(axis=1), minlength=count)
    return Cells(step, np.asarray(service._ccdf(nodes[:-1])), mass, moment, beyond)


def excess(service: Distribution, start: float) -> tuple[Array, Array]:
    """Times from `start` on, and the integral of the ccdf from each of them to infinity, in relative precision."""
    end = min(service.support[1], start * FARTHEST)
    if end <= start:
        return np.array([start]), np.array([0.0])
    powers = RATIO ** np.arange(int(math.log(end / start) / math.log(RATIO)) + 1)
    kinks = [kink for kink in service.kinks if start < kink < end]
    edges = np.unique(np.concatenate([start * powers, kinks, [end]]))
    alive = np.asarray(service._ccdf(edges[:-1])) > 1e-290
    edges = edges[: max(2, int(alive.sum()) + 1)]
    x, w = gauss(NEAR_NODES)
    width = np.diff(edges)
    times: Array = edges[:-1, None] + width[:, None] * x
    values = np.asarray(service._ccdf(times) @ w) * width
    rest = 0.0
    if math.isfinite(service.tail_index) and edges[-1] < service.support[1]:
        rest = float(edges[-1] * service._ccdf(edges[-1:])[0]) / (service.tail_index - 1.0)
    return edges, np.append(np.cumsum(values[::-1])[::-1] + rest, rest)


def tilted(values: Array, tilt: float) -> Array:
    """The transform of values_k e^{-tilt k}."""
    return np.asarray(fft.rfft(values * np.exp(-tilt * np.arange(len(values)))))


def untilted(transform: Array, tilt: float, count: int) -> Array:
    """Back from `tilted`."""
    return np.asarray(fft.irfft(transform, count) * np.exp(tilt * np.arange(count)))


def with_service(waits: Array, service: Steps, decay: float) -> Array:
    """P(X + S > k h) where P(X > k h) is `waits`, linear between the nodes and 1 at 0; `decay` is that of X a step."""
    served = service.tilted(decay)
    return service.ccdf + untilted(tilted(waits, served.tilt) * served.lumped - served.right, served.tilt, len(waits))
