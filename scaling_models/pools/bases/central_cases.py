"""What one queue before several slots answers in closed form, by the service that it has."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Protocol

from scaling_models.answers import EXACT, Accuracy, NoClosedForm
from scaling_models.latency import Deterministic, Distribution, Exponential, Shifted, mixture
from scaling_models.pools.bases.central_band import BandCase
from scaling_models.pools.bases.central_general import MOST_PHASES, LightCase, LookalikeCase
from scaling_models.pools.bases.pool import NO_BAND
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.phase_queue import phases_together
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.constant_wait import ConstantServiceWait
from scaling_models.pools.times.phase_times import PhaseResponse, PhaseWait, solved
from scaling_models.pools.times.responses import ErlangResponse

NOBODY = 1e-200  # a chance of waiting that is none
HIGHEST = 0.9995  # load of constant services: nearer to capacity the queue's distribution is too long to keep


class Case(Protocol):
    """One queue before several slots, below capacity, with one kind of service."""

    @property
    def probability_of_wait(self) -> float:
        """The share that finds no slot free."""

    @property
    def wait(self) -> Distribution:
        """The time before a slot takes the request."""

    @property
    def latency(self) -> Distribution:
        """Wait and service."""

    @property
    def latency_low(self) -> Distribution:
        """Quantile for quantile at most the latency, if that is not known better."""

    @property
    def latency_high(self) -> Distribution:
        """Quantile for quantile at least the latency, if that is not known better."""

    def accuracy(self, metric: str, level: float | None) -> Accuracy:
        """How far these can be trusted."""


@dataclasses.dataclass(frozen=True)
class Exact:
    """Base of the cases that are exact."""

    arrival_rate: float
    slots: int
    service: Distribution

    @property
    def offered_load(self) -> float:
        """lambda E[S]."""
        return self.arrival_rate * self.service.mean()

    @property
    def latency_low(self) -> Distribution:
        """None is needed."""
        raise NoClosedForm("the latency is exact here, and needs no band: see latency")

    @property
    def latency_high(self) -> Distribution:
        """None is needed."""
        return self.latency_low

    def accuracy(self, metric: str, level: float | None) -> Accuracy:
        """Exact, so that there is no band."""
        return NO_BAND if metric in ("latency_low", "latency_high") else EXACT


class ExponentialCase(Exact):
    """M/M/c: P(wait) = C(c, a), wait ~ Exp(c mu - lambda) given that there is one."""

    @property
    def fits(self) -> bool:
        """Whether the service is exponential, whatever it is called."""
        return is_exponential(self.service)

    @property
    def _drain(self) -> float:
        return self.slots / self.service.mean() - self.arrival_rate

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """Erlang C."""
        return float(erlang_c(self.slots, self.offered_load))

    @property
    def wait(self) -> Distribution:
        """Zero or exponential."""
        chance = self.probability_of_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), Exponential(1.0 / self._drain)))

    @property
    def latency(self) -> Distribution:
        """See `ErlangResponse`."""
        return ErlangResponse(1.0 / self.service.mean(), self._drain, self.probability_of_wait)


class ConstantCase(Exact):
    """M/D/c: see `deterministic_wait_ccdf`."""

    @property
    def fits(self) -> bool:
        """Whether the service takes one time only."""
        least, most = self.service.support
        return least == most and self.offered_load <= HIGHEST * self.slots

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """What the wait's atom leaves."""
        return float(self.wait.ccdf(0.0))

    @functools.cached_property
    def wait(self) -> Distribution:
        """See `ConstantServiceWait`; nobody's, where so many slots are free that no number tells the chance of one."""
        if float(erlang_c(self.slots, self.offered_load)) < NOBODY:
            return Deterministic(0.0)
        return ConstantServiceWait(self.arrival_rate, self.slots, self.service.mean())

    @property
    def latency(self) -> Distribution:
        """The wait, moved."""
        wait = self.wait
        return self.service if isinstance(wait, Deterministic) else Shifted(wait, self.service.mean())


class SingleCase(Exact):
    """M/G/1: see `Station`."""

    @functools.cached_property
    def _station(self) -> Station:
        return Station(self.arrival_rate, 1, self.service, self.slots)

    @property
    def fits(self) -> bool:
        """Whether there is one slot, and its lattice is fine enough."""
        return self.slots == 1 and math.isfinite(self.service.variance()) and self._station.solved

    @property
    def probability_of_wait(self) -> float:
        """The utilization."""
        return self._station.probability_of_wait

    @property
    def wait(self) -> Distribution:
        """See `Station`."""
        return self._station.wait

    @property
    def latency(self) -> Distribution:
        """See `Station`."""
        return self._station.latency

    def accuracy(self, metric: str, level: float | None) -> Accuracy:
        """Exact, but for the lattice's own error."""
        if metric in ("latency_low", "latency_high"):
            return NO_BAND
        error = self._station.error
        return Accuracy("exact", error, f"everywhere, but for a numerical error of {error:.0e} of a quantile")


class PhaseCase(Exact):
    """M/PH/c: see `phase_queue`."""

    @property
    def fits(self) -> bool:
        """Whether the service has phases, and all slots together not too many."""
        phases = self.service.phases
        return phases is not None and phases_together(self.slots, len(phases.start)) <= MOST_PHASES

    @property
    def probability_of_wait(self) -> float:
        """From the boundary."""
        return solved(self.arrival_rate, self.slots, self.service).probability_of_wait

    @property
    def wait(self) -> Distribution:
        """Zero, or phase-type."""
        chance = self.probability_of_wait
        parts = (Deterministic(0.0), PhaseWait(self.arrival_rate, self.slots, self.service))
        return mixture((1.0 - chance, chance), parts)

    @property
    def latency(self) -> Distribution:
        """Phase-type."""
        return PhaseResponse(self.arrival_rate, self.slots, self.service)


CASES = (ExponentialCase, ConstantCase, SingleCase, PhaseCase, LookalikeCase, LightCase, BandCase)


def case_of(arrival_rate: float, slots: int, service: Distribution) -> Case | None:
    """The first case that the service fits, below capacity; None where there is none."""
    if not 0.0 < service.mean() < math.inf:
        return None
    cases = (case(arrival_rate, slots, service) for case in CASES)
    return next((case for case in cases if case.fits), None)
