"""Estimates with intervals, from batches that are independent or nearly so."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from scaling_models.domains import is_number
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.controls import Controls
from scaling_models.wording import short

CORRECTIONS = 3  # of a quantile's level for the controls: the next would be less than a sample
FEW_CLUSTERS = 20  # of exceedances: of fewer the batches' own spread says too little


class NotSettled(ValueError):
    """The simulation did not forget its start, so that its numbers would be quietly wrong."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A simulated number with its standard error and the degrees of freedom behind that; of a share, its trials."""

    value: float
    error: float
    freedom: int
    trials: int = 0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The two-sided Student interval; of a share, that part of it which lies in [0, 1]."""
        half = student(confidence, self.freedom) * self.error
        low, high = self.value - half, self.value + half
        return (min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)) if self.trials else (low, high)

    def __float__(self) -> float:
        return self.value


def student(confidence: float, freedom: int) -> float:
    """How many standard errors a two-sided interval reaches; ValueError for a confidence outside [0, 1)."""
    if not (is_number(confidence) and 0.0 <= confidence < 1.0):
        raise ValueError(f"confidence must lie in [0, 1), a fraction; got {confidence!r}")
    return float(special.stdtrit(freedom, 0.5 + confidence / 2.0))


def from_batches(values: ArrayLike, controls: Controls | None = None) -> Estimate:
    """The mean of independent batch values, with its standard error; corrected where there are controls."""
    each = np.asarray(values, dtype=float)
    controls = Controls.none(len(each)) if controls is None else controls
    return Estimate(float(controls.weights @ each), controls.error(each), controls.freedom)


def ratio(above: ArrayLike, below: ArrayLike, scale: float = 1.0, controls: Controls | None = None) -> Estimate:
    """Sum over sum of independent batches (a rate, a mean of batches of unequal sizes), times `scale`.

    The error is the ratio estimator's: the spread of above - r below, over the mean of below.
    """
    top, bottom = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    controls = Controls.none(len(top)) if controls is None else controls
    whole = float(controls.weights @ bottom)
    value = float(controls.weights @ top) / whole if whole > 0 else math.nan
    error = controls.error(top - value * bottom) / whole if whole > 0 else math.nan
    return Estimate(scale * value, scale * error, controls.freedom)


def proportion(shares: ArrayLike, size: int) -> Estimate:
    """The mean of batch shares, of `size` trials in all; its error is never less than independent trials would have.

    (Where an event never happened, or always, batches do not differ, and yet its rate is known to about 1/size only.)
    """
    return at_least_binomial(from_batches(shares), size)


def at_least(found: Estimate, error: float) -> Estimate:
    """The estimate with that standard error at least, for batches may be alike by chance."""
    return dataclasses.replace(found, error=max(found.error, error))


def at_least_binomial(found: Estimate, size: int) -> Estimate:
    """A share whose error is not less than that of `size` independent trials."""
    p = min(max(found.value, 1.0 / size), 1.0 - 1.0 / size)
    return dataclasses.replace(found, error=max(found.error, math.sqrt(p * (1.0 - p) / size)), trials=size)


class Sampled:
    """Base of what was simulated of a latency, with the faces of a distribution; intervals from independent batches.

    A subclass keeps the samples, or counts them in bins: it answers `sizes` and `means` (of the batches), `variance`,
    `beyond`, `cdf`, `icdf` and `off_the_atom`, and `resolution`, the largest relative error of a time. `controls` tell
    what the batches drew too much or too little: every answer is corrected for it.
    """

    resolution: float = 0.0
    controls: Controls

    @property
    def sizes(self) -> Array:
        """How many samples each batch has."""
        raise NotImplementedError

    @property
    def means(self) -> Array:
        """The mean of each batch (s)."""
        raise NotImplementedError

    def variance(self) -> float:
        """The samples' variance (s^2)."""
        raise NotImplementedError

    def beyond(self, t: float) -> Array:
        """How many samples of each batch lie above t."""
        raise NotImplementedError

    def cdf(self, t: ArrayLike) -> Any:
        """The share of samples up to t."""
        raise NotImplementedError

    def icdf(self, q: ArrayLike) -> Any:
        """The quantile: the least time with cdf >= q, for q in [0, 1]."""
        raise NotImplementedError

    def off_the_atom(self) -> int:
        """How many samples are not the least one, which for a wait is mostly zero."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many samples there are."""
        return int(self.sizes.sum())

    def mean(self) -> float:
        """The samples' mean."""
        return self.mean_estimate().value

    @property
    def scv(self) -> float:
        """Variance over mean squared."""
        return self.variance() / self.mean() ** 2

    def mean_estimate(self) -> Estimate:
        """The mean with its error."""
        return ratio(self.means * self.sizes, self.sizes, controls=self.controls)

    def ccdf_estimate(self, t: float) -> Estimate:
        """P(T > t) with its error, never less than independent samples of that probability would have."""
        return at_least_binomial(ratio(self.beyond(t), self.sizes, controls=self.controls), self.size)

    def ccdf(self, t: ArrayLike) -> Any:
        """The share of samples above t."""
        return 1.0 - self.cdf(t)

    def percentiles(self, *levels: float) -> Array:
        """The quantiles at `levels` in per cent (50, 95 and 99 unless told)."""
        return np.asarray(self.icdf(np.asarray(levels or (50.0, 95.0, 99.0)) / 100.0))

    def interval(self, q: float, confidence: float = 0.95) -> tuple[float, float]:
        """An interval of the quantile by order statistics: the quantiles as far above and below q as the share of
        samples beyond it errs, which for dependent samples is more than the binomial error. Infinite where the
        samples do not reach.

        Long latencies come in clusters, and of the longest few clusters are seen, so that their batches tell too little
        of how they differ: where fewer than twenty would be left if they clustered as those ten times as frequent do,
        they are taken to.
        """
        half = student(confidence, self.controls.freedom) * self.share_error(q)
        low, high = q - half, q + half
        return (float(self.icdf(max(low, 0.0))), float(self.icdf(high)) if high < 1 else math.inf)

    def share_error(self, q: float) -> float:
        """The standard error of the share of samples beyond the quantile of level q, in clusters as `interval` says."""
        clusters = self._clustering(q)
        if 0.9 < q < 1.0:
            nearer = self._clustering(1.0 - 10.0 * (1.0 - q))
            clusters = max(clusters, nearer) if self.size * (1.0 - q) < FEW_CLUSTERS * nearer else clusters
        return math.sqrt(q * (1.0 - q) / self.size * clusters)

    def _clustering(self, q: float) -> float:
        """How many dependent samples beyond the quantile tell as much as an independent one."""
        beyond = self.ccdf_estimate(float(self.icdf(q)))
        alone = beyond.value * (1.0 - beyond.value) / self.size
        return max(1.0, beyond.error**2 / alone) if alone > 0 else 1.0

    def mean_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """An interval of the mean."""
        return self.mean_estimate().interval(confidence)


