"""One FIFO server solved to the end of its tail: lattices of growing step, each of them solved twice."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from scaling_models.latency import Distribution, Scaled
from scaling_models.latency.lattices import Survival
from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.ladders import Ladder, PoissonLadder, RenewalLadder
from scaling_models.pools.formulas.lattices import USED, Cells, cells, excess, levels, with_service
from scaling_models.pools.formulas.single_server import compound_waits, decay_of, renewal_waits
from scaling_models.pools.formulas.walks import is_exponential, never_waits, reach_of
from scaling_models.wording import short

FINE = 128  # nodes a mean service
COUNT = 2**14  # nodes of a lattice
COARSER = 8  # times the step from one lattice to the next, which reaches as much farther
MOST_NODES = 2**18  # after that the step grows
MOST_LATTICES = 20
WIDER, RIGHT = (1.0, 4.0, 16.0), 1e-3  # a first lattice is made wider until its error is smaller
ENOUGH = 1e-7  # of a ccdf that is not known to fall exponentially: from there on it falls as the service's own does
FLOOR = 1e-8  # the least that a lattice tells of such a ccdf, for rounding
RARE, NEARLY = 1e-200, 0.999  # a tail is light that has fallen faster there than the wait's exponential
SLIGHT = 1e-5  # of the sum that tells the decay: what may come from the far half of a lattice
STEEPEST = 300.0  # decay over the whole lattice that is tilted away
DEEPER = 14.0  # decay beyond that which rounding allows
DECAYED = 25.0  # where a wait has fallen by e^-25 over the lattice, it tells more than FLOOR
FLATTEST = 0.1  # hazard times time: where a ccdf is flat, its quantiles are not asked to be exact
ABRUPT = 8.0  # how far above the least that can be told no ccdf ends
NO_WAIT, NEAR_ZERO = 1e-9, 1e-7  # a probability of waiting below is none; and what rounding may take from none


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
    if isinstance(service, Scaled):  # faster or slower servers share the lattice of the one service
        plain = single_server(gap * (1.0 / service.factor), service.distribution)
        return Solution(plain.chance, plain.wait.stretched(service.factor), plain.latency.stretched(service.factor))
    if is_exponential(gap):
        queue, step = _queue(gap, service, 0.0)
        ladder: Ladder = PoissonLadder(service.mean() / gap.mean())
        return _to_the_end(queue, step, queue.compound(step, ladder, 1.0, 0.0), ladder)
    if never_waits(gap, service, NO_WAIT):
        return _at_once(service)
    reach = reach_of(gap, service)
    for wider in WIDER:
        queue, step = _queue(gap, service, wider * reach)
        first, ladder = queue.renewal(step)
        if first.chance < NO_WAIT:
            return _at_once(service)
        if first.chance < 1.0 and max(first.errors) < RIGHT:
            return _to_the_end(queue, step, first, ladder)
    raise ArithmeticError(f"no lattice was wide enough for {short(gap)} and {short(service)}")


def _at_once(service: Distribution) -> Solution:
    soon = Survival(np.zeros(1), np.zeros(1), decay=1.0 / service.mean())
    return Solution(0.0, soon, soon)


def _queue(gap: Distribution, service: Distribution, reach: float) -> tuple[_Queue, float]:
    """The queue with a first lattice that reaches so far, and its step."""
    step, count = service.mean() / FINE, COUNT
    while step * count < reach:
        step, count = (step, 2 * count) if count < MOST_NODES else (2.0 * step, count)
    return _Queue(gap, service, reach == 0, count, excess(service, service.mean())), step


def _to_the_end(queue: _Queue, step: float, first: _Piece, ladder: Ladder) -> Solution:
    pieces = [first]
    while not pieces[-1].last and len(pieces) < MOST_LATTICES:
        step *= COARSER
        pieces.append(queue.compound(step, ladder, ladder.chance / first.chance, float(pieces[-1].times[0][-1])))
    decay = 0.0 if pieces[-1].tail.heavy else pieces[-1].tail.decay
    return Solution(first.chance, queue.survival(pieces, 0, decay), queue.survival(pieces, 1, decay))


_kept_levels = functools.lru_cache(maxsize=24)(levels)  # of Poisson arrivals: as short as they are used often


@dataclasses.dataclass(frozen=True)
class _Tail:
    """How a wait falls: its decay (1/s), whether the service falls more slowly, whether the decay is the true one; and
    how much of it is tilted away (each step of 4 h), and the least log ccdf that rounding then leaves.
    """

    decay: float
    heavy: bool
    exponential: bool
    tilt: float
    floor: float


@dataclasses.dataclass(frozen=True, eq=False)
class _Piece:
    """What one lattice tells: log ccdfs of wait and latency at its nodes, their errors, and how the tail goes on."""

    times: tuple[Array, Array]
    logs: tuple[Array, Array]
    errors: tuple[float, float]
    chance: float
    tail: _Tail
    last: bool


@dataclasses.dataclass(frozen=True, eq=False)
class _Queue:
    gap: Distribution
    service: Distribution
    poisson: bool
    count: int
    far: tuple[Array, Array]

    def compound(self, step: float, ladder: Ladder, scale: float, known_to: float) -> _Piece:
        """On the lattice of this step, from the ladder height; `scale` is its chance of a wait over the true one."""
        fine = self._cells(self.service, step)
        services = _kept_levels(fine) if self.poisson else levels(fine)
        steps = [ladder.steps(service.cells) for service in services]
        decay, share = decay_of(ladder.chance * steps[2].lumped)
        tail = self._tail(decay, share, services[2].cells.step, 0.0)
        solved = []
        for turn, (service, each) in enumerate(zip(services, steps, strict=True)):
            decays = tail.tilt * 2.0 ** (turn - 2)
            waits = compound_waits(ladder.chance, each, decays) * scale
            waits[0] = 1.0
            solved.append((waits, with_service(waits, service.lumped, decays)))
        return self._piece(step, solved, ladder.chance / scale, tail, known_to)

    def renewal(self, step: float) -> tuple[_Piece, Ladder]:
        """On the first and finest lattice, and what the wait climbs by there."""
        fine = self._cells(self.service, step)
        pairs = tuple(zip(levels(fine), levels(self._cells(self.gap, step)), strict=True))
        coarse, wide = pairs[2]
        decay, share = decay_of(coarse.lumped.lumped, wide.lumped.lumped)
        tail = self._tail(decay, share, coarse.cells.step, DECAYED / self.count * 4.0)
        solved, chances, heights = [], [], []
        for turn, (service, gap) in enumerate(pairs):
            decays = tail.tilt * 2.0 ** (turn - 2)
            waits, height = renewal_waits(service, gap, decays)
            chances.append(float(waits[0]))
            heights.append(height)
            waits = waits / max(chances[-1], NO_WAIT)
            solved.append((waits, with_service(waits, service.lumped, decays)))
        chance = chances[0] + (chances[0] - chances[1]) / 3.0
        if not np.isfinite(heights[0]).all() or chance < -NEAR_ZERO:
            chance = 2.0  # no factors were found: no probability
        ladder = RenewalLadder(fine, heights[0], self.gap.mean() - self.service.mean())
        return self._piece(step, solved, chance, tail, 0.0), ladder

    def _tail(self, decay: float, share: float, step: float, least: float) -> _Tail:
        heavy = self._heavy(decay / step)
        exponential = share < SLIGHT and not heavy
        if not exponential or decay <= least:
            return _Tail(decay / step, heavy, exponential, 0.0, math.log(FLOOR))
        tilt = min(decay, STEEPEST / (self.count / 4.0))
        floor = -min(STEEPEST, DEEPER / max(1.0 - tilt / decay, 1e-9))
        return _Tail(decay / step, heavy, exponential, tilt, floor)

    def _piece(
        self, step: float, solved: list[tuple[Array, Array]], chance: float, tail: _Tail, known_to: float
    ) -> _Piece:
        waits, latencies = zip(*solved, strict=True)
        nodes: Array = step * np.arange(float(self.count))
        wait, wait_error = _extrapolated(nodes, waits, tail.floor, known_to)
        latency, latency_error = _extrapolated(nodes, latencies, tail.floor, known_to)
        # Of gaps that are not exponential the next lattice would know no more: its ladder height ends in rounding.
        enough = (tail.heavy or not self.poisson) and wait[-1] < math.log(ENOUGH)
        return _Piece(
            (nodes[: len(wait)], nodes[: len(latency)]),
            (wait, latency),
            (wait_error, latency_error),
            chance,
            tail,
            tail.exponential or enough,
        )

    def _cells(self, latency: Distribution, step: float) -> Cells:
        beyond = 0.0
        if latency is self.service and self.far[1][0] > 0:
            with np.errstate(divide="ignore"):
                beyond = float(np.interp(step * self.count, *self.far))
        return cells(latency, step, self.count, beyond)

    def _heavy(self, rate: float) -> bool:
        """Whether the service's tail falls more slowly than the wait would without it."""
        if math.isfinite(self.service.support[1]):
            return False
        return rate * float(self.service._iccdf(np.array(RARE))) > -NEARLY * math.log(RARE)

    def survival(self, pieces: list[_Piece], which: int, decay: float) -> Survival:
        """The pieces one after the other, and what follows: an exponential, or the excess of the service."""
        times, logs = [pieces[0].times[which]], [pieces[0].logs[which]]
        for before, piece in pairwise(pieces):
            later = piece.times[which] > before.times[which][-1]
            times.append(piece.times[which][later])
            logs.append(piece.logs[which][later])
        t, log = np.concatenate(times), np.concatenate(logs)
        error = max(piece.errors[which] for piece in pieces)
        places, left = self.far
        if decay > 0 or left[0] == 0:
            near = 3 * t.size // 4
            slope = float((log[near] - log[-1]) / (t[-1] - t[near]))  # freer of the step than the root is
            return Survival(t, log, decay=slope, error=error)
        index = self.service.tail_index - 1.0
        places, left = np.log(places[left > 0]), np.log(left[left > 0])
        last = math.log(t[-1])
        onward = places > last + 1e-9
        places, left = np.append(last, places[onward]), np.append(np.interp(last, places, left), left[onward])
        return Survival(t, log, far=(places, log[-1] + left - left[0]), index=index, error=error)


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
    if held.size and held[0] <= used + 4 and best[-1] > math.log(FLOOR) + ABRUPT:
        return best, math.inf  # it has not fallen so far, but ends in noise
    late = times[:used:4] >= start
    return best, float(np.max((np.abs(gained[::2] - before) / steepness[::4])[late], initial=0.0)) / 3.0
