"""Distributions that are given by phases: their faces by uniformisation, kept in a table."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.phases import Phases
from scaling_models.latency.tables import Table

SETTLED = 1e-9  # relative: how far the decay may still change where it is taken to be constant from there on
NOTHING = 1e-18  # what is left where no more steps are needed
LEAST = math.log(NOTHING)
FIRST_SIDE = 32  # steps at first, squared
MOST_STEPS = 2**20
MOST_LATE = 40.0  # mean steps: hardly ever does one take so long
WIDE = 9.0  # standard deviations of the number of steps that are summed over
GRADE = 2.5  # between the table's first breaks: no panel may span too much of the density
AT_ONCE = 500_000  # terms held in memory together


class PhaseType(Distribution):
    """Base of the distributions that are told by `phases`: e.g. what a queue with several slots gives.

    ccdf sum_n P(Poisson(q t) = n) u_n, u_n = start P^n 1 with P = 1 + generator/q (uniformisation, Jensen 1953): no
    term is negative, so that nothing cancels in the tail. Exact to about 1e-9, the tolerance of the table.
    """

    @property
    def phases(self) -> Phases:
        """The chain."""
        raise NotImplementedError

    @functools.cached_property
    def _chain(self) -> Phases:
        return self.phases

    @functools.cached_property
    def _uniformised(self) -> Uniformised:
        return Uniformised(self._chain)

    @functools.cached_property
    def _table(self) -> Table:
        first, end = 1.0 / self._uniformised.rate, self._uniformised.end
        return Table(self._uniformised, np.append(0.0, np.geomspace(first, end, 2 + int(math.log(end / first, GRADE)))))

    @functools.cached_property
    def cuts(self) -> Array:
        """The panels of its table."""
        return np.append(self._table.low, self._table.high[-1])

    def mean(self) -> float:
        """By a linear system."""
        return self._chain.moment(1)

    def variance(self) -> float:
        """By linear systems."""
        return self._chain.moment(2) - self.mean() ** 2

    def _ccdf(self, t: Array) -> Array:
        return np.exp(np.minimum(self._table(t), 0.0))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(np.minimum(self._table(t), 0.0))

    def _pdf(self, t: Array) -> Array:
        return self._table.density(t)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))


class Uniformised:
    """The ccdf of phases on flat arrays of times; the steps come at `rate` (1/s), and little is left at `end` (s).

    Beyond the steps that are counted one by one, each leaves the same share `ratio` of what the one before it left.
    """

    def __init__(self, phases: Phases) -> None:
        self.rate = float(-phases.generator.diagonal().min())
        jumps = np.eye(len(phases.start)) + phases.generator / self.rate
        self.left, self.ratio = np.ones(1), math.nan
        rows, large = phases.start[None], jumps
        while not self._settled and len(self.left) <= MOST_STEPS:
            while True:  # as many small steps again, and large ones of twice as many: each product is made once
                rows, large = np.concatenate([rows, rows @ large]), large @ large
                if len(rows) >= FIRST_SIDE:
                    break
            self.left = _powers(rows, large)
        self.log_factorials = special.gammaln(np.arange(1.0, self.steps + 1.0))

    @property
    def steps(self) -> int:
        """How many are counted one by one."""
        return len(self.left) - 1

    @property
    def _settled(self) -> bool:
        if self.steps == 0:
            return False
        places = np.array([self.steps // 4, self.steps // 2, self.steps])
        logs = np.log(np.maximum(self.left[places], 1e-300))
        earlier, later = np.diff(logs) / np.diff(places)
        self.ratio = math.exp(later)
        return bool(self.left[-1] < NOTHING or abs(later - earlier) < SETTLED * -later)

    @functools.cached_property
    def end(self) -> float:
        """A time (s) that is exceeded with a probability of about 1e-17."""
        if self.left[-1] < NOTHING:
            steps = int((self.left > NOTHING).sum())
            return (steps + WIDE * math.sqrt(steps) + MOST_LATE) / self.rate
        return (self.steps + (math.log(self.left[-1]) - LEAST) / -math.log(self.ratio)) / self.rate

    def __call__(self, t: Array) -> Array:
        """P(T > t)."""
        expected = self.rate * t
        spread = WIDE * np.sqrt(expected) + 30.0
        low = np.maximum(0.0, np.floor(expected * self.ratio - spread)).astype(int)
        widths = np.minimum(self.steps, np.ceil(expected + spread)).astype(int) - low
        found, left = np.zeros(len(t)), np.argsort(-widths)
        while len(left) and widths[left[0]] > 0:
            width = int(widths[left[0]])
            some, left = left[: 1 + AT_ONCE // width], left[1 + AT_ONCE // width :]
            found[some] = self._sum(expected[some], low[some], width)
        return found + self._rest(expected)

    def _sum(self, expected: Array, low: Array, width: int) -> Array:
        at = low[:, None] + np.arange(width)
        inside = np.minimum(at, self.steps - 1)
        logs = special.xlogy(at, expected[:, None]) - expected[:, None] - self.log_factorials[inside]
        return np.asarray(np.where(at < self.steps, np.exp(np.minimum(logs, 0.0)) * self.left[inside], 0.0).sum(axis=1))

    def _rest(self, expected: Array) -> Array:
        """Of the steps that were not counted one by one: left_n = left_N ratio^(n - N)."""
        if self.left[-1] < NOTHING:
            return np.zeros(len(expected))
        log_chance = np.log(np.maximum(special.gammainc(self.steps, expected * self.ratio), 1e-300))
        fallen = math.log(self.left[-1]) - self.steps * math.log(self.ratio) - expected * (1.0 - self.ratio)
        return np.exp(np.minimum(fallen + log_chance, 0.0))


def _powers(rows: Array, large: Array) -> Array:
    """start jumps^n 1 for n = 0 .. side^2 from the `rows` of the first `side` steps, and as many `large` ones."""
    side = len(rows)
    columns = [np.ones(len(large))]
    for _ in range(side):
        columns.append(large @ columns[-1])
    return (rows @ np.array(columns).T).T.ravel()[: side * side + 1]
