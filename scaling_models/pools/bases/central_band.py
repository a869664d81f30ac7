"""One queue before several slots whose service has a heavy tail: a band, and the mean where that is known better."""

from __future__ import annotations

import functools
import math

from scaling_models.answers import NoClosedForm
from scaling_models.latency import Distribution, MeanOnly
from scaling_models.pools.bases.central_general import MOST_SCV, ROUGH, General

MOST_OFF = 0.4  # of the latency's mean: where it may err by more, only the band is told


class BandCase(General):
    """Any other service of finite variance: a band, and the whole distribution where the wait hardly counts."""

    @property
    def fits(self) -> bool:
        """Whether the variance is finite."""
        return math.isfinite(self.service.scv)

    @property
    def _wait_known(self) -> bool:
        """Never: for heavy tails even the mean may be a third too large."""
        return False

    @functools.cached_property
    def _whole(self) -> bool:
        """Whether the wait counts so little that its distribution may be a rough one."""
        return self._share_error(0.99) <= ROUGH and self._share_error(0.999) <= ROUGH

    @functools.cached_property
    def latency(self) -> Distribution:
        """The distribution where its levels are known to 15%, else its mean, unless the band says as much."""
        if self._whole:
            return self._tijms
        if self._mean_error > MOST_OFF:
            raise NoClosedForm(f"of services of scv {self.service.scv:.4g} the mean may be several times as large here")
        return MeanOnly(self._mean_wait + self.service.mean())

    @functools.cached_property
    def _mean_error(self) -> float:
        """Beyond the scv measured the formula falls short by up to what Tijms, van Hoorn and Federgruen tell.

        (Exact chains of scv 13 to 1000, 2 to 60 slots, loads 0.3 to 0.98: their wait is 0.97 of the truth at least.)
        """
        share = self._share_of_wait(None)
        if self.service.scv <= MOST_SCV:
            return min(0.4 * share, 0.12 if self.service.scv <= 1.0 else math.inf)
        if self._whole:
            return share / (1.0 - share)
        return max(0.4 * share, 1.0 - (self._mean_wait + self.service.mean()) / self._tijms.mean())

    def _share_error(self, level: float) -> float:
        """The truth lies between the service alone and what Tijms, van Hoorn and Federgruen give."""
        share = self._share_of_wait(level)
        return share / (1.0 - share)

    def _latency_error(self, level: float | None) -> float:
        if level is None:
            return self._mean_error
        return self._share_error(level) if self._whole else max(self._share_error(level), 2.0 * ROUGH)
