"""Latencies as phases: the time that a Markov chain takes until it is absorbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[np.float64]


class Phases(NamedTuple):
    """A phase-type distribution: ccdf `start` e^{`generator` t} 1.

    `start` (phases,) sums to one, or to less, the rest being an atom at zero; `generator` (phases, phases) in 1/s has
    no negative entry off its diagonal, and rows that sum to minus the rate at which a phase ends.
    """

    start: Array
    generator: Array

    @property
    def ends(self) -> Array:
        """The rate (1/s) at which the time ends in each phase."""
        return np.asarray(np.maximum(0.0, -self.generator.sum(axis=1)))

    def moment(self, order: int) -> float:
        """E[T^order], order 1 or 2: the start times (-generator)^{-order} times one, times the order."""
        times: Array = np.ones(len(self.start))
        for _ in range(order):
            times = np.asarray(linalg.solve(-self.generator, times))
        return float(order * (self.start @ times))

    def before(self, later: Phases) -> Phases:
        """This time and then another, independent one."""
        own, others = len(self.start), len(later.start)
        generator = np.zeros((own + others, own + others))
        generator[:own, :own], generator[own:, own:] = self.generator, later.generator
        generator[:own, own:] = np.outer(self.ends, later.start)
        return Phases(np.concatenate([self.start, (1.0 - self.start.sum()) * later.start]), generator)

    def times(self, factor: float) -> Phases:
        """The time multiplied by a positive number."""
        return Phases(self.start, self.generator / factor)


def in_stages(stages: int, rate: float) -> Phases:
    """Equal exponential stages (1/s) one after the other."""
    steps = np.diag(np.full(stages, -rate)) + np.diag(np.full(stages - 1, rate), 1)
    return Phases(np.eye(stages)[0], steps)


def in_branches(weights: Sequence[float], branches: Sequence[Phases]) -> Phases:
    """One of several, chosen with the given weights."""
    starts = [weight * branch.start for weight, branch in zip(weights, branches, strict=True)]
    return Phases(np.concatenate(starts), linalg.block_diag(*(branch.generator for branch in branches)))
