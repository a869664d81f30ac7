"""One queue before several slots where only approximations are known: which one, and how far it has been measured.

The errors are the largest that were seen against simulations of 20 to 150 million requests each: lognormal service of
scv 0.25, 1, 2, 4 and 10, uniform, Erlang and Pareto 2.5; 2 to 50 slots, loads 0.5 to 0.95.
"""

from __future__ import annotations

import dataclasses
import functools
import math

from scaling_models.answers import Accuracy, NoClosedForm
from scaling_models.latency import Distribution, Exponential, MeanOnly, Scaled, mixture
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.general_queue import boxma_cohen_huffels
from scaling_models.pools.formulas.lookalikes import Lookalike, lookalike
from scaling_models.pools.formulas.phase_queue import phases_together
from scaling_models.pools.formulas.residuals import residual
from scaling_models.pools.times.general_times import Later, ResponseAfter, TijmsWait
from scaling_models.pools.times.phase_times import PhaseWait, solved

REGION = "measured for 2 to 50 slots at loads 0.5 to 0.95; less at lower loads, where few wait"
MEASURED_SLOTS, MEASURED_LOAD = 50, 0.95
TIGHT, ROUGH = 0.03, 0.15
RARE_WAIT = 0.02  # with fewer than these waiting nothing is said of the wait itself
LEAST_WAIT, LEAST_WAIT_HEAVY, MOST_WAIT = 0.5, 0.3, 1.05  # of the mean, at the ends of the band
LEAST_TAIL = 2.5  # index of a Pareto tail below which, as beyond MOST_SCV, a few giants make the mean wait
HEAVY = 5.0  # scv from which the measured errors are larger
MOST_SCV = 12.0
LOOKS_ALIKE = 0.02  # the error of three branches, up to which a service passes for hyperexponential
MOST_PHASES = 130  # of all slots together: more take longer than a slider waits
LIGHT_SKEW = 2.05  # a lognormal service of scv 1 has 2


def graded_accuracy(error: float, region: str = REGION) -> Accuracy:
    """The label of a largest relative error; beyond what was measured nothing is said to be within 3%."""
    if error <= TIGHT and region == REGION:
        return Accuracy("within 3%", TIGHT, REGION)
    return Accuracy("within 15%", ROUGH, region) if error <= ROUGH else Accuracy("band", error, region)


@dataclasses.dataclass(frozen=True)
class General:
    """Base: M/G/c with a finite variance of the service."""

    arrival_rate: float
    slots: int
    service: Distribution

    @functools.cached_property
    def _load(self) -> float:
        return self.arrival_rate * self.service.mean() / self.slots

    @property
    def _erlang_c(self) -> float:
        return float(erlang_c(self.slots, self._load * self.slots))

    @property
    def probability_of_wait(self) -> float:
        """Erlang C."""
        return self._erlang_c

    @property
    def _mean_wait(self) -> float:
        """In seconds."""
        return self.service.mean() * boxma_cohen_huffels(self.slots, self._load, self.service)

    @property
    def wait(self) -> Distribution:
        """Its mean only."""
        if not self._wait_known:
            raise NoClosedForm("no usable formula is known for the wait here: simulate it")
        return MeanOnly(self._mean_wait)

    @property
    def _wait_known(self) -> bool:
        """Whether enough requests wait for the mean to be told."""
        return self.probability_of_wait >= RARE_WAIT

    @functools.cached_property
    def _tijms(self) -> Distribution:
        """The response time with the wait of Tijms, van Hoorn and Federgruen."""
        return ResponseAfter(self._erlang_c, TijmsWait(self.arrival_rate, self.slots, self.service), self.service)

    def _exponential_wait(self, factor: float) -> Distribution:
        """The response time with an exponential wait of a multiple of the mean that is known best."""
        chance = self._erlang_c
        wait = (
            Exponential(factor * self._mean_wait / max(chance, 1e-300)) if self._mean_wait > 0 else Exponential(1e-300)
        )
        return ResponseAfter(chance, wait, self.service)

    @property
    def latency(self) -> Distribution:
        """Wait and service."""
        raise NotImplementedError

    @property
    def latency_low(self) -> Distribution:
        """With an exponential wait whose mean is a fraction of the best one, or with none.

        (The median of Pareto 2.1 at 3 slots and load 0.85 is 1.72 mean services: with half of the mean wait 2.07.)
        """
        if self.service.tail_index < LEAST_TAIL or self.service.scv > MOST_SCV:
            return self.service
        heavy = self.service.scv > HEAVY
        return self._exponential_wait(LEAST_WAIT_HEAVY if heavy else LEAST_WAIT)

    @property
    def latency_high(self) -> Distribution:
        """The later of what the wait of Tijms, van Hoorn and Federgruen gives, and an exponential one."""
        wait = Scaled(TijmsWait(self.arrival_rate, self.slots, self.service), MOST_WAIT)
        return Later(ResponseAfter(self._erlang_c, wait, self.service), self._exponential_wait(MOST_WAIT))

    def _share_of_wait(self, level: float | None) -> float:
        """How much of the latency's mean or quantile is the wait's doing."""
        whole, own = (
            (each.mean() if level is None else float(each.icdf(level))) for each in (self._best, self.service)
        )
        return max(0.0, 1.0 - own / whole) if 0 < whole < math.inf else 0.0

    @property
    def _best(self) -> Distribution:
        return self._tijms

    def _latency_error(self, level: float | None) -> float:
        """The largest relative error of the latency's mean (None), or quantile."""
        raise NotImplementedError

    def accuracy(self, metric: str, level: float | None) -> Accuracy:
        """By what was measured; an error of the wait weighs as much as the wait does in the latency."""
        if metric in ("latency_low", "latency_high"):
            return Accuracy("band", ROUGH, self._region)
        if metric == "wait" and (level is not None or not self._wait_known):
            return Accuracy("simulated", None, "of the wait only its mean is known, and where few wait not even that")
        if metric in ("wait", "probability_of_wait"):
            return Accuracy("within 15%", ROUGH, self._region)
        return graded_accuracy(self._latency_error(level), self._region)

    @property
    def _region(self) -> str:
        """Where the errors were measured, and whether that is here. (At a lower load hardly anybody waits.)"""
        if self.slots <= MEASURED_SLOTS and self._load <= MEASURED_LOAD:
            return REGION
        return f"extrapolated to {self.slots:,} slots at load {self._load:.4g}: {REGION}"


