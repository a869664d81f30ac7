"""One FIFO server solved to the end of its tail: lattices of growing step, each of them solved twice."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.latency.lattices import Survival
from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.lattices import USED, Cells, cells, excess, with_service
from scaling_models.pools.formulas.single_server import decay_of, poisson_waits, renewal_waits

FINE = 128  # nodes a mean service
COUNT = 2**14  # nodes of a lattice
COARSER = 8  # times the step from one lattice to the next, which reaches as much farther
LONGEST = 40.0  # mean gaps that a lattice must hold
MOST_LATTICES = 20
ENOUGH = 1e-6  # of a ccdf that is not known to fall exponentially: from there on it falls as the service's own does
FLOOR = 1e-7  # the least that a lattice tells of such a ccdf, for rounding
RARE, NEARLY = 1e-200, 0.999  # a tail is light that has fallen faster there than the wait's exponential
SLIGHT = 1e-5  # of the sum that tells the decay: what may come from the far half of a lattice
STEEPEST = 300.0  # decay over the whole lattice that is tilted away
DEEPER = 7.0  # decay beyond that which rounding allows
DECAYED = 25.0  # where a wait has fallen by e^-25 over the lattice, it tells more than FLOOR
FLATTEST = 0.1  # hazard times time: where a ccdf is flat, its quantiles are not asked to be exact
NO_WAIT = 1e-9  # a probability of waiting below this is rounding
EXPONENTIAL_AT = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])  # means


def is_exponential(latency: Distribution) -> bool:
    """Whether it is exponential, whatever it is called: its ccdf is e^{-t/m} at several t."""
    mean = latency.mean()
    if not 0 < mean < math.inf:
        return False
    return bool(np.allclose(latency.ccdf(mean * EXPONENTIAL_AT), np.exp(-EXPONENTIAL_AT), rtol=1e-9, atol=0.0))


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """How often there is a wait; given that there is one, the wait, and the wait with the service after it."""

    chance: float
    wait: Survival
    latency: Survival


@functools.lru_cache(maxsize=64)
def single_server(gap: Distribution, service: Distribution) -> Solution:
    """GI/G/1, FIFO, utilization below 1: both distributions at all depths.

    Every lattice is solved with steps 2h and h, which extrapolate the error of second order away and tell what it was;
    the next one is COARSER and reaches as much farther, until the ccdf is known to fall exponentially (a light tail),
    or is so small that it falls as the equilibrium distribution of the service does (a heavy one).
    """
    poisson = is_exponential(gap)
    step, count = service.mean() / FINE, COUNT
    while not poisson and step * count < LONGEST * gap.mean():
        count *= 2
    queue = _Queue(gap, service, poisson, count, excess(service, step * count))
    pieces = [queue.piece(step, 0.0)]
    while not pieces[-1].last and len(pieces) < MOST_LATTICES:
        step *= COARSER
        pieces.append(queue.piece(step, float(pieces[-1].times[-1])))
    decay = pieces[-1].decay if pieces[-1].exponential else 0.0
    chance = pieces[0].chance
    return Solution(chance, queue.survival(pieces, 0, decay), queue.survival(pieces, 1, decay))


@dataclasses.dataclass(frozen=True, eq=False)
class _Piece:
    """What one lattice tells: log ccdfs of wait and latency at its nodes, their errors, and how the tail goes on."""

    times: Array
    logs: tuple[Array, Array]
    errors: tuple[float, float]
    chance: float
    decay: float
    exponential: bool
    last: bool


@dataclasses.dataclass(frozen=True, eq=False)
class _Queue:
    gap: Distribution
    service: Distribution
    poisson: bool
    count: int
    far: tuple[Array, Array]

    def piece(self, step: float, known_to: float) -> _Piece:
        """The queue on the lattice of this step, used as far as rounding lets it; what is known needs no precision."""
        fine, gaps = self._cells(self.service, step), None if self.poisson else self._cells(self.gap, step)
        coarse, wide = fine.halved(), None if gaps is None else gaps.halved()
        decay, share = self._decay(coarse, wide)
        rate = decay / coarse.step
        exponential = share < SLIGHT and not self._heavy(rate)
        total = decay * len(coarse.ccdf)
        tilted = exponential and (self.poisson or total > DECAYED)
        tilt = min(decay, STEEPEST / len(coarse.ccdf)) if tilted else 0.0
        floor = -min(STEEPEST, DEEPER / max(1.0 - tilt / decay, 1e-9)) if tilted else math.log(FLOOR)
        lattices = [(fine, gaps), (coarse, wide), (coarse.halved(), None if wide is None else wide.halved())]
        solved = [self._solved(*each, tilt * 2.0 ** (turn - 1)) for turn, each in enumerate(lattices)]
        chances, waits, latencies = zip(*solved, strict=True)
        nodes: Array = step * np.arange(float(self.count))
        wait, wait_error = _extrapolated(nodes, waits, floor, known_to)
        latency, latency_error = _extrapolated(nodes, latencies, floor, known_to)
        used = min(len(wait), len(latency))
        enough = self._heavy(rate) and wait[used - 1] < math.log(ENOUGH)
        return _Piece(
            nodes[:used],
            (wait[:used], latency[:used]),
            (wait_error, latency_error),
            chances[0],
            rate,
            exponential,
            exponential or enough or chances[0] < NO_WAIT,
        )

    def _cells(self, latency: Distribution, step: float) -> Cells:
        beyond = 0.0
        if latency is self.service and self.far[1][0] > 0:
            with np.errstate(divide="ignore"):
                beyond = float(np.interp(step * self.count, *self.far))
        return cells(latency, step, self.count, beyond)

    def _decay(self, service: Cells, gap: Cells | None) -> tuple[float, float]:
        if gap is None:
            return decay_of(service.mean / self.gap.mean() * service.residual()[1])
        return decay_of(service.lumped()[0], gap.lumped()[0])

    def _heavy(self, rate: float) -> bool:
        """Whether the service's tail falls more slowly than the wait would without it."""
        if math.isfinite(self.service.support[1]):
            return False
        return rate * float(self.service._iccdf(np.array(RARE))) > -NEARLY * math.log(RARE)

    def _solved(self, service: Cells, gap: Cells | None, decay: float) -> tuple[float, Array, Array]:
        if gap is None:
            chance = self.service.mean() / self.gap.mean()
            waits = poisson_waits(chance, service, decay)
        else:
            waits = renewal_waits(service, gap, decay)
            chance = float(waits[0])
            waits = waits / max(chance, NO_WAIT)
        return chance, waits, with_service(waits, service, decay)

    def survival(self, pieces: list[_Piece], which: int, decay: float) -> Survival:
        """The pieces one after the other, and what follows: an exponential, or the excess of the service."""
        times, logs = [pieces[0].times], [pieces[0].logs[which]]
        for before, piece in pairwise(pieces):
            later = piece.times > before.times[-1]
            times.append(piece.times[later])
            logs.append(piece.logs[which][later])
        t, log = np.concatenate(times), np.concatenate(logs)
        error = max(piece.errors[which] for piece in pieces)
        places, left = self.far
        if decay > 0 or left[0] == 0:
            half = t.size // 2
            slope = float((log[half] - log[-1]) / (t[-1] - t[half]))  # freer of the step than the root is
            return Survival(t, log, decay=slope, error=error)
        index = self.service.tail_index - 1.0
        onward = places > t[-1] * (1.0 + 1e-9)
        places, left = np.append(t[-1], places[onward]), np.append(np.interp(t[-1], places, left), left[onward])
        alive = left > 0
        falls = np.log(left[alive]) - math.log(left[0])
        return Survival(t, log, far=(places[alive], log[-1] + falls), index=index, error=error)


def _extrapolated(times: Array, solved: Sequence[Array], floor: float, start: float) -> tuple[Array, float]:
    """The log of a ccdf from its values at steps h, 2h and 4h, as far as they hold, and its error as a quantile's.

    What h^2 brings in is taken away; what is left shows where h and 2h tell another h^2 than 2h and 4h. From `start`.
    """
    held = np.flatnonzero(~(solved[0] > math.exp(floor)))
    used = int(min(USED * len(times), held[0] if held.size else math.inf))
    used = max(used - used % 4, 8)
    logs = [np.log(np.maximum(each[: used // 2**turn], 1e-300)) for turn, each in enumerate(solved)]
    gained = (logs[0][::2] - logs[1]) / 3.0
    before = (logs[1][::2] - logs[2]) / 12.0
    best = logs[0] + np.interp(times[:used], times[:used:2], gained)
    steepness = np.maximum(-np.gradient(best, times[:used]) * (times[:used] + FINE * times[1]), FLATTEST)
    late = times[:used:4] >= start
    return best, float(np.max((np.abs(gained[::2] - before) / steepness[::4])[late], initial=0.0)) / 3.0
