"""Redundancy-d: every request to several servers at once, the others cancelled when one is done."""

from __future__ import annotations

import math
from typing import Self

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.domains import Integer
from scaling_models.latency import Distribution, Exponential, MeanOnly, Never
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.copied import Copied
from scaling_models.pools.formulas.redundancy import redundancy_mean
from scaling_models.pools.times.redundant_response import RedundantResponse

MANY = 50  # servers from which the shape of the limit holds
FEW_COPIES, SOME_COPIES = 3, 5
SPARE, LEAST_SPARE = 2.5, 1.2  # free servers for each copy of a request: with fewer, requests meet the same servers
LIMIT = Accuracy("within 3%", 0.03, "50 servers or more, 2 or 3 copies, 2.5 free servers a copy, up to p99.9")
NEAR = Accuracy("within 15%", 0.06, "50 servers or more, 2 to 5 copies, 1.2 free servers a copy, up to p99.9")
UNKNOWN = Accuracy("simulated", None, "the mean alone is known")
REFUSED = Accuracy("simulated", None, "exponential service only")


class RedundantRequests(Copied):
    """Each request to `copies` different servers at random, done with the first, the others then cancelled at once.

    The mean is exact for exponential service, drawn anew by each copy: see `redundancy_mean`. Copies cost nothing
    there, for the work that is cancelled is what the others have saved; where copies carry the size of their request
    they cost all that they take. Gardner et al., Operations Research 2017, Theorem 1.
    """

    copies: int = parameter(
        default=2,
        domain=Integer(1, 100),
        unit="servers",
        symbol="d",
        about="servers that each request is sent to",
        slider=Slider(1, 10, 1),
        alias="sent_to",
    )

    def _check(self) -> None:
        super()._check()
        if self.copies > self.servers:
            raise ValueError(
                f"RedundantRequests.sent_to must lie in [1, {self.servers}], the servers; got {self.copies}"
            )

    def _rule(self, redraw: bool) -> HedgingRule:
        return HedgingRule(self.servers, 0.0, copies=self.copies, redraw=redraw)

    @property
    def _cancel(self) -> str:
        return "anywhere"

    def _needs_exponential(self) -> None:
        if self._load < 1.0 and not self._exponential:
            raise self._refuse(f"for {type(self.service).__name__} service")

    @answer("", "share of the servers' time that is busy; above 1 overloaded", EXACT)
    def utilization(self) -> float:
        """rho exactly: of several exponential services at once the first ends so much sooner."""
        self._needs_exponential()
        return self._load

    @answer("s", "time from arrival to the first answer", EXACT)
    def latency(self) -> Distribution:
        """Its mean exactly; among 50 servers or more its shape is that of the limit, unless copies are many or free
        servers few: then unknown."""
        self._needs_exponential()
        if self._load >= 1.0:
            return Never()
        mean = redundancy_mean(self.servers, self.copies, self._load) * self.service.mean()
        if self.copies == 1:
            return Exponential(mean)
        if self._of_the_limit is None:
            return MeanOnly(mean)
        limit = RedundantResponse(self.service.mean(), self._load, self.copies)
        return limit * (mean / limit.mean())

    @answer("requests", "mean number of requests not yet answered", EXACT)
    def in_flight(self) -> float:
        """Little's law."""
        mean = self.latency.mean()
        return self.arrival_rate * mean if math.isfinite(mean) else math.inf

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """The mean exact for exponential service; percentiles simulated."""
        declared = super()._accuracy(metric, level)
        if metric == "offered_load" or self._load >= 1.0:
            return declared
        try:
            self._needs_exponential()
        except NoClosedForm:
            return REFUSED
        if level is None or self.copies == 1:
            return declared
        return self._of_the_limit or UNKNOWN

    @property
    def _of_the_limit(self) -> Accuracy | None:
        """How near the limit's shape is, z = N (1 - rho) / d; None where it is not.

        Simulated event by event, 50 to 200 servers: off by 2.4% at most at d = 5, z = 2; by 2% at d = 3, z = 1.7 to 2
        of 100 servers or more, 4% of 50; by 5% at d = 4, z = 1.25; by 17% at d = 10, z = 0.5. Where all servers get a
        copy the latency is exponential, and the limit's p99.9 far too short.
        """
        spare = self.servers * (1.0 - self._load) / self.copies
        if self.servers < MANY or self.copies > SOME_COPIES or spare < LEAST_SPARE:
            return None
        return LIMIT if self.copies <= FEW_COPIES and spare >= SPARE else NEAR

    @classmethod
    def example(cls) -> Self:
        """Among so many servers that percentiles are known."""
        return cls(3200.0, 80)
