"""The latency of commands that wait for a batch and then for a round: one law on a lattice, convolved."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import signal

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.latency.quadrature import panels
from scaling_models.latency.record import LATENCY
from scaling_models.latency.sums import Sum
from scaling_models.parameters import parameter

NODES = 8192  # of the lattice
KNOWN_TO = 1e-10  # the ccdf down to which it reaches; below it the integral is taken at few times
FAR = 1e-16  # of both parts: what comes later is extrapolated
FEW = 24  # such times
NARROWEST = 20.0  # cells, from the first to the last decile of the second


class BatchLatency(Lattice):
    """Two independent times one after the other, of which `batch` is spread over many short and straight pieces.

    P(A + B > t) = sum_j P(A in cell j) x the mean of P(B > t - x) over it, for all t of the lattice by one convolution;
    atoms of the first besides, exactly. Quantiles to 1e-5, below the median to 1e-3. The second has no atoms.
    """

    batch: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="A", about="until the batch is done"
    )
    round: Distribution = parameter(default=0.002, domain=LATENCY, unit="s", symbol="B", about="what comes after it")

    @property
    def support(self) -> tuple[float, float]:
        """The parts' starts and ends added."""
        (begin, end), (first, last) = self.batch.support, self.round.support
        return (begin + first, end + last)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The start: others are no sharper than the lattice."""
        return (self.support[0],)

    @property
    def tail_index(self) -> float:
        """The heavier part's."""
        return min(self.batch.tail_index, self.round.tail_index)

    def mean(self) -> float:
        """The parts' means added."""
        return self.batch.mean() + self.round.mean()

    def variance(self) -> float:
        """The parts' variances added."""
        return self.batch.variance() + self.round.variance()

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self.batch._draw(shape, rng) + self.round._draw(shape, rng))

    @functools.cached_property
    def _survival(self) -> Survival:
        begin, step = self.support[0], self.step
        after = step * np.arange(NODES + 1.0)
        logs = np.log(np.maximum(self._convolved(after, step), 1e-300))
        kept = logs > math.log(KNOWN_TO)
        times, logs = np.append(0.0, begin + after[kept]), np.append(0.0, logs[kept])
        if begin == 0.0:
            times, logs = times[1:], logs[1:]
        far = np.geomspace(times[-1], max(self._latest, 2.0 * times[-1]), FEW)
        late = np.log(np.maximum(Sum((self.batch, self.round))._integral(far[1:]), 1e-300))
        return Survival(times, logs, far=(np.log(far), np.append(logs[-1], late)), index=self.tail_index)

    @functools.cached_property
    def step(self) -> float:
        """Between nodes (s); where a heavy tail begins, the integral does as well."""
        ends = [float(part.iccdf(KNOWN_TO)) - part.support[0] for part in (self.batch, self.round)]
        steady = 4.0 * (ends[0] + float(self.round.iccdf(1e-5)) - self.round.support[0])
        return min(sum(ends), steady) / NODES

    @property
    def _latest(self) -> float:
        """When less than FAR is left of either part (s)."""
        return float(self.batch.iccdf(FAR) + self.round.iccdf(FAR))

    def _convolved(self, after: Array, step: float) -> Array:
        """P(A + B > t) at so many seconds after the start."""
        first, second = self.batch.support[0], self.round.support[0]
        jumps = [(place - first, mass) for place, mass in self.batch.atoms]
        late = self.batch.ccdf(first + after) - sum(mass * (after < place) for place, mass in jumps)
        inside = np.maximum(-np.diff(late), 0.0)  # what lies in each cell, but for the atoms
        t, weights = panels(second + after, 3)
        means = (self.round.ccdf(t) * weights).reshape(NODES, -1).sum(axis=1) / step
        late[1:] += signal.fftconvolve(inside, means)[:NODES]
        for place, mass in jumps:
            late += mass * self.round.ccdf(second + after - place)
        return np.asarray(np.minimum(late, 1.0))


def batch_latency(batch: Distribution, rest: Distribution) -> Distribution:
    """Their sum: `BatchLatency`, but where the second varies so little that cells would be seen, or jumps."""
    if rest.atoms or rest.lost or not rest.spread_known:
        return batch + rest
    found = BatchLatency(batch, rest)
    return found if rest.icdf(0.9) - rest.icdf(0.1) > NARROWEST * found.step else batch + rest
