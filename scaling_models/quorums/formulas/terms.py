"""How long until a majority: the law of terms that follow each other, won or split, on a lattice of time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scaling_models.quorums.formulas.elections import conflicts_to_split, split_probability
from scaling_models.quorums.formulas.races import Lattice, Law, Round, late_by_up_to, race, uniform

Array = NDArray[np.float64]
CELLS = 8192  # of the lattice
LEFT = 1e-9  # what may be left beyond its end: from there on the tail is exponential
MOST_TERMS = 40  # that the lattice covers


class Timers(NamedTuple):
    """Timeouts U(least, least + spread) seconds of `alive` of the `members`, and how long a request takes.

    `hop` is the flight of a request and the disk write before it. `tick` (seconds) is 0 where timers run continuously;
    else timeouts are whole ticks, of free phases: a timer started by a message fires after
    U(least, least + spread), one started by its own tick half a tick later on average. `refusing`: members ignore
    requests until they have counted the least number of ticks since the last heartbeat. `pre_vote`: a candidate asks
    for promises before it stands, which takes `asking` seconds.
    """

    members: int
    alive: int
    least: float
    spread: float
    hop: float
    tick: float = 0.0
    refusing: bool = False
    pre_vote: bool = False
    asking: float = 0.0

    @property
    def begin(self) -> float:
        """How soon a candidate may stand."""
        return self.least + self.asking

    @property
    def conflicts(self) -> int:
        """How many others have to stand before the first request reaches them, for the first to miss a majority."""
        return conflicts_to_split(self.members, self.alive)


class TimeToStand(NamedTuple):
    """The winner's timeout: ccdf at the nodes 0, step, 2 step ... (s) after the last heartbeat arrived everywhere.

    `decay` (1/s) is how fast the ccdf falls beyond the last node; `split` the probability that the first term elects
    nobody, `terms` how many it takes on average.
    """

    step: float
    ccdf: Array
    decay: float
    split: float
    terms: float


def time_to_stand(timers: Timers) -> TimeToStand:
    """When the candidate that wins stands, counted from the last heartbeat of the old leader.

    First term: the joint law of the first timeout u and its outcome, P(split | u) = P(Bin(s - 1, min(1, (l/R)/(1-u)))
    >= s - floor(n/2)), density s (1 - u)^(s-1); exact. Later terms start staggered: the last candidate's timer with its
    request, those of its voters a hop later. Their law is that of the second term, so that the sum over splits is
    geometric in transforms: win_1 + split_1 win_2 / (1 - split_2). Where members refuse, a first candidate at its least
    number of ticks misses those whose phase is later than its own; the first of these to fire wins if enough of them
    are left, else all timers have started anew.
    """
    law, lattice = uniform(timers.begin, timers.spread), _lattice(timers)
    first = race(lattice, timers.hop, timers.conflicts, [(law, timers.alive)])
    found = _refused(lattice, timers, first) if timers.refusing and timers.tick else _Refused(first, [], None)
    later = _later(lattice, timers, law)
    won, split = lattice.forth(later.won), lattice.forth(later.split)
    after = won / (1.0 - split)
    sum_of_all = lattice.forth(found.term.won) + lattice.forth(found.term.split) * after
    again = float(later.split.sum())
    more = float(found.term.split.sum()) / (1.0 - again)
    if found.second is not None:
        sum_of_all = sum_of_all + found.second
    for start, term in found.restarts:
        sum_of_all = sum_of_all + lattice.forth(start) * (lattice.forth(term.won) + lattice.forth(term.split) * after)
        more += float(start.sum()) * (1.0 + float(term.split.sum()) / (1.0 - again))
    masses = np.maximum(lattice.back(sum_of_all), 0.0)
    nobody = float(found.term.split.sum()) + sum(float(start.sum()) for start, _ in found.restarts)
    beyond = max(1.0 - float(masses.sum()), 0.0)
    ccdf = beyond + np.append(np.cumsum(masses[::-1])[::-1], 0.0)
    return TimeToStand(lattice.step, np.minimum(ccdf, 1.0), _decay(timers, lattice, later), nobody, 1.0 + more)


class _Refused(NamedTuple):
    """The first term where some refuse: its round, those whom the second to fire wins (transformed), and those whom it
    does not: when the first stood, and the round after it.
    """

    term: Round
    restarts: list[tuple[Array, Round]]
    second: NDArray[np.complex128] | None


def _lattice(timers: Timers) -> Lattice:
    again = float(split_probability(timers.members, timers.alive, timers.hop / timers.spread))
    terms = 2 + timers.refusing + math.ceil(math.log(LEFT) / math.log(min(max(again, 1e-9), 0.999)))
    horizon = min(terms, MOST_TERMS) * (timers.begin + timers.spread + 2.0 * timers.hop + timers.tick)
    return Lattice(horizon / CELLS, CELLS)


def _later(lattice: Lattice, timers: Timers, law: Law) -> Round:
    """A term after a split: one candidate that stood first, and others that stood within a hop or voted."""
    wanted, others = timers.conflicts, timers.alive - 1
    u = (np.arange(512) + 0.5) / 512
    chance = np.minimum(timers.hop / timers.spread / (1.0 - u), 1.0)
    weight = (1.0 - u) ** others
    split = weight * special.betainc(wanted, others - wanted + 1, chance)
    stood = weight * chance * (special.betainc(wanted - 1, others - wanted + 1, chance) if wanted > 1 else 1.0)
    share = min(stood.sum() / split.sum(), 1.0) if split.sum() > 0 else 1.0
    own = uniform(timers.begin + timers.tick / 2.0, timers.spread)
    near = late_by_up_to(own, timers.begin + timers.tick / 2.0, timers.spread, timers.hop)
    return race(
        lattice,
        timers.hop,
        timers.conflicts,
        [(own, 1), (lambda t: share * near(t) + (1.0 - share) * law(t - timers.hop), others)],
    )


def _refused(lattice: Lattice, timers: Timers, first: Round) -> _Refused:
    """The first term where members refuse those who stand at their least number of ticks, in the first tick's cells."""
    others, needed = timers.alive - 1, timers.members // 2
    x = (lattice.nodes[1:] - lattice.step / 2.0 - timers.begin) / timers.tick
    early = (x > 0.0) & (x < 1.0)
    x, u = x[early], timers.tick * x[early] / timers.spread
    refuses = np.clip(1.0 - x - timers.hop / timers.tick, 0.0, 1.0) / (1.0 - u)
    grants = np.clip(1.0 - refuses - timers.hop / timers.spread / (1.0 - u), 0.0, 1.0)
    stood = (first.won + first.split)[early]
    won, split = first.won.copy(), first.split.copy()
    won[early], split[early] = stood * special.betainc(needed, others - needed + 1, grants), 0.0
    second: NDArray[np.complex128] = lattice.forth(np.zeros(lattice.cells))
    restarts = []
    for granted in range(needed):
        mass = np.zeros(lattice.cells)
        mass[early] = stood * special.comb(others, granted) * grants**granted * (1 - grants) ** (others - granted)
        left = others if timers.pre_vote else others - granted
        if left <= needed and not timers.pre_vote:
            restarts.append((mass, _anew(lattice, timers, granted, left)))
            continue
        wanted = timers.conflicts if timers.pre_vote else left - needed
        then = race(lattice, timers.hop, wanted, [(_least(timers, 1), left)]).won
        if not timers.pre_vote:  # the second may stand in the same tick, and be refused by those who come after it
            soon = lattice.nodes[1:] <= timers.tick
            then[soon] *= 1.0 - needed / left
        second = second + lattice.forth(mass) * lattice.forth(then)
        lost = mass * (1.0 - float(then.sum()))
        restarts.append((lost, _anew(lattice, timers, granted + 1, left - 1)))
    return _Refused(Round(won, split), restarts, second)


