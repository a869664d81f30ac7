"""Many different servers that do not see each other, solved together: M/G/1 at any load and speed."""

from __future__ import annotations

import dataclasses
import functools
import math

from scaling_models.latency import Deterministic, Distribution, mixture
from scaling_models.latency.integrals import MANY
from scaling_models.pools.bases.stations import MOST_ERROR
from scaling_models.pools.formulas.loads import MOST_LOAD
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.unequal import AtSpeeds, UnequalLatency, UnequalWait

FEW = 30  # different servers: up to so many are solved one by one, for less


@dataclasses.dataclass(frozen=True)
class UnequalStations:
    """FIFO servers with one worker that share a service: the share of the requests, the speed and the load of each."""

    service: Distribution
    shares: tuple[float, ...]
    speeds: tuple[float, ...]
    loads: tuple[float, ...]

    @property
    def apt(self) -> bool:
        """Whether they are many, have no simpler form, and none is so busy that it is out of reach."""
        simple = bool(self.service.branches) or is_exponential(self.service)
        smooth = len(self.service.kinks) <= MANY
        return len(self.loads) > FEW and max(self.loads) <= MOST_LOAD and not simple and smooth

    @property
    def utilization(self) -> float:
        """The busiest server's."""
        return max(self.loads)

    @property
    def memoryless(self) -> bool:
        """Exponential services are not solved here."""
        return False

    @property
    def solved(self) -> bool:
        """Whether the loads between those that were solved are told well enough."""
        return self.error < MOST_ERROR

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """That an arrival finds its server busy."""
        return math.fsum(share * load for share, load in zip(self.shares, self.loads, strict=True))

    @functools.cached_property
    def error(self) -> float:
        """The largest relative error of a quantile."""
        try:
            return max(self._queued_wait._survival.error, self._queued_latency._survival.error)
        except ArithmeticError:
            return math.inf

    @property
    def known_to(self) -> float:
        """The probability of a latency or wait so rare that what is beyond is extrapolated."""
        return self.probability_of_wait * max(self._queued_wait.known_to, self._queued_latency.known_to)

    @property
    def wait(self) -> Distribution:
        """Zero, or what those wait who have to."""
        chance = self.probability_of_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), self._queued_wait))

    @property
    def latency(self) -> Distribution:
        """The wait and the service."""
        chance = self.probability_of_wait
        idle = tuple(share * (1.0 - load) for share, load in zip(self.shares, self.loads, strict=True))
        at_once = AtSpeeds(self.service, self.speeds, idle)
        return mixture((1.0 - chance, chance), (at_once, self._queued_latency))

    @property
    def _waiting(self) -> tuple[float, ...]:
        busy = [share * load for share, load in zip(self.shares, self.loads, strict=True)]
        return tuple(each / self.probability_of_wait for each in busy)

    @functools.cached_property
    def _queued_wait(self) -> UnequalWait:
        return UnequalWait(self.service, self._waiting, self.loads, self.speeds)

    @functools.cached_property
    def _queued_latency(self) -> UnequalLatency:
        return UnequalLatency(self.service, self._waiting, self.loads, self.speeds)
