"""Rare events of any simulated system by fixed-effort multilevel splitting."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.far_tails.excursions import Excursions, Importance, Renew, Score, Visits
from scaling_models.montecarlo.far_tails.tails import Behind, RareTail
from scaling_models.montecarlo.streams import Streams, stream
from scaling_models.montecarlo.systems import System

REPLICATIONS, EFFORT = 40, 512
CUSTOMERS = 400  # a lane of plain simulation
UP = 0.2  # share of the excursions that should reach the next level
MARGIN = 10.0  # the levels go on to a tail so many times smaller than asked for, so that intervals have an end
MOST_LEVELS = 100
PILOT, MAIN = 2, 3


@dataclasses.dataclass(frozen=True, eq=False)
class SplitTail(RareTail):
    """P(score > t) as weighted visits, ascending in their score, of independent replications."""

    visits: Visits
    replications: int
    reach: float

    def contributions(self, t: float) -> Array:
        """One value a replication: the weights of its visits over t."""
        over = slice(int(np.searchsorted(self.visits.scores, t, side="right")), None)
        weights = self.visits.weights[over]
        return np.bincount(self.visits.owner[over], weights, self.replications).astype(float)

    def expected(self, function: Callable[[Array], Array]) -> Array:
        """The mean of a function of the score by replication; what is not over zero counts as zero."""
        values = self.visits.weights * function(self.visits.scores)
        total = np.bincount(self.visits.owner, weights=values, minlength=self.replications)
        return np.asarray(total + function(np.zeros(1))[0] * (1.0 - self.contributions(0.0)))

    def before(self, service: Distribution) -> Behind:
        """The tail of the score plus an independent time: of a FIFO latency, where the score is the wait."""
        return Behind(self.reach + float(service.iccdf(1e-12)), self.expected, service)


def split(
    system: System,
    importance: Importance,
    score: Score,
    warm_up: int,
    seed: int,
    smallest: float = 1e-9,
    *,
    renew: Renew | None = None,
    replications: int = REPLICATIONS,
    effort: int = EFFORT,
    customers: int = CUSTOMERS,
) -> SplitTail:
    """P(score > t) over the customers of a system in its steady state, down to about `smallest`.

    After each customer `importance(state)` tells how near each lane is to the event, any number that rises on the way
    to it, and `score(outcomes)` its score (s), say its wait. With levels l_0 < l_1 < ... and A = {importance <= l_0},
    P(score > t) is the sum over bands l_k < importance <= l_{k+1} (and A) of the rate of customers with score > t.
    In a band it is, by the ergodic theorem, the rate f of up-crossings of l_0 (a customer) times the mean number of
    such customers before the return to A. Each replication

    * runs `effort` / 8 lanes from empty over `warm_up` customers (measured by whoever calls: nothing here checks it),
      and on over `customers` more: that gives plain shares within A, the rate f, and the states at up-crossing;
    * and stage by stage starts `effort` excursions from the states in which those of the stage before first crossed
      l_k, sampled systematically (each as often as any other on average), runs them until they return to A, counts
      the scores in their band, and keeps the states in which they first cross l_{k+1}, as a share p_k of them does.

    A visit in band k weighs f p_0 ... p_{k-1} / effort. Unbiased: given the stage before, the mean of a stage is
    linear in the states handed on, so that the product has the right mean (Garvels 2000; Cérou, Del Moral, Furon
    and Guyader 2012). Replications share nothing but the levels, which an independent pilot places where
    a share `UP` of the excursions passes; they go on to a tail of `smallest` / 10.

    It is as good as the importance. Where one long service leaps over levels, its copies leap with it: `renew(state,
    level, rng)` may draw what led to the last crossing anew, given the state before and that the importance came over
    the level, and answers the new state (the score must not depend on what is drawn). Without it splitting gains
    nothing under heavy tails. Raises ValueError where the pilot does not come down to `smallest`.
    """
    if replications < 2 or effort < 2 or customers < 1:
        raise ValueError(
            "split: replications and effort must lie in [2, inf) and customers in [1, inf); "
            f"got {replications!r}, {effort!r} and {customers!r}"
        )
    pilot = Excursions(system, importance, score, renew, 1, 4 * effort, streams(seed, PILOT))
    levels, reach = _placed(pilot, warm_up, customers, smallest)
    run = Excursions(system, importance, score, renew, replications, effort, streams(seed, MAIN))
    parts = [run.plain(warm_up, customers, levels[0])]
    for level, following in itertools.pairwise([*levels, math.inf]):
        parts.append(run.stage(levels[0], level, following))
    return SplitTail(_together(parts), replications, reach)


def _together(parts: Sequence[Visits]) -> Visits:
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(scores)
    owner = np.concatenate([part.owner for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    return Visits(scores[order], owner[order], weights[order])


def streams(seed: int, *key: int) -> Streams:
    """One generator a purpose, which goes on from call to call."""
    return functools.cache(lambda purpose: stream(seed, *key, purpose))


def _placed(run: Excursions, warm_up: int, customers: int, smallest: float) -> tuple[list[float], float]:
    """Levels, each over the one before, where a share UP of the excursions passes; and the score that is reached."""
    run.plain(warm_up, customers, math.inf)
    levels = [next_level(run.highest, -math.inf)]
    parts = [run.plain(0, customers, levels[0], again=True)]
    while run.entrances and len(levels) < MOST_LEVELS:
        handed_on = run.entrances, run.flux
        beyond = run.stage(levels[0], levels[-1], math.inf)
        if float(beyond.weights.sum()) < smallest / MARGIN:
            found = _together([*parts, beyond])
            tail = np.cumsum(found.weights[::-1])
            reached = int(np.searchsorted(tail, smallest / MARGIN))
            return levels, float(found.scores[::-1][min(reached, len(tail) - 1)]) if len(tail) else 0.0
        levels.append(next_level(run.highest, levels[-1]))
        run.entrances, run.flux = handed_on
        parts.append(run.stage(levels[0], levels[-2], levels[-1]))
    raise ValueError(
        f"{len(levels)} levels do not lead down to {smallest:.3g}: the importance does not rise on the way to the "
        "event, or the tail is too heavy for splitting"
    )


def next_level(highest: Array, level: float) -> float:
    """Where a share UP is above; but between the values, where too few are because many are the same."""
    found = float(np.quantile(highest, 1.0 - UP))
    if (highest > found).mean() > UP / 4.0:
        return found
    below = float(highest.max(initial=-math.inf, where=highest < found))
    return max(below, level) / 2.0 + found / 2.0 if math.isfinite(max(below, level)) else found
