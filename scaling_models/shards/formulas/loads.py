"""The law of the loads of shards that keys are dealt to at random, given that all loads sum to the whole.

The few hottest keys are dealt in all ways. Of the others each shard has a compound Poisson load, independent of other
shards but for their sum: X = sum_k p_k n_k, n_k ~ Poisson(s), of characteristic function E_s[e^{s psi(w)}] with
psi(w) = sum_k (e^{-i w p_k} - 1) and s the shard's share of the key space. Given the sum that is exact for equal keys
(Poisson counts become multinomial) and for infinitely many (gamma shares become Dirichlet's), and nearly so between.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.placements.shares import Nodes

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
SMOOTH = 2.0  # lattice steps: what of a jump is then left at the highest frequency is 3e-9, so nothing rings
SMALL, ORDERS = 1.0, 12  # a key whose wave turns by less, by so many powers: to 1e-10
TAIL, BEYOND = 30.0, 14.0  # the lattice ends where Chernoff's bound is e^-30, or so much beyond the whole
FARTHEST = 16.0  # wholes
BLOCK = 128  # frequencies at once
RUN = 32  # steps of the lattice
NOTHING = 1e-13  # of a characteristic function
SLIGHT = 1e-6  # of the sum's characteristic function
SUM_WIDTH = 14.0  # standard deviations of the sum between its copies
FEW_WAVES, MOST_WAVES = 32, 128
LARGEST_POWER = 300.0  # e^that is still a number


class Loads:
    """What all keys but the hottest put on one shard of each kind: mass on a lattice, and what it adds to the sum.

    `shares` and `numbers` are the keys' shares and how many have each; they may be told as deviations from a mean.
    `hot` is how many keys are dealt beside them.
    """

    def __init__(self, kinds: Sequence[Nodes], shares: Array, numbers: Array, hot: int, points: int) -> None:
        present = (shares != 0.0) & (numbers > 0.0)
        self.kinds, self.p, self.numbers, self.hot = tuple(kinds), shares[present], numbers[present], hot
        self.shards = sum(kind.number for kind in kinds)
        self.total = float(self.p @ self.numbers)
        self.squares = float(self.numbers @ self.p**2)
        low, high = self._range()
        self.points, self.step = points, (high - low) / points
        self.edges = low + self.step * np.arange(points + 1)
        self._summed: dict[tuple[int, int], tuple[Array, Complex]] = {}

    def psi(self, w: Array) -> Complex:
        """sum_k (e^{-i w p_k} - 1): of small keys, and they are most, by a power series."""
        high = float(w[-1])
        small = np.abs(self.p) * high < SMALL
        angle, numbers = np.outer(w, self.p[~small]), self.numbers[~small]
        # Not by @: BLAS would wake its threads, which costs more than it saves.
        real, imaginary = (np.einsum("wk,k->w", part, numbers) for part in (np.cos(angle) - 1.0, np.sin(angle)))
        found = real - 1j * imaginary
        turn, part = self.p[small] * high, (-1j / high if high else 0.0) * w
        series = np.zeros(len(w), dtype=complex)
        for order in range(ORDERS, 0, -1):
            series = (series + float(self.numbers[small] @ turn**order) / math.factorial(order)) * part
        return np.asarray(found + series)

    def _variance(self, kind: Nodes) -> float:
        return kind.share.mean * self.squares + kind.share.scv * (kind.share.mean * self.total) ** 2

    def _range(self) -> tuple[float, float]:
        """Where a shard's load lies but for e^-TAIL, or e^-BEYOND of what is over the whole, which no shard can have:
        it would be told as if it lay a whole range lower."""
        low, high = self._but_for(TAIL)
        if (self.p >= 0.0).all():
            low = max(low, 0.0)
            high = high if high <= self.total else max(self.total, self._but_for(BEYOND)[1])
        most = float(np.abs(self.p) @ self.numbers)
        margin = 0.01 * (high - low) + 1e-9 * abs(self.total) + 1e-15 * (most or 1.0)  # room for the smoothing
        return low - margin, high + margin

    def _but_for(self, tail: float) -> tuple[float, float]:
        """inf over t of (log E e^{tX} + tail)/t, on either side."""
        spread = math.sqrt(max(map(self._variance, self.kinds))) or 1.0
        t = np.geomspace(0.01, 100.0, 60) / spread
        t = t[t * np.abs(self.p).max(initial=0.0) < LARGEST_POWER]
        ends = [self._ends(kind, keys, t, tail) for kind in self.kinds for keys in (0, self.hot)]
        return min(end[0] for end in ends), max(end[1] for end in ends)

    def _ends(self, kind: Nodes, keys: int, t: Array, tail: float) -> tuple[float, float]:
        law, most = kind.share, float(np.abs(self.p) @ self.numbers)
        found = []
        for sign in (-1.0, 1.0):
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                growth = np.einsum("tk,k->t", np.expm1(np.outer(sign * t, self.p)), self.numbers)
                bound = (law.transform(growth, keys) - law.transform(0.0, keys) + tail) / t
            found.append(float(bound[np.isfinite(bound)].min(initial=FARTHEST * most)))
        return -found[0], found[1]

    @functools.cached_property
    def _frequencies(self) -> tuple[Array, Complex]:
        """Of the lattice, with psi, as far as anything is left."""
        w = np.arange(self.points // 2 + 1, dtype=float) * (2.0 * np.pi / (self.step * self.points))
        found: list[Complex] = []
        for start in range(0, len(w), BLOCK):
            part = w[start : start + BLOCK]
            found.append(self.psi(part))
            left = max(kind.share.transform(found[-1][-8:], 0).real.max() for kind in self.kinds)
            if left - 0.5 * (SMOOTH * self.step * part[-1]) ** 2 < math.log(NOTHING):
                break
        psi = np.concatenate(found)
        return w[: len(psi)], psi

    def mass(self, kind: int, keys: int) -> Array:
        """E[s^keys; the load within each step of the lattice], of a shard of one kind; smoothed."""
        w, psi = self._frequencies
        shape = 1j * w * (self.edges[0] + 0.5 * self.step) - 0.5 * (SMOOTH * self.step * w) ** 2
        return np.maximum(np.fft.irfft(np.exp(self.kinds[kind].share.transform(psi, keys) + shape), self.points), 0.0)

    @functools.cached_property
    def waves(self) -> Array:
        """Frequencies that tell the density of the sum of all loads, at the whole."""
        if not self.p.size:
            return np.zeros(1)
        smooth = (SMOOTH * self.step) ** 2
        spread = math.sqrt(sum(kind.number * (self._variance(kind) + smooth) for kind in self.kinds))
        for most in (FEW_WAVES, MOST_WAVES):
            u = np.arange(most, dtype=float) * (2.0 * np.pi / (SUM_WIDTH * spread))
            psi = self.psi(u)
            left = sum(kind.number * (kind.share.transform(psi, 0).real - 0.5 * smooth * u**2) for kind in self.kinds)
            beyond = np.flatnonzero(np.asarray(left) < math.log(SLIGHT))
            if beyond.size:
                return u[: beyond[0] + 1]
        return u

    @property
    def weights(self) -> Array:
        """Of the waves in the density."""
        return np.where(self.waves == 0.0, 1.0, 2.0)

    def _runs(self, kind: int, keys: int) -> tuple[Array, Complex]:
        """`mass` by runs of steps (rows), and E[s^keys e^{-iu(X - mean)}; X below each run], a column for every wave u.

        No table of every step: that would take ten times as long to fill as is read of it.
        """
        if (kind, keys) not in self._summed:
            first, run = self.turns
            mass = self.mass(kind, keys).reshape(-1, RUN)
            below = np.zeros((len(mass), len(self.waves)), dtype=complex)
            np.cumsum((first * _by_reals(mass, run))[:-1], axis=0, out=below[1:])
            self._summed[kind, keys] = mass, below
        return self._summed[kind, keys]

    @functools.cached_property
    def turns(self) -> tuple[Complex, Complex]:
        """e^{-iu(x - mean)} for every wave u (columns) in the middle x of the first of each run of steps of the
        lattice; and by what it turns from there to each step of the run."""
        first = self.edges[:-1:RUN] + 0.5 * self.step - self.total / self.shards
        steps = self.step * np.arange(RUN)
        return np.exp(-1j * np.outer(first, self.waves)), np.exp(-1j * np.outer(steps, self.waves))

    def whole(self, kind: int, keys: int) -> Complex:
        """log E[s^keys e^{-iu(X - mean)}] at every wave u, smoothed as the lattice is."""
        shape = 1j * self.waves * (self.total / self.shards) - 0.5 * (SMOOTH * self.step * self.waves) ** 2
        return np.asarray(self.kinds[kind].share.transform(self.psi(self.waves), keys) + shape)

    def up_to(self, x: Array, kind: int, keys: int) -> Complex:
        """E[s^keys e^{-iu(X - mean)}; X up to x] for each x (rows) and every wave u; within a step in proportion."""
        mass, below = self._runs(kind, keys)
        first, run = self.turns
        place = np.clip((x - self.edges[0]) / self.step, 0.0, self.points)
        at = np.minimum(place.astype(int) // RUN, len(mass) - 1)
        part = np.clip((place - RUN * at)[:, None] - np.arange(RUN), 0.0, 1.0)
        return np.asarray(below[at] + first[at] * _by_reals(mass[at] * part, run))


def _by_reals(rows: Array, columns: Complex) -> Complex:
    """rows @ columns, by real numbers: half the work."""
    return np.asarray((rows @ columns.view(float)).view(complex))