def checked_levels(q: ArrayLike) -> Array:
    """The levels as an array, or a `ValueError` in a sentence."""
    levels = np.asarray(q, dtype=float)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"the level q must lie in [0, 1]; got {short(q)}")
    return levels


class SimulatedLatency(Sampled):
    """A latency as simulated: every sample kept, in batches (batches, samples) in seconds.

    Batches are independent runs or long stretches of one.
    """

    def __init__(self, batches: Array, controls: Controls | None = None) -> None:
        self.batches = batches
        self.controls = Controls.none(len(batches)) if controls is None else controls

    @functools.cached_property
    def _sorted(self) -> Array:
        return np.sort(self.batches.ravel())

    @functools.cached_property
    def _largest(self) -> Array:
        """The upper sixteenth in order, at a fifth of the cost of all of them: often only tails are asked for."""
        rest = self.size - self.size // 16
        return np.sort(np.partition(self.batches, rest, axis=None)[rest:])

    @property
    def sizes(self) -> Array:
        """How many samples each batch has."""
        return np.full(len(self.batches), float(self.batches.shape[1]))

    @functools.cached_property
    def means(self) -> Array:
        """The mean of each batch (s)."""
        return np.asarray(self.batches.mean(axis=1))

    def variance(self) -> float:
        """The samples' variance (s^2)."""
        return max(float(self.controls.weights @ np.square(self.batches - self.mean()).mean(axis=1)), 0.0)

    def beyond(self, t: float) -> Array:
        """How many samples of each batch lie above t."""
        return np.asarray(np.count_nonzero(self.batches > t, axis=1), dtype=float)

    def cdf(self, t: ArrayLike) -> Any:
        """The share of samples up to t."""
        return np.searchsorted(self._sorted, t, side="right") / self.size - self._excess(t)

    def icdf(self, q: ArrayLike) -> Any:
        """The quantile: the least sample with cdf >= q, for q in [0, 1]."""
        levels = checked_levels(q)
        wanted = levels
        for _ in range(CORRECTIONS):
            wanted = np.clip(levels + self._excess(self._at(wanted)), 0.0, 1.0)
        return self._at(np.where((levels > 0.0) & (levels < 1.0), wanted, levels))[()]

    def _at(self, levels: Array) -> Any:
        rank = np.ceil(levels * self.size - 1e-9).astype(int) - 1
        rank = np.clip(rank, 0, self.size - 1)
        rest = self.size - self.size // 16
        return self._largest[rank - rest] if rank.size and (rank >= rest).all() else self._sorted[rank]

    def _excess(self, t: ArrayLike) -> Array:
        """By how much the plain share of samples up to t exceeds the corrected one."""
        times = np.asarray(t, dtype=float)
        extra = self.controls.weights - 1.0 / len(self.batches)
        if not extra.any():
            return np.zeros(times.shape)
        above = np.array([extra @ self.beyond(time) for time in times.ravel()])
        return np.asarray(above.reshape(times.shape) / self.batches.shape[1])

    def off_the_atom(self) -> int:
        """How many samples are not the least one, which for a wait is mostly zero."""
        return int((self.batches > self.batches.min()).sum())
