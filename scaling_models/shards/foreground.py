"""Requests at a disk that also copies chunks."""

from __future__ import annotations

import functools
import math

from scaling_models.domains import Choice, Real
from scaling_models.latency import SPREAD, Distribution, Exponential, mixture
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.parameters import parameter
from scaling_models.shards.formulas.chunk_delays import at_once, foreground_survival

FIRST, IN_ORDER = "requests first", "in order of arrival"
ORDER = Choice((FIRST, IN_ORDER))


class ForegroundLatency(Lattice):
    """The latency of Poisson requests at a disk on which copied chunks of equal length take a share of the time.

    See `foreground_survival`; for light tails, at a load below 1.
    """

    arrival_rate: float = parameter(default=50.0, domain=Real(), unit="requests/s", about="requests a second")
    service: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", about="the time that a request takes the disk"
    )
    chunk: float = parameter(default=0.05, domain=Real(), unit="s", about="the time that a chunk takes it")
    share: float = parameter(
        default=0.2, domain=Real(0.0, 1.0, open_low=False, open_high=False), about="share of the time that chunks take"
    )
    order: str = parameter(default=FIRST, domain=ORDER, about="who goes first")

    @functools.cached_property
    def _survival(self) -> Survival:
        return self._of(delayed=False)

    def _of(self, *, delayed: bool) -> Survival:
        first = self.order == FIRST
        return foreground_survival(self.arrival_rate, self.service, self.chunk, self.share, first, delayed=delayed)

    def in_parts(self) -> Distribution:
        """The same law; where the service has atoms, of those that wait and of those that do not, which is exact."""
        if not (self.service.atoms or self.service.hidden_atoms):
            return self
        none = at_once(self.arrival_rate * self.service.mean(), self.share, self.order == FIRST)
        late = DelayedLatency(**self.values())
        return mixture([none, 1.0 - none], [self.service, late]) if none > 0.0 else late


class DelayedLatency(ForegroundLatency):
    """The same of the requests that wait."""

    @functools.cached_property
    def _survival(self) -> Survival:
        return self._of(delayed=True)


def light(service: Distribution) -> bool:
    """Whether its tail is exponential or ends."""
    return service.phases is not None or math.isfinite(service.support[1])
