"""Latencies counted in logarithmic bins: any number of samples in bounded memory, percentiles to 0.1%."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.controls import Controls
from scaling_models.montecarlo.estimates import Sampled, checked_levels

MANTISSA = 10  # bits of the mantissa that name a bin: 1,024 bins an octave, each at most 1/1024 wide
SHIFT = 52 - MANTISSA  # of a double, which has 52 bits of mantissa
RESOLUTION = 2.0**-MANTISSA  # a bin, relative: samples that are all alike may lie at either end of theirs
OCTAVES = 40  # on either side of one second: from 1e-12 s to 1e12 s
FIRST = (1023 - OCTAVES) << MANTISSA
BINS = (2 * OCTAVES << MANTISSA) + 2  # below them all (zero), and above them all
NONE = -1  # the bin of no sample
HELD = 2**21  # samples counted together: fewer, and the table of a batch's bins would cost more than they do


def codes(times: Array, out: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The bin of each time (s): 0 for less than 2^-40 s, the last for 2^40 s and more.

    A double read as a whole number grows with it, by one step a bin once the low bits are dropped.
    """
    found = np.right_shift(times.view(np.int64), SHIFT, out=out)
    found -= FIRST - 1
    return np.clip(found, 0, BINS - 1, out=found)


@functools.cache
def edges() -> Array:
    """The lower edge of each bin (s), and the upper one of the last."""
    whole = np.arange(BINS - 1, dtype=np.int64) + FIRST
    inner = (whole << SHIFT).view(np.float64)
    return np.concatenate([[0.0], inner, [math.inf]])


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """How many samples of each batch fell in each bin, and their sums: what adds up over any number of blocks."""

    bins: NDArray[np.int64]  # (batches, width)
    first: int  # the bin of the first column
    sums: Array  # (batches,) s
    squares: Array  # (batches,) s^2

    @classmethod
    def of(cls, times: Array, batch: Indices, batches: int) -> Counts:
        """Of samples (rows, lanes), a lane belonging to the batch named; NaN is no sample."""
        counting = Counting(batch, batches)
        counting.add(times)
        return counting.told()

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        first = min(self.first, other.first)
        last = max(each.first + each.bins.shape[1] for each in (self, other))
        bins = np.zeros((len(self.bins), last - first), dtype=np.int64)
        for each in (self, other):
            bins[:, each.first - first : each.first - first + each.bins.shape[1]] += each.bins
        return Counts(bins, first, self.sums + other.sums, self.squares + other.squares)


