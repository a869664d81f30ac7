"""The wait and the latency of those requests that have to wait for the one FIFO server, as distributions."""

from __future__ import annotations

import functools

from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.integrals import MANY
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.solution import Solution, single_server
from scaling_models.pools.formulas.walks import is_exponential


class QueuedWait(Lattice):
    """The wait at one FIFO server, given that there is one: GI/G/1; see `single_server`."""

    gap: Distribution = parameter(
        default=Exponential(0.020), domain=LATENCY, unit="s", symbol="A", about="the time between arrivals"
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="S", about="the service"
    )

    def _check(self) -> None:
        if not self.service.mean() < self.gap.mean():
            raise ValueError(
                f"{type(self).__name__}.service must on average take less than the gap, {self.gap.mean():g} s; "
                f"got {self.service.mean():g} s"
            )

    @functools.cached_property
    def _solution(self) -> Solution:
        return single_server(self.gap, self.service)

    @property
    def chance(self) -> float:
        """The probability that there is a wait."""
        return self._solution.chance

    @property
    def known_to(self) -> float:
        """The least ccdf that is more than an extrapolation."""
        return self._survival.known_to

    @property
    def _survival(self) -> Survival:
        return self._solution.wait

    @property
    def tail_index(self) -> float:
        """One less than the service's: a long service makes many wait."""
        return self.service.tail_index - 1.0

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The start, and where the service has some."""
        kinks = self.service.kinks
        return tuple(sorted({self.support[0], *(kinks if len(kinks) <= MANY else ())}))

    def mean(self) -> float:
        """Of Poisson arrivals E S^2 / (2 E S (1 - rho)) (Pollaczek and Khinchine), else the integral of the ccdf."""
        first, load = self.service.mean(), self.service.mean() / self.gap.mean()
        if not is_exponential(self.gap):
            return super().mean()
        return (self.service.variance() / first + first) / (2.0 * (1.0 - load))


class QueuedLatency(QueuedWait):
    """The wait at one FIFO server, given that there is one, and the service after it."""

    @property
    def _survival(self) -> Survival:
        return self._solution.latency

    @property
    def support(self) -> tuple[float, float]:
        """From the shortest service on."""
        return (self.service.support[0], super().support[1])

    def mean(self) -> float:
        """Those of both added."""
        return self._wait.mean() + self.service.mean()

    def variance(self) -> float:
        """Those of both added, for they are independent."""
        return self._wait.variance() + self.service.variance()

    @functools.cached_property
    def _wait(self) -> QueuedWait:
        return QueuedWait(self.gap, self.service)
