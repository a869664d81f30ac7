"""Excursions of a simulated system over levels of importance: the engine of multilevel splitting."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes, System

Importance = Callable[[Any], Array]  # of a state, by lane
Score = Callable[[Outcomes], Array]  # (s) of the last customer, by lane
Renew = Callable[[Any, float, np.random.Generator], Any]

COMPACT = 0.75  # lanes are gathered when fewer than this share of them is on its way
WARMING = 64  # customers advanced together
PLAIN = 8  # one lane of plain simulation for so many excursions a stage
SAMPLING, RENEWING = 1000, 1001  # purposes of streams that no system has


@dataclasses.dataclass(frozen=True, eq=False)
class Visits:
    """Positive scores (s), each of a replication `owner` and with a weight, whose sum is a probability."""

    scores: Array
    owner: Indices
    weights: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """Lanes on their way: their state, replication, importance and score."""

    state: Any
    owner: Indices
    importance: Array
    score: Array

    def at(self, system: System, lanes: Indices) -> Lanes:
        """The named ones."""
        return Lanes(system.pick(self.state, lanes), self.owner[lanes], self.importance[lanes], self.score[lanes])


class Excursions:
    """Replications that go through the stages together; `entrances` and `flux` are handed from stage to stage."""

    def __init__(
        self,
        system: System,
        importance: Importance,
        score: Score,
        renew: Renew | None,
        replications: int,
        effort: int,
        rngs: Streams,
    ) -> None:
        self.system, self.importance, self.score, self.renew, self.rngs = system, importance, score, renew, rngs
        self.replications, self.effort = replications, effort
        self.entrances: list[Lanes] = []
        self.flux = np.zeros(replications)  # crossings of the level that `entrances` crossed, a customer
        self.highest = np.zeros(0)
        self._last: Any = None

    def _step(self, state: Any, owner: Indices) -> Lanes:
        outcomes, state = self.system.advance(state, self.rngs, 1)
        return Lanes(state, owner, self.importance(state), self.score(outcomes))

    def plain(self, warm_up: int, customers: int, level: float, again: bool = False) -> Visits:
        """Plain simulation, the scores counted where the importance is not over the level.

        `again` goes on where the last one ended. `highest` becomes the importances seen.
        """
        lanes_each = max(1, self.effort // PLAIN)
        owner = np.repeat(np.arange(self.replications), lanes_each)
        state = self._last if again else self.system.start(np.zeros(len(owner)), self.rngs)
        for _ in range(-(-warm_up // WARMING)):
            _, state = self.system.advance(state, self.rngs, WARMING)
        lanes = self._step(state, owner)
        self.entrances, seen, visits = [], [], []
        for _ in range(customers):
            below = lanes.importance <= level
            lanes = self._step(lanes.state, owner)
            self._enter(lanes, below & (lanes.importance > level))
            visits.append(_positive(lanes, lanes.importance <= level))
            seen.append(lanes.importance)
        self._last, self.highest = lanes.state, np.concatenate(seen)
        self.flux = self._entered() / (customers * lanes_each)
        return _visits(visits, np.full(self.replications, 1.0 / (customers * lanes_each)))

    def stage(self, base: float, level: float, following: float) -> Visits:
        """Excursions from the entrances over `level` to the return to `base`; entrances over `following` are kept.

        Scores are counted where the importance is between the two levels.
        """
        weights, visits = self.flux / self.effort, [(np.zeros(0), np.zeros(0, dtype=np.intp))]
        lanes = self._sampled(level)
        self.entrances, self.highest = [], np.zeros(0 if lanes is None else len(lanes.owner))
        if lanes is not None:
            index, inside = np.arange(len(lanes.owner)), np.ones(len(lanes.owner), dtype=bool)
            passed = np.zeros(len(lanes.owner), dtype=bool)
            self.highest[:] = -math.inf
        while lanes is not None and inside.any():
            band = (lanes.importance > level) & (lanes.importance <= following)
            visits.append(_positive(lanes, inside & band))
            new = inside & ~passed & (lanes.importance > following)
            self._enter(lanes, new)
            passed |= new
            reached = np.where(inside, lanes.importance, -math.inf)
            self.highest[index] = np.maximum(self.highest[index], reached)
            if inside.mean() < COMPACT:
                kept = np.flatnonzero(inside)
                lanes, index, inside, passed = lanes.at(self.system, kept), index[kept], inside[kept], passed[kept]
            lanes = self._step(lanes.state, lanes.owner)
            inside &= lanes.importance > base
        self.flux = self.flux * self._entered() / self.effort
        return _visits(visits, weights)

    def _enter(self, lanes: Lanes, new: Flags) -> None:
        if new.any():
            self.entrances.append(lanes.at(self.system, np.flatnonzero(new)))

    def _entered(self) -> Array:
        owners = [each.owner for each in self.entrances]
        found = np.concatenate(owners) if owners else np.zeros(0, dtype=np.intp)
        return np.bincount(found, minlength=self.replications).astype(float)

    def _sampled(self, level: float) -> Lanes | None:
        """`effort` entrances of every replication that has any, each of them equally often on average."""
        if not self.entrances:
            return None
        each = self.entrances
        state = merged_states(self.system, [lanes.state for lanes in each])
        owner, importance, score = (
            np.concatenate([getattr(lanes, name) for lanes in each]) for name in ("owner", "importance", "score")
        )
        order = np.argsort(owner, kind="stable")
        found = np.bincount(owner, minlength=self.replications)
        first = np.cumsum(found) - found
        u = self.rngs(SAMPLING).random((self.replications, 1))
        ranks = np.floor((np.arange(self.effort) + u) / self.effort * found[:, None]).astype(np.intp)
        chosen = order[(first[:, None] + np.minimum(ranks, found[:, None] - 1))[found > 0].ravel()]
        lanes = Lanes(state, owner, importance, score).at(self.system, chosen)
        if self.renew is None:
            return lanes
        state = self.renew(lanes.state, level, self.rngs(RENEWING))
        return dataclasses.replace(lanes, state=state, importance=self.importance(state))


def _positive(lanes: Lanes, counted: Flags) -> tuple[Array, Indices]:
    over = np.flatnonzero(counted & (lanes.score > 0.0))
    return lanes.score[over], lanes.owner[over]


def _visits(parts: list[tuple[Array, Indices]], weights: Array) -> Visits:
    scores, owners = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Visits(scores, owners, weights[owners])


def merged_states(system: System, states: list[Any]) -> Any:
    """Several states as one: the axis of lanes is the one that grows when a lane is picked twice."""
    once, twice = (system.pick(states[0], np.zeros(n, dtype=np.intp)) for n in (1, 2))
    return _joined(states, once, twice)


def _joined(states: list[Any], once: Any, twice: Any) -> Any:
    if isinstance(once, tuple):
        columns = zip(zip(*states, strict=True), once, twice, strict=True)
        parts = [_joined(list(column), a, b) for column, a, b in columns]
        return type(once)(*parts) if hasattr(once, "_fields") else tuple(parts)
    grows = [axis for axis in range(np.ndim(once)) if once.shape[axis] != twice.shape[axis]]
    return np.concatenate(states, axis=grows[0]) if grows else states[0]