class Counting:
    """Samples counted block after block: their bins are found while they are in the caches, and counted together."""

    def __init__(self, batch: Indices, batches: int) -> None:
        self.batch, self.batches = batch, batches
        self.held = np.empty((max(1, HELD // len(batch)), len(batch)), dtype=np.int64)
        self.rows, self.holes = 0, False
        self.sums, self.squares = np.zeros(len(batch)), np.zeros(len(batch))
        self.bins, self.first = np.zeros((batches, 0), dtype=np.int64), 0

    def add(self, times: Array) -> None:
        """Samples (rows, lanes); NaN is none."""
        for at in range(0, len(times), len(self.held)):
            self._hold(times[at : at + len(self.held)])

    def _hold(self, times: Array) -> None:
        if self.rows + len(times) > len(self.held):
            self._count()
        held = codes(times, out=self.held[self.rows : self.rows + len(times)])
        self.rows += len(times)
        sums = times.sum(axis=0)
        if not np.isfinite(sums).all():
            missing = ~np.isfinite(times)
            held[missing] = NONE
            times = np.where(missing, 0.0, times)
            sums, self.holes = times.sum(axis=0), True
        self.sums += sums
        self.squares += np.einsum("ij,ij->j", times, times)

    def _count(self) -> None:
        """What is held goes to the table."""
        held, batch = self.held[: self.rows], self.batch
        if self.holes:
            there = held != NONE
            held, batch = held[there], np.broadcast_to(batch, held.shape)[there]
        self.rows, self.holes = 0, False
        if not held.size:
            return
        first, last = int(held.min()), int(held.max())
        width = last - first + 1
        held += batch * width - first
        found = np.bincount(held.reshape(-1), minlength=self.batches * width).reshape(self.batches, width)
        self._reach(first, last + 1)
        self.bins[:, first - self.first : last + 1 - self.first] += found

    def _reach(self, first: int, end: int) -> None:
        """Widen the table where it lacks these bins."""
        width = self.bins.shape[1]
        if width and self.first <= first and end <= self.first + width:
            return
        low, high = (min(first, self.first), max(end, self.first + width)) if width else (first, end)
        wider = np.zeros((self.batches, high - low), dtype=np.int64)
        wider[:, self.first - low : self.first - low + width] = self.bins if width else 0
        self.bins, self.first = wider, low

    def told(self) -> Counts:
        """What was counted so far."""
        self._count()
        self._reach(self.first, self.first + 1)  # a bin at least, where there was no sample
        each = (np.bincount(self.batch, weights=one, minlength=self.batches) for one in (self.sums, self.squares))
        sums, squares = (one.astype(float) for one in each)
        return Counts(self.bins, self.first, sums, squares)


class BinnedLatency(Sampled):
    """A latency as simulated, counted in bins: any number of samples, quantiles to 0.1%, means and zeros exact."""

    resolution = RESOLUTION

    def __init__(self, counts: Counts, controls: Controls | None = None) -> None:
        self.counts = counts
        self.controls = Controls.none(len(counts.bins)) if controls is None else controls

    @functools.cached_property
    def _total(self) -> Array:
        """Of all batches, with the weight that the controls give them; never less than none."""
        summed = self.controls.weights @ self.counts.bins
        return np.asarray(np.maximum(summed, 0.0) * (self.size / float(self.controls.weights @ self.sizes)))

    @functools.cached_property
    def _edges(self) -> Array:
        first = self.counts.first
        return edges()[first : first + self.counts.bins.shape[1] + 1]

    @functools.cached_property
    def sizes(self) -> Array:
        """How many samples each batch has."""
        return np.asarray(self.counts.bins.sum(axis=1), dtype=float)

    @functools.cached_property
    def means(self) -> Array:
        """The mean of each batch (s); zero of an empty one."""
        return np.asarray(self.counts.sums / np.maximum(self.sizes, 1.0))

    def variance(self) -> float:
        """The samples' variance (s^2)."""
        weights = self.controls.weights
        return max(float(weights @ self.counts.squares) / float(weights @ self.sizes) - self.mean() ** 2, 0.0)

    def _within(self, t: ArrayLike) -> tuple[Indices, Array]:
        """The column of the bin of t, and which part of it lies below: all of a bin of zeros."""
        times = np.asarray(t, dtype=float)
        at = np.clip(np.searchsorted(self._edges, times, side="right") - 1, 0, len(self._total) - 1)
        low, high = self._edges[at], self._edges[at + 1]
        with np.errstate(invalid="ignore"):
            part = np.clip((times - low) / (high - low), 0.0, 1.0)
        zeros = (low == 0.0) & (times >= 0.0)
        return at, np.where(zeros, 1.0, np.where(np.isnan(part), 1.0, part))

    @functools.cached_property
    def _summed(self) -> NDArray[np.int64]:
        """How many samples of each batch lie below each bin: kept, for a figure asks for dozens of times."""
        summed = np.zeros((len(self.counts.bins), self.counts.bins.shape[1] + 1), dtype=np.int64)
        np.cumsum(self.counts.bins, axis=1, out=summed[:, 1:])
        return summed

    def _below(self, table: NDArray[Any], summed: NDArray[Any], t: ArrayLike) -> Array:
        """How many samples of each row of the table lie up to t, evenly spread within a bin."""
        at, part = self._within(t)
        return np.asarray(summed[..., at] + part * table[..., at])

    def beyond(self, t: float) -> Array:
        """How many samples of each batch lie above t."""
        return np.asarray(self.sizes - self._below(self.counts.bins, self._summed, t))

    def cdf(self, t: ArrayLike) -> Any:
        """The share of samples up to t."""
        return self._below(self._total, np.concatenate([[0.0], np.cumsum(self._total)]), t) / self.size

    def icdf(self, q: ArrayLike) -> Any:
        """The quantile, for q in [0, 1]."""
        wanted = np.maximum(checked_levels(q) * self.size - 1e-9, 0.5)
        summed = np.cumsum(self._total)
        at = np.minimum(np.searchsorted(summed, wanted, side="left"), len(summed) - 1)
        low, high = self._edges[at], self._edges[at + 1]
        part = (wanted - (summed[at] - self._total[at])) / np.where(self._total[at] > 0, self._total[at], 1.0)
        with np.errstate(invalid="ignore"):
            inside = low + part * (high - low)
        return np.where(low == 0.0, 0.0, np.where(np.isinf(high), low, inside))

    def interval(self, q: float, confidence: float = 0.95) -> tuple[float, float]:
        """An interval of the quantile; of at least a bin, for an atom may lie anywhere in its own."""
        low, high = super().interval(q, confidence)
        if not 0.0 < low <= high <= (1.0 + RESOLUTION) * low:
            return low, high
        first = int(np.clip(np.searchsorted(self._edges, low, side="right") - 1, 0, len(self._total) - 1))
        last = int(np.clip(np.searchsorted(self._edges, high, side="left"), first + 1, len(self._total)))
        below, above = float(self._edges[first]), float(self._edges[last])
        return (below, above) if below > 0.0 and above < math.inf else (low, high)

    def off_the_atom(self) -> int:
        """How many samples are not in the bin of the least."""
        return int(self.size - self._total[np.flatnonzero(self._total)[0]])
