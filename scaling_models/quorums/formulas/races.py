"""One term of an election as a race of timers, on a lattice of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scaling_models.latency.counting import at_least

Array = NDArray[np.float64]
Law = Callable[[Array], Array]  # a ccdf on times that may be negative
DAMPING = 6.0  # the end of the lattice is weighed by e^-6, so that less of what lies beyond comes round


class Round(NamedTuple):
    """Probability masses by cell: the first candidate of a term wins, or it does not."""

    won: Array
    split: Array


class Lattice(NamedTuple):
    """Cells of time, `step` seconds each from 0 on."""

    step: float
    cells: int

    @property
    def nodes(self) -> Array:
        """The ends of the cells."""
        return np.asarray(self.step * np.arange(self.cells + 1))

    @property
    def weights(self) -> Array:
        """The damping of the transforms."""
        return np.asarray(np.exp(-DAMPING * np.arange(self.cells) / self.cells))

    def forth(self, masses: Array) -> NDArray[np.complex128]:
        """The transform of masses by cell."""
        return np.asarray(fft.rfft(masses * self.weights))

    def back(self, transformed: NDArray[np.complex128]) -> Array:
        """The masses of a transform."""
        return np.asarray(fft.irfft(transformed, self.cells) / self.weights)

    def masses(self, law: Law) -> Array:
        """What a law puts into each cell."""
        return np.asarray(-np.diff(law(self.nodes)))


def uniform(low: float, spread: float) -> Law:
    """U(low, low + spread)."""
    return lambda t: np.clip((low + spread - t) / spread, 0.0, 1.0)


def late_by_up_to(law: Law, low: float, spread: float, late: float) -> Law:
    """U(low, low + spread) + U(0, late): the mean of the first's ccdf over the last `late` seconds."""

    def summed(t: Array) -> Array:
        inside = np.clip(t - low, 0.0, spread)
        return np.asarray(np.minimum(t, low) + inside - inside**2 / (2.0 * spread))

    return law if late <= 0 else lambda t: (summed(t) - summed(t - late)) / late


def race(lattice: Lattice, hop: float, wanted: int, kinds: Sequence[tuple[Law, int]]) -> Round:
    """A term whose timers fire by the given laws (law, members): the first in each cell, won or split.

    Split where at least `wanted` others fire before its request, a hop later, reaches them.
    """
    t = lattice.nodes
    begin = max(int(np.searchsorted(-np.prod([law(t) ** c for law, c in kinds], axis=0), -1.0, side="right")) - 1, 0)
    stop = int(np.searchsorted(-np.prod([law(t) ** c for law, c in kinds], axis=0), 0.0)) + 1
    t = t[begin:stop]
    middle = (t[1:] + t[:-1]) / 2.0
    left = [law(middle) for law, _ in kinds]
    meets = [1.0 - law(middle + hop) / np.maximum(at, 1e-300) for (law, _), at in zip(kinds, left, strict=True)]
    firsts, splits = [], []
    for i, (law, count) in enumerate(kinds):
        others = [c - (i == j) for j, (_, c) in enumerate(kinds)]
        firsts.append(-count * np.diff(law(t)) * np.prod([at**c for at, c in zip(left, others, strict=True)], axis=0))
        there = [(p, c) for p, c in zip(meets, others, strict=True) if c]
        chance = at_least(wanted, *zip(*there, strict=True)) if there else 0.0
        splits.append(chance)
    total = np.sum(firsts, axis=0)
    exact = -np.diff(np.prod([law(t) ** c for law, c in kinds], axis=0))
    share = np.divide(exact, total, out=np.zeros_like(total), where=total > 0)
    split = np.sum([mass * chance for mass, chance in zip(firsts, splits, strict=True)], axis=0) * share
    won, lost = np.zeros((2, lattice.cells))
    won[begin : begin + len(total)], lost[begin : begin + len(total)] = exact - split, split
    return Round(won, lost)