def _least(timers: Timers, count: int) -> Law:
    """What is left of the least of so many timeouts, where the first of all fired at its least number of ticks."""
    return lambda t: np.clip(1.0 - t / timers.spread, 0.0, 1.0) ** count


def _anew(lattice: Lattice, timers: Timers, granted: int, refused: int) -> Round:
    """The round after a first candidate who was refused: its own timer, its voters', and those of the others, who stood
    or voted when the first of them fired.
    """
    own, voter = (uniform(timers.begin + late, timers.spread) for late in (timers.tick / 2.0, timers.hop))
    fired = lattice.forth(lattice.masses(_least(timers, refused)))

    def after(law: Law) -> Law:
        summed = np.concatenate([[0.0], np.cumsum(lattice.back(fired * lattice.forth(lattice.masses(law))))])
        return lambda t: 1.0 - np.interp(t, lattice.nodes, summed)

    kinds = [(own, 1), (voter, granted), (after(own), 1), (after(voter), refused - 1)]
    return race(lattice, timers.hop, timers.conflicts, [(law, count) for law, count in kinds if count])


def _decay(timers: Timers, lattice: Lattice, later: Round) -> float:
    """The rate r of the tail: the split terms' transform E[e^(r T); split] is 1 there."""
    masses = later.split[later.split > 0]
    if not masses.size or masses.sum() < 1e-12:
        return 100.0 / timers.spread  # next to nothing lies beyond the longest timeout
    t = lattice.nodes[1:][later.split > 0] - lattice.step / 2.0
    low, high = 0.0, float((-np.log(masses) / t).min())  # at which one of them alone reaches 1
    for _ in range(60):
        rate = (low + high) / 2.0
        low, high = (rate, high) if float(masses @ np.exp(rate * t)) < 1.0 else (low, rate)
    return low
