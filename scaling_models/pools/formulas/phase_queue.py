"""M/PH/c: one queue before several equal slots whose service has phases, exact by its quasi-birth-death process."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from scaling_models.latency.phases import Phases

Array = NDArray[np.float64]
States = NDArray[np.intp]  # (states, phases): how many slots are in each phase
SMALLEST = 1e-15  # the last step of the reduction: the next would be its square
MOST_STEPS = 60


class PhaseQueue(NamedTuple):
    """The wait of M/PH/c: P(W > t) = `start` e^{`generator` t} 1 (per second).

    The sum of `start` is the probability of a wait. Neither it nor the generator's other elements are negative but for
    the diagonal; some rows may sum to more than zero, for the states are weighted as customers see them.
    """

    start: Array
    generator: Array

    @property
    def probability_of_wait(self) -> float:
        """That all slots are busy."""
        return float(self.start.sum())

    @property
    def wait(self) -> Phases:
        """The wait given that there is one."""
        return Phases(self.start / self.start.sum(), self.generator)

    def response(self, service: Phases) -> Phases:
        """The service and the wait, if any, which is independent of it, so that their order is all one.

        (The rows of this generator do not tell the rates at which it ends, so that nothing can come after it.)
        """
        return service.before(Phases(self.start, self.generator))


def phases_together(slots: int, phases: int) -> int:
    """In how many ways all `slots` can be in one of the `phases` each, if only their numbers count."""
    return math.comb(slots + phases - 1, phases - 1)


def phase_queue(arrival_rate: float, slots: int, service: Phases) -> PhaseQueue:
    """The wait of M/PH/c, first come first served, for a load below one.

    The state is how many requests are there, and how many slots are in each phase. Where all c slots are busy the
    process is homogeneous: with its first-passage matrix G (lambda G^2 + (D0 - lambda) G + D1 = 0, by the logarithmic
    reduction of Latouche and Ramaswami 1993), R = lambda (lambda - D0 - lambda G)^{-1} and pi_c of the boundary, the
    queue has P(L = k) = pi_c R^k 1. By the distributional form of Little's law (Haji and Newell 1971) E[z^L] is the
    transform of the wait at lambda (1 - z), so that P(W > t) = pi_c (1 - R)^{-1} e^{(D0 + lambda G) t} 1.
    `arrival_rate` in 1/s; costs the cube of `phases_together`, times c for the boundary. Exact to about 1e-12.
    """
    spaces = [_space(busy, len(service.start)) for busy in range(slots + 1)]
    inside = [_moved(space, service) for space in spaces]
    ended = [_ended(spaces[n], spaces[n - 1], service) for n in range(1, slots + 1)]
    begun = [_begun(spaces[n], spaces[n + 1], service) for n in range(slots)]
    passage = _passage(inside[slots], ended[-1] @ begun[-1], arrival_rate)
    returns = inside[0] - arrival_rate * np.eye(1)
    lower = []
    for n in range(1, slots + 1):  # the process watched only while at most n are there
        lower.append(ended[n - 1] @ linalg.inv(-returns, check_finite=False))
        returns = inside[n] - arrival_rate * (np.eye(len(spaces[n])) - lower[-1] @ begun[n - 1])
    all_busy = _stationary(returns + arrival_rate * passage)
    generator = inside[slots] + arrival_rate * passage
    start = linalg.solve(generator.T, (generator - arrival_rate * np.eye(len(all_busy))).T @ all_busy)
    total, level = start.sum(), all_busy
    for down in reversed(lower):
        level = level @ down
        total += level.sum()
    return PhaseQueue(np.maximum(start / total, 0.0), generator)


def _space(busy: int, phases: int) -> States:
    """All numbers of slots in each phase, (states, phases), that together are busy."""
    if phases == 1:
        return np.array([[busy]])
    rest = [_space(busy - first, phases - 1) for first in range(busy, -1, -1)]
    return np.concatenate(
        [np.column_stack([np.full(len(r), first), r]) for first, r in zip(range(busy, -1, -1), rest, strict=True)]
    )


def _fill(matrix: Array, rows: States, states: States, space: States, rates: Array) -> None:
    """Add the rates of the given rows at the columns of the states."""
    digits = np.array([(int(space.max()) + 2) ** place for place in range(space.shape[1])])
    keys = space @ digits
    order = np.argsort(keys)
    matrix[rows, order[np.searchsorted(keys, states @ digits, sorter=order)]] += rates


def _moved(space: States, service: Phases) -> Array:
    """Rates between the states of one level, and on the diagonal minus the rate of any change within a slot."""
    matrix = np.diag(space @ service.generator.diagonal())
    for here, there in np.argwhere((service.generator > 0) & ~np.eye(len(service.start), dtype=bool)):
        rows = np.flatnonzero(space[:, here])
        states = space[rows].copy()
        states[:, here] -= 1
        states[:, there] += 1
        _fill(matrix, rows, states, space, space[rows, here] * service.generator[here, there])
    return matrix


def _ended(space: States, below: States, service: Phases) -> Array:
    """Rates at which one of the slots ends, and comes free."""
    matrix = np.zeros((len(space), len(below)))
    for phase in np.flatnonzero(service.ends):
        rows = np.flatnonzero(space[:, phase])
        states = space[rows].copy()
        states[:, phase] -= 1
        _fill(matrix, rows, states, below, space[rows, phase] * service.ends[phase])
    return matrix


def _begun(space: States, above: States, service: Phases) -> Array:
    """Chances of the states in which a further slot has begun."""
    matrix = np.zeros((len(space), len(above)))
    for phase in np.flatnonzero(service.start):
        states = space.copy()
        states[:, phase] += 1
        _fill(matrix, np.arange(len(space)), states, above, np.full(len(space), service.start[phase]))
    return matrix


def _passage(inside: Array, renewed: Array, arrival_rate: float) -> Array:
    """G: in which state the queue is one shorter for the first time, where all slots are busy."""
    identity = np.eye(len(inside))
    step = linalg.inv(arrival_rate * identity - inside, check_finite=False)
    up, down = arrival_rate * step, step @ renewed
    found, reached = down.copy(), up.copy()
    for _ in range(MOST_STEPS):
        again = linalg.inv(identity - up @ down - down @ up, check_finite=False)
        up, down = again @ (up @ up), again @ (down @ down)
        change = reached @ down
        found += change
        if change.max() < SMALLEST:
            break
        reached = reached @ up
    return found


def _stationary(generator: Array) -> Array:
    """The probabilities that a generator leaves as they are."""
    system = generator.T.copy()
    system[0] = 1.0
    return np.asarray(linalg.solve(system, np.eye(len(system))[0]))