class LookalikeCase(General):
    """A service of scv > 1 that passes for hyperexponential: M/PH/c of a `lookalike`, and the service itself."""

    @property
    def fits(self) -> bool:
        """Whether three branches come near enough, and two are not too many for the slots."""
        possible = (
            1.0 < self.service.scv <= MOST_SCV and self.slots > 1 and phases_together(self.slots, 2) <= MOST_PHASES
        )
        return possible and lookalike(self.service, 3).error <= LOOKS_ALIKE

    @functools.cached_property
    def _alike(self) -> Lookalike:
        return lookalike(self.service, 3 if phases_together(self.slots, 3) <= MOST_PHASES else 2)

    @functools.cached_property
    def _substitute(self) -> Distribution:
        mean = self.service.mean()
        return mixture(self._alike.weights, [Exponential(mean * each) for each in self._alike.means])

    @property
    def probability_of_wait(self) -> float:
        """The lookalike's."""
        return solved(self.arrival_rate, self.slots, self._substitute).probability_of_wait

    @property
    def _waited(self) -> Distribution:
        return PhaseWait(self.arrival_rate, self.slots, self._substitute)

    @property
    def _mean_wait(self) -> float:
        return self.probability_of_wait * self._waited.mean()

    @functools.cached_property
    def latency(self) -> Distribution:
        """The lookalike's wait, and the service."""
        return ResponseAfter(self.probability_of_wait, self._waited, self.service)

    @property
    def _best(self) -> Distribution:
        return self.latency

    def _latency_error(self, level: float | None) -> float:
        heavy, few = self.service.scv > HEAVY, self.slots < 5
        if level is None or level <= 0.95 + 1e-9:
            wait = 0.15 if heavy else 0.04
        elif level <= 0.99 + 1e-9:
            wait = 0.25 if heavy else 0.15 if few else 0.08
        else:
            wait = 1.0 if heavy or few else 0.3
        return wait * self._share_of_wait(level)


class LightCase(General):
    """A service of scv <= 1 and a light tail, or one slot: the wait of Tijms, van Hoorn and Federgruen."""

    @property
    def fits(self) -> bool:
        """Whether no moment of the service up to the third is large, or there is one slot only."""
        service = self.service
        if self.slots == 1:
            return math.isfinite(service.scv)
        return service.scv <= 1.0 and math.isinf(service.tail_index) and residual(service).skew <= LIGHT_SKEW

    @property
    def latency(self) -> Distribution:
        """See `ResponseAfter`."""
        return self._tijms

    def _latency_error(self, level: float | None) -> float:
        return 0.02
