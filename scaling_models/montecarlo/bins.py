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
SHIFT = 20 - MANTISSA  # of the upper half of a double (little-endian), which has 20 bits of mantissa
RESOLUTION = 2.0**-MANTISSA  # a bin, relative: samples that are all alike may lie at either end of theirs
OCTAVES = 40  # on either side of one second: from 1e-12 s to 1e12 s
FIRST = (1023 - OCTAVES) << MANTISSA
BINS = (2 * OCTAVES << MANTISSA) + 2  # below them all (zero), and above them all


def codes(times: Array) -> NDArray[np.int32]:
    """The bin of each time (s): 0 for less than 2^-40 s, the last for 2^40 s and more.

    The upper half of a double read as a whole number grows with it, by one step a bin once the low bits are dropped.
    """
    found = np.ascontiguousarray(times).view(np.int32)[..., 1::2] >> SHIFT
    found -= FIRST - 1
    np.clip(found, 0, BINS - 1, out=found)
    return found


@functools.cache
def edges() -> Array:
    """The lower edge of each bin (s), and the upper one of the last."""
    whole = np.arange(BINS - 1, dtype=np.int64) + FIRST
    inner = (whole << (SHIFT + 32)).view(np.float64)
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
        sums = times.sum(axis=0)
        whole = bool(np.isfinite(sums).all())
        kept = times if whole else np.where(np.isfinite(times), times, 0.0)
        found = codes(kept)
        first, last = int(found.min()), int(found.max())
        width = last - first + 1
        found += (batch * width - first).astype(np.int32)
        flat = found.reshape(-1) if whole else found[np.isfinite(times)]
        bins = np.bincount(flat, minlength=batches * width).reshape(batches, width)
        each = kept.sum(axis=0), np.einsum("ij,ij->j", kept, kept)
        added = [np.bincount(batch, weights=one, minlength=batches).astype(float) for one in each]
        return cls(bins, first, added[0], added[1])

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        first = min(self.first, other.first)
        last = max(each.first + each.bins.shape[1] for each in (self, other))
        bins = np.zeros((len(self.bins), last - first), dtype=np.int64)
        for each in (self, other):
            bins[:, each.first - first : each.first - first + each.bins.shape[1]] += each.bins
        return Counts(bins, first, self.sums + other.sums, self.squares + other.squares)


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
        return float(self.counts.squares.sum() / self.size - self.mean() ** 2)

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
